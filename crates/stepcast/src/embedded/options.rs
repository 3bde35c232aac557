//! How an embedded engine is opened.

use std::path::Path;

use stepcast_engine::{EngineOptions, store::sqlite::SqliteOptions};
use stepcast_http::GatewayOptions;

use super::Stepcast;
use crate::{app::App, error::Error};

/// Settings of an embedded engine; every one has a default.
///
/// ```no_run
/// # use stepcast::prelude::*;
/// # async fn open(app: App) -> Result<(), Error> {
/// use stepcast::{Durability, SqliteOptions};
///
/// let stepcast = Stepcast::options()
///     .with_store(SqliteOptions::new().with_durability(Durability::Process))
///     .open("app.db", app)
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Options {
    pub(super) engine: EngineOptions,
    pub(super) store: SqliteOptions,
    pub(super) gateway: GatewayOptions,
}

impl Options {
    /// Time, chance and bounds of the engine.
    #[must_use]
    pub fn with_engine(self, engine: EngineOptions) -> Self {
        Self { engine, ..self }
    }

    /// How the database file is kept.
    #[must_use]
    pub fn with_store(self, store: SqliteOptions) -> Self {
        Self { store, ..self }
    }

    /// How the gateway answers.
    #[must_use]
    pub fn with_gateway(self, gateway: GatewayOptions) -> Self {
        Self { gateway, ..self }
    }

    /// Opens the engine; see [`Stepcast::open`].
    ///
    /// # Errors
    /// Those of [`Stepcast::open`].
    pub async fn open(self, file: impl AsRef<Path>, app: App) -> Result<Stepcast, Error> {
        Stepcast::open_with(file.as_ref(), app, self).await
    }
}

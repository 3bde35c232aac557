//! The apps with which a process begins: those that were known when the one before it ended.
//!
//! They are read from the store before there is an engine. What an engine finds due in its store happens at once, and would find no
//! function that handles it if they came later.

use std::{fmt, sync::Arc, time::Duration};

use stepcast_engine::{Engine, EngineError, EngineOptions, store::Store};

use super::{
    Apps, AppsOptions, Inner,
    admission::Admission,
    conversion::Policy,
    directory::{App, Directory},
    error::SyncError,
    handler::Handlers,
    registration::Registration,
    stored::{self, Kept},
};
use crate::worker::client::AppClient;

/// The apps with which a process begins.
pub struct KnownApps {
    admission: Admission,
    directory: Directory,
    poll: Duration,
    kept: Kept,
}

impl KnownApps {
    /// Reads them from a store. From then on the directory, which is the one that the engine's worker asks, knows how they are called.
    ///
    /// # Errors
    /// [`SyncError`] when the store cannot be read. An app that is not acceptable any more is left out with a warning, and stays stored until
    /// it registers itself or is removed.
    pub async fn load(
        store: &dyn Store,
        client: AppClient,
        directory: Directory,
        options: AppsOptions,
    ) -> Result<Self, SyncError> {
        let AppsOptions {
            kind,
            ignored,
            exposed,
            retries,
            poll,
        } = options;
        let policy = Policy {
            kind,
            ignored,
            exposed,
            retries,
        };
        let (registrations, kept) = stored::load(store).await?;
        let mut apps = Self {
            admission: Admission { client, policy },
            directory,
            poll,
            kept,
        };
        for registration in registrations {
            if let Err(error) = apps.take_in(&registration) {
                let app = &registration.config.id;
                tracing::warn!(%app, %error, "an app that was known before is left out");
                apps.kept.leave_out(&registration.text);
            }
        }
        Ok(apps)
    }

    /// The options of an engine that has their functions from the beginning.
    #[must_use]
    pub fn with(&self, options: EngineOptions) -> EngineOptions {
        let apps = self.directory.apps().into_iter();
        apps.fold(options, |options, app| {
            let functions = app.functions.iter().map(|function| function.engine.clone());
            options.with_app(app.id.to_string(), functions.collect())
        })
    }

    /// The apps of the engine that was opened with these.
    #[must_use]
    pub fn open(self, engine: Engine) -> Apps {
        let Self {
            admission,
            directory,
            poll,
            kept,
        } = self;
        Apps(Arc::new(Inner {
            engine,
            admission,
            directory,
            poll,
            handlers: Handlers::default(),
            kept: tokio::sync::Mutex::new(kept),
        }))
    }

    fn take_in(&self, registration: &Registration) -> Result<(), SyncError> {
        let app = self.admission.admit(registration)?;
        self.check_alone(&app)?;
        self.directory.replace(&app.id, Some(Arc::clone(&app)));
        Ok(())
    }

    /// An engine is not opened with two functions of one id.
    fn check_alone(&self, app: &App) -> Result<(), SyncError> {
        let is_known = |id| self.directory.function(id).is_some();
        let mut ids = app.functions.iter().map(|function| &function.id);
        match ids.find(|id| is_known(*id)) {
            None => Ok(()),
            Some(id) => Err(EngineError::FunctionTwice(id.clone()).into()),
        }
    }
}

impl fmt::Debug for KnownApps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownApps")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

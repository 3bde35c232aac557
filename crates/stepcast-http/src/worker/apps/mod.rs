//! Apps: which there are, what functions they have, and whether they answer.
//!
//! - `registration`: what an app says of itself; `conversion`: what the engine makes of it; `error`: why it is refused.
//! - `admission`: which are taken in; `directory`: what is known; `stored`: how it outlives the process, and `known`: how the next one
//!   begins with it; `uuid`: the ids by which SDKs know functions.
//! - `sync`: asks an app; `watch`: asks again and again; `handler`: what is to be said of the answers; `discovery`: where to look
//!   when nobody has said it.
//!
//! An app comes in by three ways: it registers itself or is asked by its URL, which end in [`Apps::register`], or it was known before a
//! restart ([`KnownApps`]). The engine is told of a function only when the directory knows how it is called.

mod admission;
pub(crate) mod conversion;
pub(crate) mod directory;
mod discovery;
mod error;
mod handler;
mod known;
mod registration;
mod stored;
mod sync;
pub(crate) mod uuid;
mod watch;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use stepcast_engine::Engine;
use stepcast_protocol::{FunctionId, limits, names::AppId};

pub(crate) use self::sync::check_kind;
use self::{admission::Admission, handler::Handlers, stored::Kept};
pub use self::{
    conversion::unsupported_options,
    directory::{App, AppFunction, Directory},
    discovery::Discovery,
    error::SyncError,
    handler::{Handler, Health},
    known::KnownApps,
    registration::Registration,
    watch::Watch,
};
use super::client::AppClient;
use crate::gateway::ServerKind;

/// How apps are taken in.
#[derive(Debug, Clone)]
pub struct AppsOptions {
    kind: ServerKind,
    ignored: BTreeSet<String>,
    exposed: BTreeSet<FunctionId>,
    retries: u32,
    poll: Duration,
}

impl Default for AppsOptions {
    fn default() -> Self {
        Self {
            kind: ServerKind::default(),
            ignored: BTreeSet::new(),
            exposed: BTreeSet::new(),
            retries: limits::RETRIES_UNLESS_SAID,
            poll: limits::APP_POLL,
        }
    }
}

impl AppsOptions {
    /// Whether functions that ask for what Stepcast does not do are taken with a warning ([`ServerKind::Dev`], the default) or refused.
    #[must_use]
    pub fn with_kind(self, kind: ServerKind) -> Self {
        Self { kind, ..self }
    }

    /// Options of functions, out of [`unsupported_options`], that are ignored with a warning where they would be refused.
    #[must_use]
    pub fn with_ignored(self, options: impl IntoIterator<Item = String>) -> Self {
        let ignored = options.into_iter().collect();
        Self { ignored, ..self }
    }

    /// Functions whose results are seen by those who watch their runs.
    #[must_use]
    pub fn with_exposed(self, functions: impl IntoIterator<Item = FunctionId>) -> Self {
        let exposed = functions.into_iter().collect();
        Self { exposed, ..self }
    }

    /// Attempts after the first one, for functions that do not say it; [`limits::RETRIES_UNLESS_SAID`].
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// How often apps are asked; [`limits::APP_POLL`].
    #[must_use]
    pub fn with_poll(self, poll: Duration) -> Self {
        Self { poll, ..self }
    }
}

/// The apps of one engine. A cheap handle.
#[derive(Clone)]
pub struct Apps(Arc<Inner>);

struct Inner {
    engine: Engine,
    admission: Admission,
    directory: Directory,
    poll: Duration,
    handlers: Handlers,
    /// One change after the other, from the directory to the store.
    kept: tokio::sync::Mutex<Kept>,
}

impl Apps {
    /// The functions of an app are these from now on. Says whether they are others than before.
    ///
    /// # Errors
    /// [`SyncError`] names function, option and value; then nothing has changed. When it cannot be committed, the app is known and what is
    /// stored is behind, until the app registers itself again or anything else changes: each of these stores what is known.
    pub async fn register(&self, registration: &Registration) -> Result<bool, SyncError> {
        let Inner {
            engine,
            directory,
            kept,
            ..
        } = &*self.0;
        let mut kept = kept.lock().await;
        let known = directory.app(&registration.config.id);
        if known.is_some_and(|known| known.checksum == registration.checksum) {
            kept.save_if_stale(engine, directory).await?;
            return Ok(false);
        }
        self.check_room(&kept, registration)?;
        let app = self.take_in(registration)?;
        kept.on_registered(&registration.config);
        self.withdraw_others(registration)?;
        kept.save(engine, directory).await?;
        tracing::info!(
            app = %app.id,
            url = app.url.as_deref().unwrap_or_default(),
            functions = app.functions.len(),
            "an app is registered"
        );
        Ok(true)
    }

    /// Takes the app away that is served at a URL, also one that was left out at the start. Its runs wait until it comes back. Says whether
    /// there was one.
    ///
    /// # Errors
    /// [`SyncError`] when it cannot be committed. Then it is gone and comes back with the next process, unless it is removed again or
    /// anything else changes.
    pub async fn remove(&self, url: &str) -> Result<bool, SyncError> {
        let Inner {
            engine,
            directory,
            kept,
            ..
        } = &*self.0;
        let mut kept = kept.lock().await;
        let apps = directory.apps();
        let app = apps.iter().find(|app| app.url.as_deref() == Some(url));
        let was_left_out = kept.on_removed(url);
        if let Some(app) = app {
            self.withdraw(&app.id)?;
        } else if !was_left_out {
            kept.save_if_stale(engine, directory).await?;
            return Ok(false);
        }
        kept.save(engine, directory).await?;
        Ok(true)
    }

    /// What is known of all apps.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// The URLs that are asked, and what came of it.
    #[must_use]
    pub fn handlers(&self) -> Vec<Handler> {
        self.0.handlers.all()
    }

    pub(crate) fn client(&self) -> &AppClient {
        &self.0.admission.client
    }

    pub(crate) fn kind(&self) -> ServerKind {
        self.0.admission.policy.kind
    }

    fn take_in(&self, registration: &Registration) -> Result<Arc<App>, SyncError> {
        let Inner {
            engine,
            directory,
            admission,
            ..
        } = &*self.0;
        let app = admission.admit(registration)?;
        let before = directory.app(&app.id);
        directory.add(&app);
        let functions = app.functions.iter().map(|function| function.engine.clone());
        match engine.register(&app.id, functions.collect()) {
            Ok(()) => {
                directory.replace(&app.id, Some(Arc::clone(&app)));
                Ok(app)
            }
            Err(error) => {
                directory.replace(&app.id, before);
                Err(error.into())
            }
        }
    }

    fn check_room(&self, kept: &Kept, registration: &Registration) -> Result<(), SyncError> {
        let config = &registration.config;
        let apps = self.0.directory.apps();
        let others = apps
            .iter()
            .filter(|app| !stored::is_replaced(&app.id, app.url.as_deref(), config))
            .map(|app| app.text.len());
        let others: Vec<_> = others.chain(kept.beside(config)).collect();
        stored::check_room(&others, registration)
    }

    /// One URL serves one app: others that were served there are gone.
    fn withdraw_others(&self, registration: &Registration) -> Result<(), SyncError> {
        let config = &registration.config;
        let is_gone = |other: &&Arc<App>| {
            other.id != config.id && stored::is_replaced(&other.id, other.url.as_deref(), config)
        };
        for gone in self.0.directory.apps().iter().filter(is_gone) {
            tracing::info!(app = %gone.id, successor = %config.id, "an app is gone, another one is served at its URL");
            self.withdraw(&gone.id)?;
        }
        Ok(())
    }

    fn withdraw(&self, app: &AppId) -> Result<(), SyncError> {
        self.0.engine.register(app, Vec::new())?;
        self.0.directory.replace(app, None);
        Ok(())
    }
}

impl fmt::Debug for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apps")
            .field("directory", &self.0.directory)
            .finish_non_exhaustive()
    }
}

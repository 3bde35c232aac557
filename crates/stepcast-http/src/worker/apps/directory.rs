//! What is known of apps and their functions.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use parking_lot::RwLock;
use stepcast_engine::runs::FunctionConfig;
use stepcast_protocol::{FunctionId, names::AppId, sdk::config::Trigger};

use super::{
    conversion::{self, Policy},
    error::SyncError,
    registration::Registration,
};
use crate::worker::served::{Served, ServedFunction};

/// An app that was taken in.
#[derive(Debug)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// Where it is served.
    pub url: Option<String>,
    /// Its SDK, e.g. `js:v4.24.0`.
    pub sdk: Option<String>,
    /// What it runs in, e.g. `nextjs`.
    pub framework: Option<String>,
    /// Its version, if its developers count them.
    pub version: Option<String>,
    /// Its functions, in its own order.
    pub functions: Vec<Arc<AppFunction>>,
    pub(super) checksum: String,
    pub(super) text: String,
}

/// A function of an app.
#[derive(Debug)]
pub struct AppFunction {
    /// Its id.
    pub id: FunctionId,
    /// What its developers call it.
    pub name: String,
    /// What starts it, as the app says it.
    pub triggers: Vec<Trigger>,
    /// How it is called.
    pub served: ServedFunction,
    /// What the engine knows of it.
    pub engine: FunctionConfig,
    /// Options that it asks for and that are ignored.
    pub ignored: Vec<&'static str>,
}

impl App {
    pub(super) fn new(registration: &Registration, policy: &Policy) -> Result<Self, SyncError> {
        let Registration {
            config,
            checksum,
            text,
        } = registration;
        let functions = config.functions.iter();
        let function = |function| conversion::function(function, policy).map(Arc::new);
        Ok(Self {
            id: config.id.clone(),
            url: config.url.clone(),
            sdk: config.sdk.clone(),
            framework: config.framework.clone(),
            version: config.version.clone(),
            functions: functions.map(function).collect::<Result<_, _>>()?,
            checksum: checksum.clone(),
            text: text.clone(),
        })
    }
}

/// What is known of apps. A cheap handle; the worker and [`Apps`](super::Apps) share one.
#[derive(Clone, Default)]
pub struct Directory(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    apps: BTreeMap<AppId, Arc<App>>,
    functions: HashMap<FunctionId, Arc<AppFunction>>,
}

impl Directory {
    /// All apps, in the order of their ids.
    #[must_use]
    pub fn apps(&self) -> Vec<Arc<App>> {
        self.0.read().apps.values().map(Arc::clone).collect()
    }

    /// One app.
    #[must_use]
    pub fn app(&self, id: &AppId) -> Option<Arc<App>> {
        self.0.read().apps.get(id).map(Arc::clone)
    }

    /// One function.
    #[must_use]
    pub fn function(&self, id: &FunctionId) -> Option<Arc<AppFunction>> {
        self.0.read().functions.get(id).map(Arc::clone)
    }

    /// Knows an app's functions beside those that it had.
    pub(super) fn add(&self, app: &App) {
        let mut known = self.0.write();
        for function in &app.functions {
            known
                .functions
                .insert(function.id.clone(), Arc::clone(function));
        }
    }

    /// Knows an app as this, or not any more.
    pub(super) fn replace(&self, id: &AppId, app: Option<Arc<App>>) {
        let mut known = self.0.write();
        match app {
            Some(app) => known.apps.insert(id.clone(), app),
            None => known.apps.remove(id),
        };
        let functions = known.apps.values().flat_map(|app| &app.functions);
        known.functions = functions
            .map(|function| (function.id.clone(), Arc::clone(function)))
            .collect();
    }
}

impl Served for Directory {
    fn function(&self, id: &FunctionId) -> Option<ServedFunction> {
        let function = Self::function(self, id)?;
        Some(function.served.clone())
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.read();
        f.debug_struct("Directory")
            .field("apps", &known.apps.len())
            .field("functions", &known.functions.len())
            .finish()
    }
}

//! Functions that apps serve over HTTP. [`worker`] is the one place where they come into a server.

use std::sync::Arc;

use stepcast_engine::runs::{FunctionConfig, LeasedRun, Worker};

use super::settings::AppUrl;
use crate::exit::Failure;

/// What a server executes, and who does it.
pub(super) struct Served {
    pub(super) functions: Vec<FunctionConfig>,
    pub(super) worker: Arc<dyn Worker>,
}

/// The functions of these apps, and the worker that calls them.
///
/// # Errors
/// When an app is named: calling functions over HTTP is not in this build.
pub(super) fn worker(apps: &[AppUrl]) -> Result<Served, Failure> {
    match apps {
        [] => Ok(Served {
            functions: Vec::new(),
            worker: Arc::new(Nobody),
        }),
        [app, ..] => Err(Failure::usage(format!(
            "app `{app}` cannot be served: functions over HTTP are not in this build; leave out -u, --app and STEPCAST_APP to serve \
             events, channels and tokens"
        ))),
    }
}

/// Executes nothing. The engine leases only runs of functions it knows, and it knows none.
struct Nobody;

impl Worker for Nobody {
    fn start(&self, run: LeasedRun) {
        tracing::error!(run = %run.id, function = %run.function, "a run was leased and nobody executes functions");
    }
}

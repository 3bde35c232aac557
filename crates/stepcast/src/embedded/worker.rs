//! Executes the app's functions in this process, on the runtime that opened it.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use stepcast_engine::{
    hub::Hub,
    runs::{Failure, LeasedRun, Worker},
};
use stepcast_protocol::{ErrorCode, FunctionId};
use tokio::runtime::Handle;
use tracing::Instrument;

use crate::{
    app::Function,
    channels::Channels,
    error::Error,
    execution::{Body, Driver, Execution, Finished, Watchdog, panicked},
};

/// The worker of an embedded engine.
pub(super) struct LocalWorker {
    functions: HashMap<FunctionId, Function>,
    channels: Channels,
    runtime: Handle,
    watchdog: Watchdog,
    /// Set once the engine is made: the engine needs the worker first. Runs that come before wait for it.
    hub: OnceLock<Hub>,
    early: parking_lot::Mutex<Vec<LeasedRun>>,
}

impl LocalWorker {
    pub(super) fn new(
        functions: HashMap<FunctionId, Function>,
        channels: Channels,
        runtime: Handle,
    ) -> Self {
        Self {
            functions,
            channels,
            runtime,
            watchdog: Watchdog::start(),
            hub: OnceLock::new(),
            early: parking_lot::Mutex::default(),
        }
    }

    /// The engine is there; runs that it leased while it was being opened begin.
    pub(super) fn begin(&self, hub: Hub) {
        let early = {
            let mut early = self.early.lock();
            drop(self.hub.set(hub));
            std::mem::take(&mut *early)
        };
        early.into_iter().for_each(|run| self.start(run));
    }

    fn spawn(&self, run: LeasedRun, hub: &Hub) {
        let Some(function) = self.functions.get(&run.function) else {
            // The engine leases runs of known functions only.
            tracing::error!(run = %run.id, function = %run.function, "a run of an unknown function was leased");
            return run.lease.release();
        };
        let execution = Arc::new(Execution::new(
            &run,
            hub.clone(),
            self.channels.clone(),
            function.defaults,
        ));
        let pulse = self.watchdog.watch(run.id, run.function.clone());
        let (handler, retry) = (Arc::clone(&function.handler), function.retry);
        // What user code logs says which run it is of.
        let span = run.span();
        let LeasedRun {
            event,
            lease,
            updates,
            ..
        } = run;
        let execute = async move {
            let call = || handler.call(&event, Arc::clone(&execution));
            let body: Body = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
                Box::pin(std::future::ready(Err(panicked("the function", &*panic))))
            });
            match Driver::new(execution, body, updates, pulse).await {
                Finished::Returned(Ok(json)) => lease.returned(json),
                Finished::Returned(Err(error)) => lease.failed(failure(error), retry),
                Finished::Parked { seen } => lease.park(seen),
                Finished::Rested => lease.release(),
                Finished::Over => {}
            }
        };
        self.runtime.spawn(execute.instrument(span));
    }
}

fn failure(error: Error) -> Failure {
    // Mistakes in how steps are used stay mistakes at the next attempt.
    let mistakes = [
        ErrorCode::StepReused,
        ErrorCode::StepChanged,
        ErrorCode::StepNested,
        ErrorCode::TooManySteps,
    ];
    let terminal = error.is_terminal() || mistakes.iter().any(|code| code.as_str() == error.code());
    Failure {
        terminal,
        ..Failure::of(error.into_run_error())
    }
}

impl Worker for LocalWorker {
    fn start(&self, run: LeasedRun) {
        let hub = {
            let mut early = self.early.lock();
            match self.hub.get() {
                Some(hub) => hub,
                None => return early.push(run),
            }
        };
        self.spawn(run, hub);
    }
}

//! Executes the functions that apps serve over HTTP.
//!
//! Owns the calls of runs that are leased, and nothing that outlives the process. Never decides what a run is: it reports to the engine
//! through leases, and hears of commits. The engine starts it; SDKs reach it through the routes of checkpoints and state.
//!
//! - `served`: what the worker needs of others.
//! - `client`: makes the requests to apps.
//! - `apps`: which apps there are, and what functions they have.
//! - `errand`: requests that functions have the server make.
//! - `plan`: the decisions about one run, pure; `memory`: what is known of its steps; `heard`: what answers mean; `report`: what is to be
//!   said of a step.
//! - `driver`: carries the decisions out; `deliver`: says them to the engine; `drivers`: who drives which run; `recollection`: what is
//!   remembered between two leases; `calls`: which calls there were, and which came to nothing.

pub mod apps;
mod calls;
pub mod client;
mod deliver;
mod driver;
mod drivers;
pub mod errand;
mod heard;
mod memory;
mod plan;
mod recollection;
mod report;
pub mod served;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use stepcast_engine::{
    clock::Entropy,
    runs::{LeasedRun, Pauses, Retry, Worker},
};
use stepcast_protocol::{RequestId, RunId, limits, sdk::Checkpoint};
use tokio::runtime::Handle;
use tracing::Instrument;

pub use self::{
    apps::{Apps, AppsOptions, Directory, Discovery, KnownApps},
    client::{AppClient, ClientOptions},
    drivers::Refused,
    errand::{Brought, Errand, ErrandError},
    served::{Answered, CallError, CallRequest, Caller, Served, ServedFunction},
};
use self::{
    calls::Calls,
    driver::{Driver, not_served},
    drivers::{Ask, Drivers},
    recollection::Recollection,
};

/// The worker of an engine whose functions apps serve. A cheap handle.
#[derive(Clone)]
pub struct ServedWorker {
    shared: Arc<Shared>,
    runtime: Handle,
}

struct Shared {
    served: Arc<dyn Served>,
    caller: Arc<dyn Caller>,
    calls: Calls,
    pauses: Pauses,
    recollection: Recollection,
    drivers: Arc<Drivers>,
}

impl ServedWorker {
    /// A worker that knows functions from `served`, calls them by `caller`, and does so on a runtime.
    #[must_use]
    pub fn new(served: Arc<dyn Served>, caller: Arc<dyn Caller>, runtime: Handle) -> Self {
        let pauses = Pauses::Listed {
            pauses: limits::SERVED_PAUSES,
            jitter: limits::SERVED_PAUSE_JITTER,
        };
        Self::with_pauses(served, caller, runtime, pauses)
    }

    /// The same with one pause before every retry, instead of [`limits::SERVED_PAUSES`].
    #[must_use]
    pub fn with_retry_interval(
        served: Arc<dyn Served>,
        caller: Arc<dyn Caller>,
        runtime: Handle,
        interval: Duration,
    ) -> Self {
        Self::with_pauses(served, caller, runtime, Pauses::Fixed(interval))
    }

    fn with_pauses(
        served: Arc<dyn Served>,
        caller: Arc<dyn Caller>,
        runtime: Handle,
        pauses: Pauses,
    ) -> Self {
        let shared = Arc::new(Shared {
            served,
            caller,
            calls: Calls::new(&Entropy::system()),
            pauses,
            recollection: Recollection::default(),
            drivers: Arc::default(),
        });
        Self { shared, runtime }
    }

    /// Takes what a call reports before its answer, and returns after the commits.
    pub(crate) async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<(), Refused> {
        let run = checkpoint.run;
        let ask = |reply| Ask::Checkpoint(checkpoint, reply);
        let answer = self.shared.drivers.ask(run, ask).await;
        answer.unwrap_or(Err(Refused::NotDriven(run)))
    }

    /// Whether a call has come to nothing, so that what it says any more does not count.
    pub(crate) fn has_lost(&self, call: RequestId) -> bool {
        self.shared.calls.is_lost(call)
    }

    /// Whether a call is under way.
    pub(crate) fn is_in_call(&self, call: RequestId) -> bool {
        self.shared.calls.is_open(call)
    }

    /// What is remembered of a run's steps, as one JSON object; nothing when the run is not executed here.
    pub(crate) async fn steps(&self, run: RunId) -> Option<Bytes> {
        self.shared.drivers.ask(run, Ask::Steps).await
    }

    /// What started a run, as one JSON array; nothing when the run is not executed here.
    pub(crate) async fn events(&self, run: RunId) -> Option<Bytes> {
        self.shared.drivers.ask(run, Ask::Events).await
    }
}

impl Worker for ServedWorker {
    fn start(&self, run: LeasedRun) {
        let Some(served) = self.shared.served.function(&run.function) else {
            // Gone since the engine leased it: tried again like an app that is down.
            let retry = self.shared.retry(run.attempt);
            return run.lease.failed(not_served(&run.function), retry);
        };
        let (place, asks) = self.shared.drivers.enter(run.id);
        let span = run.span();
        let driver = Driver::new(run, &served, Arc::clone(&self.shared));
        self.runtime
            .spawn(driver.drive(place, asks).instrument(span));
    }
}

impl Shared {
    fn retry(&self, retries: u32) -> Retry {
        Retry::times(retries).with_pauses(self.pauses)
    }
}

impl fmt::Debug for ServedWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedWorker").finish_non_exhaustive()
    }
}

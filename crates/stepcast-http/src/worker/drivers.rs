//! Who drives which run in this process, and what others may ask them.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use stepcast_protocol::{ErrorCode, RunError, RunId, sdk::Checkpoint};
use tokio::sync::{mpsc, oneshot};

/// What waits for one driver.
const ASKED_AT_ONCE: usize = 16;

/// What a driver may be asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// To take what a call reports before its answer. The reply comes after the commits.
    Checkpoint(Checkpoint, oneshot::Sender<Result<(), Refused>>),
    /// What is remembered of the run's steps: one JSON object.
    Steps(oneshot::Sender<Bytes>),
    /// What started the run: one JSON array.
    Events(oneshot::Sender<Bytes>),
}

/// Why what a call reports before its answer is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody executes the run here: it has ended, waits, or is unknown.
    #[error("run {0} is not executed by this server at the moment")]
    NotDriven(RunId),
    /// Another call goes on with the run, or none.
    #[error(
        "the call that reports is no longer the current one of run {0}; its run goes on without it"
    )]
    NotCurrent(RunId),
    /// A report of another kind of run.
    #[error("run {0} is no endpoint; `SyncRunComplete` cannot end it")]
    NotAnEndpoint(RunId),
    /// A step that cannot be recorded.
    #[error("{}", .0.message)]
    Step(RunError),
}

impl Refused {
    /// The code this has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotDriven(_) => ErrorCode::LeaseLost,
            Self::NotCurrent(_) => ErrorCode::AttemptOver,
            Self::NotAnEndpoint(_) => ErrorCode::BadRequest,
            Self::Step(error) => error.code.parse().unwrap_or(ErrorCode::Internal),
        }
    }
}

/// The drivers of this process.
#[derive(Debug, Default)]
pub(super) struct Drivers(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_run: HashMap<RunId, (u64, mpsc::Sender<Ask>)>,
    last: u64,
}

/// A driver's place. Dropped when it ends.
#[derive(Debug)]
pub(super) struct Place {
    drivers: Arc<Drivers>,
    run: RunId,
    number: u64,
}

impl Drivers {
    /// A run is driven from now on.
    pub(super) fn enter(self: &Arc<Self>, run: RunId) -> (Place, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKED_AT_ONCE);
        let mut inner = self.0.lock();
        inner.last += 1;
        let number = inner.last;
        inner.by_run.insert(run, (number, asks));
        let drivers = Arc::clone(self);
        let place = Place {
            drivers,
            run,
            number,
        };
        (place, asked)
    }

    fn of(&self, run: RunId) -> Option<mpsc::Sender<Ask>> {
        let inner = self.0.lock();
        inner.by_run.get(&run).map(|(_, asks)| asks.clone())
    }

    /// Asks the driver of a run; nothing when there is none, or when it ended meanwhile.
    pub(super) async fn ask<T>(
        &self,
        run: RunId,
        ask: impl FnOnce(oneshot::Sender<T>) -> Ask,
    ) -> Option<T> {
        let asks = self.of(run)?;
        let (reply, answer) = oneshot::channel();
        asks.send(ask(reply)).await.ok()?;
        answer.await.ok()
    }
}

impl Drop for Place {
    /// The run's next driver may have come before this one is gone.
    fn drop(&mut self) {
        let mut inner = self.drivers.0.lock();
        let is_mine = |(number, _): &(u64, _)| *number == self.number;
        if inner.by_run.get(&self.run).is_some_and(is_mine) {
            inner.by_run.remove(&self.run);
        }
    }
}

//! One run's function in memory: which steps are on record, what is under way, and in which order results reach the function.
//!
//! [`table`] knows the steps, [`claim`] is one use of a step, [`scope`] says whose code is being polled, [`driver`] polls the function
//! and hands out results one at a time, in the order of commits. Nothing here knows what a step does; that is `step`.

mod claim;
mod driver;
mod scope;
mod table;
mod watchdog;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use stepcast_engine::{
    hub::Hub,
    runs::{LeasedRun, Retry, RunLease},
    store::BodyKey,
};
use stepcast_protocol::{ChannelName, Origin, RunId, StepId};

use self::table::Table;
pub(crate) use self::{
    claim::{Claim, Next},
    driver::{Body, Driver, Finished, panicked},
    scope::{AttemptScope, in_attempt},
    watchdog::Watchdog,
};
use crate::{
    channels::{Channels, Encoded},
    error::Error,
};

/// What a function's settings are for its steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepDefaults {
    pub(crate) retry: Retry,
    pub(crate) timeout: Duration,
}

/// What one execution of a function shares with its steps and publishers.
pub(crate) struct Execution {
    pub(crate) run: RunId,
    pub(crate) attempt: u32,
    pub(crate) lease: RunLease,
    pub(crate) hub: Hub,
    pub(crate) channels: Channels,
    pub(crate) defaults: StepDefaults,
    table: Mutex<Table>,
    /// What the body has published for good in earlier executions and has not come to in this one.
    settled: Mutex<BTreeMap<BodyKey, u32>>,
    /// Set before the function is dropped: its steps then report nothing any more.
    closed: AtomicBool,
    body: Arc<Origin>,
}

impl Execution {
    pub(crate) fn new(
        run: &LeasedRun,
        hub: Hub,
        channels: Channels,
        defaults: StepDefaults,
    ) -> Self {
        Self {
            run: run.id,
            attempt: run.attempt,
            lease: run.lease.clone(),
            hub,
            channels,
            defaults,
            table: Mutex::new(Table::new(&run.steps)),
            settled: Mutex::new(run.body.clone()),
            closed: AtomicBool::new(false),
            body: Arc::new(Origin {
                run: run.id,
                step: None,
                attempt: run.attempt,
            }),
        }
    }

    /// Uses a step id for the first time in this execution.
    pub(crate) fn claim(
        self: &Arc<Self>,
        key: stepcast_engine::runs::StepKey,
    ) -> Result<Claim, Error> {
        if let Some(outer) = self.current_attempt() {
            return Err(nested(&key.id, outer.step()));
        }
        self.table.lock().claim(&key)?;
        Ok(Claim::new(Arc::clone(self), key))
    }

    /// The attempt whose code is being polled right now, if it belongs to this execution.
    pub(crate) fn current_attempt(&self) -> Option<Arc<AttemptScope>> {
        scope::current().filter(|scope| scope.origin().run == self.run)
    }

    /// Who publishes: the attempt that is being polled, else the function's body.
    pub(crate) fn origin(&self) -> Arc<Origin> {
        self.current_attempt().map_or_else(
            || Arc::clone(&self.body),
            |scope| Arc::clone(scope.origin()),
        )
    }

    /// In a replay, hands out no result while this lives.
    pub(crate) fn hold_results(&self) -> Held<'_> {
        self.table.lock().hold();
        Held(self)
    }

    /// The publisher of a durable step.
    pub(crate) fn step_origin(&self, step: &StepId, attempt: u32) -> Arc<Origin> {
        Arc::new(Origin {
            run: self.run,
            step: Some(step.clone()),
            attempt,
        })
    }

    /// Whether an earlier execution of the body has published this message for good. Each of them is found once.
    pub(crate) fn take_settled(&self, channel: &ChannelName, message: &Encoded) -> bool {
        let mut settled = self.settled.lock();
        if settled.is_empty() {
            return false;
        }
        let key = BodyKey::of(channel, &message.topic, &message.payload);
        let Some(count) = settled.get_mut(&key) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            settled.remove(&key);
        }
        true
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Something of the function is under way that is not on record.
pub(crate) struct Held<'a>(&'a Execution);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.table.lock().release();
    }
}

fn nested(inner: &StepId, outer: &StepId) -> Error {
    let text = format!(
        "step `{inner}` was used inside step `{outer}`; use it after that step, or make it plain code"
    );
    Error::coded(stepcast_protocol::ErrorCode::StepNested, text).terminal()
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

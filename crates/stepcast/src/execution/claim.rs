//! One use of a step by the function, from its first poll to its result. Dropping it on the way abandons what it was doing.

use std::{future::poll_fn, sync::Arc, task::Poll};

use stepcast_engine::{runs::StepKey, store::Outcome};

use super::{Execution, table::Standing};
use crate::error::Error;

/// The use of one step. At most one attempt of it executes.
pub(crate) struct Claim {
    execution: Arc<Execution>,
    key: StepKey,
    executing: bool,
    done: bool,
}

impl Claim {
    pub(super) fn new(execution: Arc<Execution>, key: StepKey) -> Self {
        Self {
            execution,
            key,
            executing: false,
            done: false,
        }
    }

    pub(crate) fn key(&self) -> &StepKey {
        &self.key
    }

    pub(crate) fn execution(&self) -> &Arc<Execution> {
        &self.execution
    }

    /// Waits until there is something to do: to execute, or to take the result. Recorded waits and reports are waited for.
    pub(crate) async fn next(&mut self) -> Next {
        let standing = poll_fn(|context| {
            let mut table = self.execution.table.lock();
            table
                .standing(&self.key.id, context.waker())
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        match standing {
            Standing::Open { at, .. } => {
                if let Some(at) = at {
                    self.execution.lease.wait_until(at).await;
                }
                Next::Execute
            }
            Standing::Delivered(outcome) => self.finish(outcome),
            Standing::Refused(error) => self.finish(Outcome::Err(error)),
            Standing::Reported | Standing::Waiting | Standing::Ended => {
                unreachable!("these are waited for")
            }
        }
    }

    fn finish(&mut self, outcome: Outcome) -> Next {
        self.done = true;
        match outcome {
            Outcome::Ok(json) => Next::Result(Ok(json)),
            // A step has had all its attempts: when its error leaves the function, the run ends.
            Outcome::Err(error) => Next::Result(Err(Error::recorded(error).terminal())),
        }
    }

    /// Begins an attempt. Never comes back when the run is to come to rest.
    pub(crate) async fn begin(&mut self) -> u32 {
        let attempt = self.execution.table.lock().begin_attempt(&self.key.id);
        match attempt {
            Some(attempt) => {
                self.executing = true;
                let lease = &self.execution.lease;
                self.key.began_at.get_or_insert_with(|| lease.now());
                lease.step_began(&self.key, attempt);
                attempt
            }
            None => std::future::pending().await,
        }
    }

    /// The attempt is over and `report` says to the engine what came of it.
    pub(crate) fn report(&mut self, report: impl FnOnce(&Execution, StepKey)) {
        let mut table = self.execution.table.lock();
        if std::mem::take(&mut self.executing) {
            table.end_attempt(&self.key.id, true);
        } else {
            table.report(&self.key.id);
        }
        drop(table);
        report(&self.execution, self.key.clone());
    }
}

/// What a step's future does next.
pub(crate) enum Next {
    /// Execute it.
    Execute,
    /// Take the result.
    Result(Result<bytes::Bytes, Error>),
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.done || self.execution.is_closed() {
            return;
        }
        let mut table = self.execution.table.lock();
        let abandoned = std::mem::take(&mut self.executing);
        if abandoned {
            table.abandon(&self.key.id);
        }
        table.drop_claim(&self.key.id);
        drop(table);
        if abandoned {
            self.execution.lease.step_abandoned(self.key.clone());
        }
    }
}

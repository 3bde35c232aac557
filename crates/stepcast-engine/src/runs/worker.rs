//! The border between the engine and whoever executes functions. A worker is handed a run with its lease; it reports through the lease and
//! hears back through updates, in the order of commits.

use std::{collections::BTreeMap, sync::Arc};

use stepcast_protocol::{Event, FunctionId, RunError, RunId, StepId, Timestamp};
use tokio::sync::mpsc;

use super::lease::RunLease;
use crate::store::{BodyKey, Outcome, StepRow};

/// Executes functions.
pub trait Worker: Send + Sync + 'static {
    /// Takes a run over. Called on the store's thread: start a task and return.
    fn start(&self, run: LeasedRun);
}

/// A run that a worker holds until it gives the lease back, ends the run, or loses it.
#[derive(Debug)]
pub struct LeasedRun {
    /// The run.
    pub id: RunId,
    /// Its function.
    pub function: FunctionId,
    /// Which attempt of the body this is, from 1.
    pub attempt: u32,
    /// What started it.
    pub event: Arc<Event>,
    /// Its steps: ended ones first, in the order in which they ended, then the others.
    pub steps: Vec<StepRow>,
    /// What the body has published for good, and how often: a replay does not publish it again.
    pub body: BTreeMap<BodyKey, u32>,
    /// How the worker reports.
    pub lease: RunLease,
    /// What the worker hears. Holds at most one update per report and per recorded wait.
    pub updates: mpsc::UnboundedReceiver<Update>,
}

impl LeasedRun {
    /// What is logged inside it says which run it is of. For whatever a worker does for the run.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!("run", run = %self.id, function = %self.function, attempt = self.attempt)
    }
}

/// What a worker hears of a run it holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// A step has ended. Updates of this kind come in the order of `seq`.
    StepDone {
        /// The step.
        step: StepId,
        /// Its place in the order of results.
        seq: u64,
        /// Its result.
        outcome: Outcome,
    },
    /// A step is to be tried again.
    StepRetry {
        /// The step.
        step: StepId,
        /// How many attempts are used up.
        attempts: u32,
        /// Not before.
        at: Timestamp,
    },
    /// A wait is recorded.
    Waiting(StepId),
    /// A report on a step was refused; the step fails with this error.
    StepRefused {
        /// The step.
        step: StepId,
        /// Why.
        error: RunError,
    },
    /// Give the lease back as soon as nothing executes: others wait for the memory, or the process ends.
    GiveBack,
    /// The lease is over: drop the function. Nothing can be reported any more.
    Over,
}

//! What is remembered of runs between two leases, and is not in the store: what only saves calls when it is known.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use stepcast_protocol::{
    RunId, limits,
    sdk::{ProtocolVersion, StepHash},
};

/// What is remembered of one run. Whoever does not know it asks the function once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remembered {
    /// The version that its SDK chose.
    pub(super) version: ProtocolVersion,
    /// Whether the function is called after each step of its group.
    pub(super) eager: bool,
    /// The last result that the function was called with; nothing when it has to be called in any case.
    pub(super) discovered: Option<u64>,
    /// Steps that run in calls of their own.
    pub(super) planned: BTreeSet<StepHash>,
    /// Failures of the function before its last progress.
    pub(super) forgiven: u32,
}

/// What is remembered of all runs, up to a bound.
#[derive(Debug, Default)]
pub(super) struct Recollection(Mutex<BTreeMap<RunId, Remembered>>);

impl Recollection {
    pub(super) fn take(&self, run: RunId) -> Option<Remembered> {
        self.0.lock().remove(&run)
    }

    /// When there are too many, the oldest run is forgotten.
    pub(super) fn keep(&self, run: RunId, remembered: Remembered) {
        let mut runs = self.0.lock();
        runs.insert(run, remembered);
        if runs.len() > limits::RUNS_REMEMBERED {
            runs.pop_first();
        }
    }
}

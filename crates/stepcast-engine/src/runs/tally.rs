//! What has become of runs and steps, counted where their commits are completed: by function for the first [`limits::COUNTED_FUNCTIONS`]
//! of them, and together for the rest, as names are the users' to choose and whoever collects counts pays for each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use stepcast_protocol::{FunctionId, limits};

use crate::{
    histogram::{Distribution, Histogram},
    store::{Phase, Verb},
};

/// Milliseconds from a step's first attempt to the commit of its result.
const STEP_MILLIS: &[u64] = &[
    1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000,
    3_600_000,
];

/// What has become of the runs of a function since the process started.
#[derive(Debug, Default)]
pub(super) struct Tally {
    started: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
}

/// A tally as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) started: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
}

impl Tally {
    /// A run was executed for the first time.
    pub(super) fn on_started(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    /// A run is in another phase now.
    pub(super) fn on_phase(&self, phase: Phase) {
        let counter = match phase {
            Phase::Queued | Phase::Leased | Phase::Parked => return,
            Phase::Completed => &self.completed,
            Phase::Failed => &self.failed,
            Phase::Cancelled => &self.cancelled,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            started: read(&self.started),
            completed: read(&self.completed),
            failed: read(&self.failed),
            cancelled: read(&self.cancelled),
        }
    }
}

/// The tallies of all functions. A run looks up its own once, when it comes into memory.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    known: RwLock<BTreeMap<FunctionId, Arc<Tally>>>,
    others: Arc<Tally>,
}

impl Tallies {
    /// Where the runs of a function are counted.
    pub(super) fn of(&self, function: &FunctionId) -> Arc<Tally> {
        if let Some(tally) = self.known.read().get(function) {
            return Arc::clone(tally);
        }
        let mut known = self.known.write();
        if let Some(tally) = known.get(function) {
            return Arc::clone(tally);
        }
        if known.len() >= limits::COUNTED_FUNCTIONS {
            return Arc::clone(&self.others);
        }
        Arc::clone(known.entry(function.clone()).or_default())
    }

    /// What was counted of each function that is counted by itself, and of the others.
    pub(super) fn read(&self) -> (BTreeMap<FunctionId, Counts>, Counts) {
        let known = self.known.read();
        let counts = known.iter().map(|(id, tally)| (id.clone(), tally.read()));
        (counts.collect(), self.others.read())
    }
}

/// How long steps took, and how often they were tried again.
#[derive(Debug)]
pub(super) struct StepTally {
    took: [(Verb, Histogram); Verb::ALL.len()],
    retries: AtomicU64,
}

impl Default for StepTally {
    fn default() -> Self {
        Self {
            took: Verb::ALL.map(|verb| (verb, Histogram::new(STEP_MILLIS))),
            retries: AtomicU64::new(0),
        }
    }
}

impl StepTally {
    /// A step has its result.
    pub(super) fn on_done(&self, verb: Verb, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if let Some((_, histogram)) = self.took.iter().find(|(of, _)| *of == verb) {
            histogram.observe(millis);
        }
    }

    /// An attempt has failed and another one follows.
    pub(super) fn on_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn took(&self) -> Vec<(Verb, Distribution)> {
        let read = |(verb, histogram): &(Verb, Histogram)| (*verb, histogram.read());
        self.took.iter().map(read).collect()
    }

    pub(super) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_beyond_the_bound_are_counted_together() {
        let tallies = Tallies::default();
        let function = |n: usize| FunctionId::parse(format!("f{n}")).unwrap();
        for n in 0..limits::COUNTED_FUNCTIONS + 3 {
            tallies.of(&function(n)).on_started();
        }
        tallies.of(&function(0)).on_phase(Phase::Failed);
        let (known, others) = tallies.read();
        assert_eq!(known.len(), limits::COUNTED_FUNCTIONS);
        assert_eq!(others.started, 3);
        let first = known[&function(0)];
        assert_eq!((first.started, first.failed, first.completed), (1, 1, 0));
    }
}

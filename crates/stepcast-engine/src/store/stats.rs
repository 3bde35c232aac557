//! What a store has done so far, and what waits for it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{CommitError, Committed};
use crate::histogram::{Distribution, Histogram};

/// Microseconds from the beginning of a transaction to the end of its fsync.
const COMMIT_MICROS: &[u64] = &[
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000,
];
/// Batches in one transaction.
const GROUP_BATCHES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// Counts since the store was opened, and what waits now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// Transactions that were committed.
    pub groups: u64,
    /// Batches that were committed.
    pub batches: u64,
    /// Batches whose condition did not hold.
    pub refused: u64,
    /// Batches that failed otherwise.
    pub failed: u64,
    /// How long transactions took that were committed, in microseconds. Nothing where none waits for a disk.
    pub commit_micros: Distribution,
    /// How many batches each of them had.
    pub group_batches: Distribution,
    /// Batches that wait to be written.
    pub waiting_batches: usize,
    /// Their bytes, roughly.
    pub waiting_bytes: usize,
}

/// What a backend counts. Whoever writes adds, whoever asks reads; nobody waits for anybody.
#[derive(Debug)]
pub(super) struct Counters {
    batches: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    commit_micros: Histogram,
    group_batches: Histogram,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            batches: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            commit_micros: Histogram::new(COMMIT_MICROS),
            group_batches: Histogram::new(GROUP_BATCHES),
        }
    }
}

impl Counters {
    /// A transaction was committed.
    pub(super) fn on_group(&self, batches: usize) {
        self.group_batches
            .observe(u64::try_from(batches).unwrap_or(u64::MAX));
    }

    /// How long it took.
    pub(super) fn on_commit(&self, took: std::time::Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commit_micros.observe(micros);
    }

    /// Batches have their fates.
    pub(super) fn on_fates<'a>(
        &self,
        fates: impl IntoIterator<Item = &'a Result<Committed, CommitError>>,
    ) {
        let (mut committed, mut refused, mut failed) = (0, 0, 0);
        for fate in fates {
            match fate {
                Ok(_) => committed += 1,
                Err(CommitError::Refused(_)) => refused += 1,
                Err(
                    CommitError::NoSpace(_)
                    | CommitError::Rejected(_)
                    | CommitError::OutcomeUnknown(_)
                    | CommitError::Closed,
                ) => failed += 1,
            }
        }
        self.batches.fetch_add(committed, Ordering::Relaxed);
        self.refused.fetch_add(refused, Ordering::Relaxed);
        self.failed.fetch_add(failed, Ordering::Relaxed);
    }

    /// What has been counted, beside what waits.
    pub(super) fn read(&self, waiting_batches: usize, waiting_bytes: usize) -> StoreStats {
        let group_batches = self.group_batches.read();
        StoreStats {
            groups: group_batches.count(),
            batches: self.batches.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            commit_micros: self.commit_micros.read(),
            group_batches,
            waiting_batches,
            waiting_bytes,
        }
    }
}

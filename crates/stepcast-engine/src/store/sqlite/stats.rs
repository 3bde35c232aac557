//! What the writer has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SqliteStats {
    /// Transactions that were committed.
    pub groups: u64,
    /// Batches that were committed.
    pub batches: u64,
    /// Batches whose condition did not hold.
    pub refused: u64,
    /// Batches that failed otherwise.
    pub failed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    groups: AtomicU64,
    batches: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    pub(super) fn on_commit(&self) {
        self.groups.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn on_batches(&self, committed: u64, refused: u64, failed: u64) {
        self.batches.fetch_add(committed, Ordering::Relaxed);
        self.refused.fetch_add(refused, Ordering::Relaxed);
        self.failed.fetch_add(failed, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> SqliteStats {
        SqliteStats {
            groups: self.groups.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

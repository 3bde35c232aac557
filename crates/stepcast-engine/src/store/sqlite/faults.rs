//! Failures that tests ask for, where no disk can be made to fail on demand.
//!
//! Nothing here acts unless a test holds a clone of the [`Faults`] that the options carry.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// A handle to failures to come.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    commit: Arc<AtomicU8>,
}

/// How a COMMIT fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum CommitFault {
    /// It reports an error and nothing was written.
    Lost = 1,
    /// It reports an error though everything was written.
    Kept = 2,
}

impl Faults {
    /// The next COMMIT of a group fails.
    pub fn fail_next_commit(&self, fault: CommitFault) {
        self.commit.store(fault as u8, Ordering::SeqCst);
    }

    /// What is to happen to this COMMIT.
    pub(super) fn take(&self) -> Option<CommitFault> {
        if self.commit.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let asked = self.commit.swap(0, Ordering::SeqCst);
        [CommitFault::Lost, CommitFault::Kept]
            .into_iter()
            .find(|fault| *fault as u8 == asked)
    }
}

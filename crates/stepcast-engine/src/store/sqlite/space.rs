//! Whether there is room on the disk for more work.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::os;
use crate::store::{Batch, CommitError};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks at the disk now and then.
#[derive(Debug)]
pub(super) struct Space {
    directory: PathBuf,
    needed: u64,
    looked: Option<Instant>,
    /// Free bytes, while they are fewer than needed.
    short: Option<u64>,
}

impl Space {
    pub(super) fn new(directory: PathBuf, needed: u64) -> Self {
        Self {
            directory,
            needed,
            looked: None,
            short: None,
        }
    }

    /// Why this batch should not be written, if so.
    pub(super) fn check(&mut self, batch: &Batch) -> Result<(), CommitError> {
        match self.short() {
            Some(free) if batch.brings_work() => Err(self.refusal(free)),
            Some(_) | None => Ok(()),
        }
    }

    /// Why no batch that brings work should be written, if so.
    pub(super) fn check_any(&mut self) -> Result<(), CommitError> {
        self.short().map_or(Ok(()), |free| Err(self.refusal(free)))
    }

    fn refusal(&self, free: u64) -> CommitError {
        let needed = self.needed;
        CommitError::NoSpace(format!(
            "{free} bytes are free, at least {needed} are needed"
        ))
    }

    fn short(&mut self) -> Option<u64> {
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now - looked < LOOK_EVERY) {
            return self.short;
        }
        let free = os::free_bytes(&self.directory).ok().flatten();
        let short = free.filter(|free| *free < self.needed);
        match (self.short, short) {
            (None, Some(free)) => tracing::warn!(
                free,
                needed = self.needed,
                "the disk is nearly full: publishers and senders of events are refused"
            ),
            (Some(_), None) => tracing::info!("the disk has room again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        self.looked = Some(now);
        self.short = short;
        short
    }
}

//! What can be chosen when a database is opened.

use std::time::Duration;

use stepcast_protocol::limits;

use super::faults::Faults;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The loss of power: every commit waits for the disk.
    #[default]
    Full,
    /// The end of the process, also by `kill -9`. A loss of power may take the last commits; the file stays whole.
    Process,
}

/// How a database is opened. The defaults suit a server.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    pub(super) durability: Durability,
    pub(super) max_bytes: Option<u64>,
    pub(super) min_free_bytes: u64,
    pub(super) owner_wait: Duration,
    pub(super) faults: Faults,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            max_bytes: None,
            min_free_bytes: limits::FREE_DISK_BYTES,
            owner_wait: limits::OWNER_WAIT,
            faults: Faults::default(),
        }
    }
}

impl SqliteOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a commit survives; [`Durability::Full`] by default.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Bytes the database file may grow to, without its write-ahead log; as far as the disk goes by default. Batches that do not
    /// fit get `no_space`.
    #[must_use]
    pub fn with_max_bytes(self, bytes: u64) -> Self {
        Self {
            max_bytes: Some(bytes),
            ..self
        }
    }

    /// Free bytes on the disk below which publishers and senders of events get `no_space`;
    /// [`limits::FREE_DISK_BYTES`] by default. What runs write goes on until the disk is full, so that they can end.
    #[must_use]
    pub fn with_min_free_bytes(self, bytes: u64) -> Self {
        Self {
            min_free_bytes: bytes,
            ..self
        }
    }

    /// How long to wait for another owner of the file to go; [`limits::OWNER_WAIT`] by default.
    #[must_use]
    pub fn with_owner_wait(self, wait: Duration) -> Self {
        Self {
            owner_wait: wait,
            ..self
        }
    }

    /// For tests: failures to come.
    #[doc(hidden)]
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }
}

//! A database for one test, facts to wait for, and a store whose commits a test decides.

pub(crate) mod gated;

use std::{path::PathBuf, sync::Arc, time::Duration};

use stepcast_engine::{
    clock::Clock,
    hub::{Channel, Draft, Outgoing},
    store::sqlite::{SqliteOptions, SqliteStore},
};
use stepcast_protocol::{ChannelName, Cursor, Keep, Timestamp, TopicName};
use tempfile::TempDir;
use tokio::time::timeout;

/// How long a fact may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with one database in it, which outlives every life of its owner.
pub(crate) struct Database {
    directory: TempDir,
    options: SqliteOptions,
}

impl Database {
    pub(crate) fn new() -> Self {
        Self::with(SqliteOptions::new())
    }

    pub(crate) fn with(options: SqliteOptions) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            options,
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("test.db")
    }

    /// Begins a new life. Waits for the one before to let go of the file.
    pub(crate) async fn open(&self) -> Arc<SqliteStore> {
        self.open_with(self.options.clone()).await
    }

    /// The same, with other options.
    pub(crate) async fn open_with(&self, options: SqliteOptions) -> Arc<SqliteStore> {
        let file = self.file();
        let open = move || SqliteStore::open(file, options, Clock::system());
        let opened = tokio::task::spawn_blocking(open).await;
        Arc::new(opened.unwrap().unwrap())
    }
}

/// Waits for a fact, but not for ever.
pub(crate) async fn within<T>(fact: impl Future<Output = T>) -> T {
    timeout(PATIENCE, fact)
        .await
        .expect("this should have happened by now")
}

/// Looks again and again until something is there.
pub(crate) async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

/// A clock that stands still somewhere in 2026.
pub(crate) fn still_clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_795_000_000_000))
}

pub(crate) fn channel_name(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

pub(crate) fn draft(payload: impl Into<bytes::Bytes>, stored: bool) -> Draft {
    let keep = if stored { Keep::Log } else { Keep::Live };
    Draft::new(TopicName::parse("t").unwrap(), keep, payload.into(), None)
}

/// The n-th message: its payload is its number.
pub(crate) fn numbered(n: u64) -> Draft {
    draft(n.to_string(), true)
}

pub(crate) fn outgoing(channel: &Arc<Channel>, draft: Draft) -> Outgoing {
    Outgoing {
        channel: Arc::clone(channel),
        draft,
    }
}

pub(crate) fn offset(cursor: Cursor) -> u64 {
    cursor.offset.0
}

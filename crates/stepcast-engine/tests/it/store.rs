//! The SQLite store: the conformance suite, and what only a file can show.

mod conformance;
mod files;
mod groups;
mod space;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use stepcast_engine::store::{
    Batch, Store, StoreError, StoreExt, Write,
    conformance::{Place, samples},
    sqlite::{SqliteOptions, SqliteStore},
};
use stepcast_protocol::Timestamp;
use tempfile::TempDir;

/// A directory with one database in it.
struct Home {
    directory: TempDir,
    options: SqliteOptions,
}

impl Home {
    fn new() -> Self {
        Self::with(SqliteOptions::new())
    }

    fn with(options: SqliteOptions) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            options: options.with_owner_wait(Duration::ZERO),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("test.db")
    }

    fn open(&self) -> SqliteStore {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<SqliteStore, StoreError> {
        open(&self.file(), self.options.clone())
    }

    /// A connection beside the store's, as the `sqlite3` shell has one.
    fn shell(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.file()).unwrap()
    }
}

impl Place for Home {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.open())
    }
}

fn open(file: &Path, options: SqliteOptions) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(file, options, now)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// A message on channel `c` with a payload of so many bytes.
fn message(offset: u64, bytes: usize) -> Write {
    let mut message = (*samples::message(samples::cursor(1, offset), "t")).clone();
    message.payload = format!("\"{}\"", "x".repeat(bytes)).into();
    Write::Message(samples::channel("c"), Arc::new(message))
}

async fn put(store: &SqliteStore, write: Write) {
    store.commit(Batch::of(vec![write])).await.unwrap();
}

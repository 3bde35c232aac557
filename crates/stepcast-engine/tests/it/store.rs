//! The stores: the conformance suite, and what only a file can show.

mod conformance;
mod files;
mod fixtures;
mod groups;
mod memory;
mod model;
mod space;
mod twins;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use stepcast_engine::clock::Clock;
use stepcast_engine::store::{
    Batch, CommitError, Committed, Store, StoreError, StoreExt, Write,
    conformance::{Backup, Place, samples},
    memory::{AtOnce, Memory},
    sqlite::{SqliteOptions, SqliteStore},
};
use tempfile::TempDir;
use tokio::time::timeout;

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

/// What stores in memory hold, one after another.
#[derive(Default)]
struct InMemory(Memory);

impl Place for InMemory {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.open(Arc::new(AtOnce::here()), Clock::system()))
    }

    fn backup(&self) -> Backup {
        Backup::Refused
    }
}

fn open(file: &Path, options: SqliteOptions) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(file, options, Clock::system())
}

/// A message on channel `c` with a payload of so many bytes.
fn message(offset: u64, bytes: usize) -> Write {
    let mut message = (*samples::message(samples::cursor(1, offset), "t")).clone();
    message.payload = format!("\"{}\"", "x".repeat(bytes)).into();
    Write::Message(samples::channel("c"), Arc::new(message))
}

async fn put(store: &dyn Store, write: Write) -> Result<Committed, CommitError> {
    within(store.commit(Batch::of(vec![write]))).await
}

/// Waits for a fact, but not for ever.
async fn within<T>(fact: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), fact)
        .await
        .expect("the store answers in time")
}

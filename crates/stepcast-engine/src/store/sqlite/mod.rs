//! The SQLite backend: one file, one owner, one thread that writes, a few that read.
//!
//! Owns the file, its lock and its threads; never decides what a batch holds. The lock file says who owns the database, so that
//! the `sqlite3` shell and backups may read it meanwhile. Read in this order:
//!
//! - [`options`](SqliteOptions): what can be chosen; `file`, `owner`, `path`, `os`: how a file is opened, and by whom.
//! - `schema`: tables and persisted numbers; `encode` and `decode`: columns and values.
//! - `queue`, `writer`, `group`: from many batches to one fsync; `conditions`, `apply` and `apply_log`: one batch.
//! - `readers`, `queries` and `query_log`: what can be asked meanwhile; `backup`: a copy of everything.

mod apply;
mod apply_log;
mod backup;
mod channels;
mod conditions;
mod decode;
mod encode;
mod error;
mod faults;
mod file;
mod group;
mod options;
mod os;
mod owner;
mod path;
mod queries;
mod query_log;
mod queue;
mod readers;
mod schema;
mod space;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use stepcast_protocol::{
    Bounds, ChannelName, Cursor, Epoch, EventId, EventName, RunId, StepId, TopicName,
};
use tokio::sync::oneshot;

#[doc(hidden)]
pub use self::faults::{CommitFault, Faults};
pub use self::{
    backup::back_up,
    options::{Durability, SqliteOptions},
};
use self::{
    error::backend,
    owner::Owner,
    queue::Queue,
    readers::Readers,
    writer::{Life, Writer},
};
use super::{
    Batch, BoxFuture, ChannelRow, CommitError, EventQuery, EventWait, KeptRow, MessagePage,
    MessageQuery, NewestQuery, OnCommit, RunQuery, RunRow, Store, StoreError, StoreStats,
    StoredEvent, StoredRun, Timer, TopicRow, Unsettled, stats::Counters,
};
use crate::clock::Clock;

/// A database in one SQLite file.
///
/// Dropping it commits what waits and lets go of the file, but leaves the epoch open, as a crash would; [`Store::close`] says
/// goodbye.
pub struct SqliteStore {
    shared: Arc<Shared>,
    file: PathBuf,
    writer: Option<JoinHandle<()>>,
}

/// What the store, its writer and its readers share.
struct Shared {
    queue: Queue,
    readers: Readers,
    counters: Counters,
    epoch: AtomicU64,
}

impl Shared {
    fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::SeqCst);
    }
}

impl SqliteStore {
    /// Opens a database, made where there is none, and begins a new epoch. Blocks, up to the options' wait for its owner.
    ///
    /// # Errors
    /// [`StoreError`] says whose file it is, or what the operating system said.
    pub fn open(
        file: impl AsRef<Path>,
        options: SqliteOptions,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let file = path::resolve(file.as_ref())?;
        let owner = Owner::take(&file, options.owner_wait)?;
        let conn = file::open_writer(&file, &options)?;
        let epoch = file::begin_epoch(&conn, &file, clock.now())?;
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            readers: Readers::start(&file)?,
            counters: Counters::default(),
            epoch: AtomicU64::new(epoch.0),
        });
        let writer = Writer {
            life: Life::Open(Writer::groups(conn, epoch, &file, &options), owner),
            file: file.clone(),
            options,
            clock,
            shared: Arc::clone(&shared),
        };
        let writer = thread::Builder::new()
            .name("stepcast-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| backend("starting the writer thread", error))?;
        tracing::debug!(epoch = epoch.0, file = %file.display(), "the database is open");
        Ok(Self {
            shared,
            file,
            writer: Some(writer),
        })
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        self.shared.readers.ask(question)
    }
}

impl Store for SqliteStore {
    fn epoch(&self) -> Epoch {
        self.shared.epoch()
    }

    fn submit(&self, batch: Batch, done: OnCommit) {
        self.shared.queue.push(batch, done);
    }

    fn probe(&self) -> BoxFuture<'static, Result<(), CommitError>> {
        let (reply, answer) = oneshot::channel();
        self.shared.queue.probe(reply);
        Box::pin(async move { answer.await.unwrap_or(Err(CommitError::Closed)) })
    }

    fn stats(&self) -> StoreStats {
        let (batches, bytes) = self.shared.queue.waiting();
        self.shared.counters.read(batches, bytes)
    }

    fn channel(
        &self,
        name: ChannelName,
    ) -> BoxFuture<'static, Result<Option<ChannelRow>, StoreError>> {
        self.ask(move |conn| queries::channel(conn, &name))
    }

    fn offset_floor(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        self.ask(queries::offset_floor)
    }

    fn closed_cleanly(&self, epoch: Epoch) -> BoxFuture<'static, Result<Option<bool>, StoreError>> {
        self.ask(move |conn| queries::closed_cleanly(conn, epoch))
    }

    fn messages(&self, query: MessageQuery) -> BoxFuture<'static, Result<MessagePage, StoreError>> {
        self.ask(move |conn| query_log::messages(conn, &query))
    }

    fn newest(&self, query: NewestQuery) -> BoxFuture<'static, Result<Vec<Cursor>, StoreError>> {
        self.ask(move |conn| query_log::newest(conn, &query))
    }

    fn overflow(
        &self,
        channel: ChannelName,
        topic: TopicName,
        bounds: Bounds,
    ) -> BoxFuture<'static, Result<Option<Cursor>, StoreError>> {
        self.ask(move |conn| query_log::overflow(conn, &channel, &topic, bounds))
    }

    fn kept(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<KeptRow>, StoreError>> {
        self.ask(move |conn| query_log::kept(conn, after, limit))
    }

    fn empty_channels(
        &self,
        after: Option<ChannelName>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<ChannelName>, StoreError>> {
        self.ask(move |conn| query_log::empty_channels(conn, after.as_ref(), limit))
    }

    fn topics(
        &self,
        channel: ChannelName,
    ) -> BoxFuture<'static, Result<Vec<TopicRow>, StoreError>> {
        self.ask(move |conn| query_log::topics(conn, &channel))
    }

    fn channels_of(
        &self,
        run: RunId,
        after: Option<ChannelName>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<ChannelName>, StoreError>> {
        self.ask(move |conn| query_log::channels_of(conn, run, after.as_ref(), limit))
    }

    fn unsettled(&self, run: RunId) -> BoxFuture<'static, Result<Vec<Unsettled>, StoreError>> {
        self.ask(move |conn| query_log::unsettled(conn, run))
    }

    fn run(&self, id: RunId) -> BoxFuture<'static, Result<Option<StoredRun>, StoreError>> {
        self.ask(move |conn| queries::run(conn, id))
    }

    fn run_row(&self, id: RunId) -> BoxFuture<'static, Result<Option<RunRow>, StoreError>> {
        self.ask(move |conn| queries::run_row(conn, id))
    }

    fn runs(&self, query: RunQuery) -> BoxFuture<'static, Result<Vec<RunRow>, StoreError>> {
        self.ask(move |conn| queries::runs(conn, &query))
    }

    fn event(&self, id: EventId) -> BoxFuture<'static, Result<Option<StoredEvent>, StoreError>> {
        self.ask(move |conn| queries::event(conn, id))
    }

    fn events_after(
        &self,
        name: EventName,
        seq: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredEvent>, StoreError>> {
        self.ask(move |conn| queries::events_after(conn, &name, seq, limit))
    }

    fn events(
        &self,
        query: EventQuery,
    ) -> BoxFuture<'static, Result<Vec<StoredEvent>, StoreError>> {
        self.ask(move |conn| queries::events(conn, &query))
    }

    fn timers(
        &self,
        after: Option<Timer>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Timer>, StoreError>> {
        self.ask(move |conn| queries::timers(conn, after.as_ref(), limit))
    }

    fn event_waits(
        &self,
        after: Option<(RunId, StepId)>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<EventWait>, StoreError>> {
        self.ask(move |conn| queries::event_waits(conn, after.as_ref(), limit))
    }

    fn setting(
        &self,
        key: &'static str,
    ) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.ask(move |conn| queries::setting(conn, key))
    }

    fn backup(&self, to: PathBuf) -> BoxFuture<'static, Result<(), StoreError>> {
        let file = self.file.clone();
        self.ask(move |conn| backup::copy(conn, &file, &to))
    }

    fn reopen(&self) -> BoxFuture<'static, Result<Epoch, StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.shared.queue.reopen(reply);
        Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }

    fn close(&self) -> BoxFuture<'static, Result<(), StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.shared.queue.close(reply);
        Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.shared.queue.end();
        let Some(writer) = self.writer.take() else {
            return;
        };
        // A completion may hold the last handle; the writer cannot wait for itself and ends once it returns.
        if writer.thread().id() != thread::current().id() && writer.join().is_err() {
            tracing::error!("the writer thread had panicked");
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            shared,
            file,
            writer: _,
        } = self;
        f.debug_struct("SqliteStore")
            .field("file", file)
            .field("epoch", &shared.epoch())
            .finish_non_exhaustive()
    }
}

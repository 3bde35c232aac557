//! The store: the only truth.
//!
//! Owns what is on disk and the order in which it got there. Never numbers messages, never decides what a run does next,
//! never calls user code. The hub and the runs call it; it calls nobody but the completions it was given.
//!
//! [`Store`] is the contract that every backend keeps and that the suite `conformance` checks: [`sqlite`], and [`memory`] for those who
//! keep nothing.
//! [`batch`] says what can be changed, [`rows`] what can be read.

pub mod batch;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod guards;
pub mod memory;
pub mod rows;
pub mod sqlite;
mod stats;

use std::{future::Future, path::PathBuf, pin::Pin};

use stepcast_protocol::{
    Bounds, ChannelName, Cursor, Epoch, ErrorCode, EventId, EventName, RunId, TopicName,
};

pub use self::{
    batch::{
        Batch, CommitError, Committed, Expect, Fence, KnownEvent, Refusal, Urgency, UsedKey, Void,
        Write,
    },
    guards::Guards,
    rows::{
        BodyKey, ChannelRow, DuePlace, EventQuery, EventWait, KeptRow, MessagePage, MessageQuery,
        NewestQuery, Outcome, Parent, Phase, RunIs, RunQuery, RunRow, StepRow, StepState,
        StoredEvent, StoredRun, Timer, TopicRow, Unsettled, Verb,
    },
    stats::StoreStats,
};

/// A future that a store answers with.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is called once when a batch's fate is known.
///
/// Completions are called one at a time and in the order in which the batches were submitted, whatever their outcome. They run on
/// the store's own thread: they must be short, must not block, and may submit further batches.
pub type OnCommit = Box<dyn FnOnce(Result<Committed, CommitError>) + Send>;

/// Where truth is kept.
///
/// Writes are batches. [`Store::submit`] takes its place in the queue when it is called, not when somebody waits; batches are
/// committed in that order, so what a crash takes is always a suffix of them. Reads see everything whose completion was called.
pub trait Store: Send + Sync + 'static {
    /// This life of the store's owner: greater than every one before, committed before anything was served.
    fn epoch(&self) -> Epoch;

    /// Puts a batch into the queue. Never blocks; whoever fills the queue bounds it (the hub by bytes, a run by having one
    /// batch in flight).
    fn submit(&self, batch: Batch, done: OnCommit);

    /// Whether a batch that brings new work would be taken now. Passes through the queue, so that a store that is stuck does not answer, and
    /// writes nothing.
    fn probe(&self) -> BoxFuture<'static, Result<(), CommitError>>;

    /// What has been done since the store was opened, and what waits.
    fn stats(&self) -> StoreStats;

    /// What is known of a channel; nothing when it has never been written.
    fn channel(
        &self,
        name: ChannelName,
    ) -> BoxFuture<'static, Result<Option<ChannelRow>, StoreError>>;

    /// Where the offsets of a channel without a row begin.
    fn offset_floor(&self) -> BoxFuture<'static, Result<u64, StoreError>>;

    /// Whether an earlier epoch was closed cleanly, so that nothing of it was lost; nothing when there was no such epoch.
    fn closed_cleanly(&self, epoch: Epoch) -> BoxFuture<'static, Result<Option<bool>, StoreError>>;

    /// A page of messages in channel order.
    fn messages(&self, query: MessageQuery) -> BoxFuture<'static, Result<MessagePage, StoreError>>;

    /// The cursors of the newest published messages, newest first.
    fn newest(&self, query: NewestQuery) -> BoxFuture<'static, Result<Vec<Cursor>, StoreError>>;

    /// The newest message of a topic that has to go so that the rest is within its bounds of count and bytes; nothing when all may stay.
    fn overflow(
        &self,
        channel: ChannelName,
        topic: TopicName,
        bounds: Bounds,
    ) -> BoxFuture<'static, Result<Option<Cursor>, StoreError>>;

    /// Published messages of all channels in the order of their commits, after a place in it, at most `limit`.
    fn kept(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<KeptRow>, StoreError>>;

    /// Channels without a message and without a publisher's key, in the order of their names, after the given one, at most `limit`.
    fn empty_channels(
        &self,
        after: Option<ChannelName>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<ChannelName>, StoreError>>;

    /// What is kept of each topic of a channel, in the order of their names.
    fn topics(&self, channel: ChannelName)
    -> BoxFuture<'static, Result<Vec<TopicRow>, StoreError>>;

    /// What a run has published that no commit stands behind, oldest first: of its body since the last commit that settled it, of steps
    /// that have not ended. What the topics' bounds have taken of it counts too, as readers may hold it.
    fn unsettled(&self, run: RunId) -> BoxFuture<'static, Result<Vec<Unsettled>, StoreError>>;

    /// Channels on which a run is known to have published what is kept ([`Write::RunChannel`]), in the order of their names, after the
    /// given one, at most `limit`.
    fn channels_of(
        &self,
        run: RunId,
        after: Option<ChannelName>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<ChannelName>, StoreError>>;

    /// A run with its steps and its event.
    fn run(&self, id: RunId) -> BoxFuture<'static, Result<Option<StoredRun>, StoreError>>;

    /// A run without its steps.
    fn run_row(&self, id: RunId) -> BoxFuture<'static, Result<Option<RunRow>, StoreError>>;

    /// A page of runs.
    fn runs(&self, query: RunQuery) -> BoxFuture<'static, Result<Vec<RunRow>, StoreError>>;

    /// An event by the engine's id.
    fn event(&self, id: EventId) -> BoxFuture<'static, Result<Option<StoredEvent>, StoreError>>;

    /// The events of one name after a place in the order of commits, oldest first, at most `limit`.
    fn events_after(
        &self,
        name: EventName,
        seq: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredEvent>, StoreError>>;

    /// A page of events, newest first.
    fn events(&self, query: EventQuery)
    -> BoxFuture<'static, Result<Vec<StoredEvent>, StoreError>>;

    /// Timers in order, after the given one, at most `limit`.
    fn timers(
        &self,
        after: Option<Timer>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Timer>, StoreError>>;

    /// Open waits for events, in the order of their (run, step), after the given one, at most `limit`.
    fn event_waits(
        &self,
        after: Option<(RunId, stepcast_protocol::StepId)>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<EventWait>, StoreError>>;

    /// A setting of the installation, e.g. the tokens' secret.
    fn setting(&self, key: &'static str)
    -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>>;

    /// Copies everything into a new file while the store goes on.
    fn backup(&self, file: PathBuf) -> BoxFuture<'static, Result<(), StoreError>>;

    /// After an [`CommitError::OutcomeUnknown`]: reads the state from disk again, in a new epoch.
    fn reopen(&self) -> BoxFuture<'static, Result<Epoch, StoreError>>;

    /// Commits what waits, marks the epoch as closed cleanly and lets go of the files. Later calls get `closed`.
    fn close(&self) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// Sugar over [`Store`].
pub trait StoreExt: Store {
    /// Submits a batch and waits for its fate. The batch takes its place in the queue at the call, not at the first poll.
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<Committed, CommitError>> {
        let (done, outcome) = tokio::sync::oneshot::channel();
        self.submit(
            batch,
            Box::new(move |result| {
                // Nobody may be waiting any more; the batch has its fate all the same.
                drop(done.send(result));
            }),
        );
        Box::pin(async move { outcome.await.unwrap_or(Err(CommitError::Closed)) })
    }
}

impl<S: Store + ?Sized> StoreExt for S {}

/// Why a store cannot be opened, read or copied.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process owns the file.
    #[error("database `{file}` is in use by process {pid}; stop it or give another file")]
    InUse {
        /// The file.
        file: String,
        /// The owner's process id, or `unknown`.
        pid: String,
    },
    /// A file of some other program.
    #[error("file `{file}` is not a Stepcast database ({found}); give another file")]
    ForeignFile {
        /// The file.
        file: String,
        /// What was found instead.
        found: String,
    },
    /// A file of a newer version.
    #[error(
        "database `{file}` has schema version {found}, this program knows up to {known}; use a newer Stepcast"
    )]
    NewerFile {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// The disk is full, or nearly so.
    #[error("no space: {free} bytes are free where `{file}` is, at least {needed} are needed")]
    NoSpace {
        /// The file.
        file: String,
        /// Free bytes.
        free: u64,
        /// The bound.
        needed: u64,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// What the operating system or the database said.
    #[error("{doing}: {cause}")]
    Backend {
        /// What was being done.
        doing: String,
        /// The error's text.
        cause: String,
    },
}

impl StoreError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InUse { .. } => ErrorCode::InUse,
            Self::ForeignFile { .. } => ErrorCode::ForeignFile,
            Self::NewerFile { .. } => ErrorCode::NewerFile,
            Self::NoSpace { .. } => ErrorCode::NoSpace,
            Self::Closed => ErrorCode::Closing,
            Self::Backend { .. } => ErrorCode::Internal,
        }
    }
}

//! The backend in memory: the whole contract of a store, without a thread and without a file.
//!
//! For tests, for simulations, and for servers that keep nothing: what it holds ends with the process. A [`Memory`] outlives the stores
//! that are opened over it, one after another, as a file outlives its owners. When a batch is committed is decided by a [`Pace`]: on a
//! runtime's next turn, or when a simulation says so. Read in this order:
//!
//! - `work`: from what was submitted to what was committed and completed; `pace`: when.
//! - `tables`: what is held; `conditions`, `apply` and `apply_log`: one batch.
//! - `queries` and `query_log`: what can be asked.

mod apply;
mod apply_log;
mod conditions;
mod pace;
mod queries;
mod query_log;
mod tables;
mod work;

use std::{fmt, path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use stepcast_protocol::{
    Bounds, ChannelName, Cursor, Epoch, EventId, EventName, RunId, StepId, TopicName,
};
use tokio::sync::oneshot;

pub use self::{
    pace::{AtOnce, Pace},
    work::{Fault, Room, Work},
};
use self::{tables::Tables, work::Shared};
use super::{
    Batch, BoxFuture, ChannelRow, CommitError, EventQuery, EventWait, KeptRow, MessagePage,
    MessageQuery, NewestQuery, OnCommit, RunQuery, RunRow, Store, StoreError, StoreStats,
    StoredEvent, StoredRun, Timer, TopicRow, Unsettled,
};
use crate::clock::Clock;

/// What stores in memory hold. A cheap handle.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Tables>>);

impl Memory {
    /// Begins a new life, in a new epoch. One that has not ended by itself ends now, as if its process had died: what it has not committed is
    /// lost, and later calls of it get `closed`.
    #[must_use]
    pub fn open(&self, pace: Arc<dyn Pace>, clock: Clock) -> MemoryStore {
        let epoch = self.0.lock().begin_epoch(clock.now());
        let shared = Shared::new(self.clone(), pace, clock, epoch);
        MemoryStore(Arc::new(shared))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Memory").finish_non_exhaustive()
    }
}

/// A store over a [`Memory`]. Dropping it leaves the epoch open, as a crash would; [`Store::close`] says goodbye.
pub struct MemoryStore(Arc<Shared>);

impl MemoryStore {
    /// An empty store that commits on the runtime it is made on.
    ///
    /// Nobody remembers the stores that were there before it, so its epoch is in milliseconds since 1970: of two processes one after the
    /// other, within one second too, the later one has the greater epoch, and cursors of the earlier one are known to be foreign.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let memory = Memory::default();
        memory.0.lock().first_epoch = u64::try_from(clock.now().as_millis()).unwrap_or(0);
        memory.open(Arc::new(AtOnce::here()), clock)
    }

    /// What waits to be committed, for those who decide when.
    #[must_use]
    pub fn work(&self) -> Work {
        Work::of(&self.0)
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Tables) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            shared.delay().await;
            let answer = shared.read(question);
            shared.delay().await;
            answer
        })
    }
}

impl Store for MemoryStore {
    fn epoch(&self) -> Epoch {
        self.0.epoch()
    }

    fn submit(&self, batch: Batch, done: OnCommit) {
        Shared::submit(&self.0, batch, done);
    }

    fn probe(&self) -> BoxFuture<'static, Result<(), CommitError>> {
        let answer = self.0.probe();
        Box::pin(std::future::ready(answer))
    }

    fn stats(&self) -> StoreStats {
        self.0.stats()
    }

    fn channel(
        &self,
        name: ChannelName,
    ) -> BoxFuture<'static, Result<Option<ChannelRow>, StoreError>> {
        self.ask(move |tables| Ok(queries::channel(tables, &name)))
    }

    fn offset_floor(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        self.ask(|tables| Ok(tables.offset_floor))
    }

    fn closed_cleanly(&self, epoch: Epoch) -> BoxFuture<'static, Result<Option<bool>, StoreError>> {
        self.ask(move |tables| Ok(tables.epochs.get(&epoch).copied()))
    }

    fn messages(&self, query: MessageQuery) -> BoxFuture<'static, Result<MessagePage, StoreError>> {
        self.ask(move |tables| Ok(query_log::messages(tables, &query)))
    }

    fn newest(&self, query: NewestQuery) -> BoxFuture<'static, Result<Vec<Cursor>, StoreError>> {
        self.ask(move |tables| Ok(query_log::newest(tables, &query)))
    }

    fn overflow(
        &self,
        channel: ChannelName,
        topic: TopicName,
        bounds: Bounds,
    ) -> BoxFuture<'static, Result<Option<Cursor>, StoreError>> {
        self.ask(move |tables| Ok(query_log::overflow(tables, &channel, &topic, bounds)))
    }

    fn kept(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<KeptRow>, StoreError>> {
        self.ask(move |tables| Ok(query_log::kept(tables, after, limit)))
    }

    fn empty_channels(
        &self,
        after: Option<ChannelName>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<ChannelName>, StoreError>> {
        self.ask(move |tables| Ok(query_log::empty_channels(tables, after.as_ref(), limit)))
    }

    fn topics(
        &self,
        channel: ChannelName,
    ) -> BoxFuture<'static, Result<Vec<TopicRow>, StoreError>> {
        self.ask(move |tables| Ok(query_log::topics(tables, &channel)))
    }

    fn channels_of(
        &self,
        run: RunId,
        after: Option<ChannelName>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<ChannelName>, StoreError>> {
        self.ask(move |tables| Ok(query_log::channels_of(tables, run, after.as_ref(), limit)))
    }

    fn unsettled(&self, run: RunId) -> BoxFuture<'static, Result<Vec<Unsettled>, StoreError>> {
        self.ask(move |tables| Ok(query_log::unsettled(tables, run)))
    }

    fn run(&self, id: RunId) -> BoxFuture<'static, Result<Option<StoredRun>, StoreError>> {
        self.ask(move |tables| queries::run(tables, id))
    }

    fn run_row(&self, id: RunId) -> BoxFuture<'static, Result<Option<RunRow>, StoreError>> {
        self.ask(move |tables| Ok(tables.runs.get(&id).cloned()))
    }

    fn runs(&self, query: RunQuery) -> BoxFuture<'static, Result<Vec<RunRow>, StoreError>> {
        self.ask(move |tables| Ok(queries::runs(tables, &query)))
    }

    fn event(&self, id: EventId) -> BoxFuture<'static, Result<Option<StoredEvent>, StoreError>> {
        self.ask(move |tables| Ok(queries::event(tables, id)))
    }

    fn events_after(
        &self,
        name: EventName,
        seq: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredEvent>, StoreError>> {
        self.ask(move |tables| Ok(queries::events_after(tables, &name, seq, limit)))
    }

    fn events(
        &self,
        query: EventQuery,
    ) -> BoxFuture<'static, Result<Vec<StoredEvent>, StoreError>> {
        self.ask(move |tables| Ok(queries::events(tables, &query)))
    }

    fn timers(
        &self,
        after: Option<Timer>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Timer>, StoreError>> {
        self.ask(move |tables| Ok(queries::timers(tables, after, limit)))
    }

    fn event_waits(
        &self,
        after: Option<(RunId, StepId)>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<EventWait>, StoreError>> {
        self.ask(move |tables| Ok(queries::event_waits(tables, after, limit)))
    }

    fn setting(
        &self,
        key: &'static str,
    ) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.ask(move |tables| Ok(tables.settings.get(key).cloned()))
    }

    fn backup(&self, file: PathBuf) -> BoxFuture<'static, Result<(), StoreError>> {
        self.ask(move |_| {
            Err(StoreError::Backend {
                doing: format!("copying the store into `{}`", file.display()),
                cause: "it keeps everything in memory and has no file; use one that does"
                    .to_owned(),
            })
        })
    }

    fn reopen(&self) -> BoxFuture<'static, Result<Epoch, StoreError>> {
        let (reply, answer) = oneshot::channel();
        Shared::reopen(&self.0, reply);
        Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }

    fn close(&self) -> BoxFuture<'static, Result<(), StoreError>> {
        let (reply, answer) = oneshot::channel();
        Shared::close(&self.0, reply);
        Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("epoch", &self.0.epoch())
            .finish_non_exhaustive()
    }
}

//! A store that keeps batches back until a test decides what becomes of them, in an order of the test's own, and remembers what it let
//! through.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use stepcast_engine::store::{
    Batch, BoxFuture, ChannelRow, CommitError, EventQuery, EventWait, KeptRow, MessagePage,
    MessageQuery, NewestQuery, OnCommit, RunQuery, RunRow, Store, StoreError, StoreExt, StoreStats,
    StoredEvent, StoredRun, Timer, TopicRow, Unsettled, Urgency, Write,
};
use stepcast_protocol::{
    Bounds, ChannelName, Cursor, Epoch, EventId, EventName, RunId, StepId, TopicName,
};

pub(crate) struct GatedStore {
    inner: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    gate: Gate,
    kept_back: VecDeque<(Batch, OnCommit)>,
    let_through: Vec<Batch>,
    housekeeping: usize,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Gate {
    #[default]
    Open,
    Closed,
    /// The process is dead: nothing reaches the disk and nobody hears of anything.
    Gone,
}

impl GatedStore {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            state: Mutex::default(),
        })
    }

    /// Keeps back what is submitted from now on.
    pub(crate) fn close_gate(&self) {
        self.state().gate = Gate::Closed;
    }

    /// Lets everything through again.
    pub(crate) fn open_gate(&self) {
        let mut state = self.state();
        state.gate = Gate::Open;
        // Under the lock, so that nothing overtakes what was kept back.
        for (batch, done) in std::mem::take(&mut state.kept_back) {
            self.pass(&mut state, batch, done);
        }
    }

    /// What is kept back dies with the process: nobody hears of it.
    pub(crate) fn lose_all(&self) {
        let lost = std::mem::take(&mut self.state().kept_back);
        drop(lost);
    }

    /// The process dies at this moment.
    pub(crate) fn die(&self) {
        self.state().gate = Gate::Gone;
        self.lose_all();
    }

    pub(crate) fn kept_back(&self) -> usize {
        self.state().kept_back.len()
    }

    /// Waits until so many are kept back.
    pub(crate) async fn keeps_back(&self, count: usize) {
        super::eventually(async || (self.kept_back() == count).then_some(())).await;
    }

    /// Waits until the engine has kept house for the first time, so that no later commit is one that a test does not know of.
    pub(crate) async fn is_kept_house(&self) {
        super::eventually(async || (self.state().housekeeping > 0).then_some(())).await;
        self.inner.commit(Batch::default()).await.unwrap();
    }

    /// What was let through, housekeeping aside.
    pub(crate) fn let_through(&self) -> Vec<Batch> {
        self.state().let_through.clone()
    }

    /// Commits the n-th of those that are kept back.
    pub(crate) async fn commit_nth(&self, n: usize) {
        let (mut batch, done) = self.take(n);
        batch.urgency = Urgency::Now;
        let (told, fate) = tokio::sync::oneshot::channel();
        let completion = Box::new(move |result| {
            done(result);
            told.send(()).ok();
        });
        self.pass(&mut self.state(), batch, completion);
        super::within(fate).await.unwrap();
    }

    /// The n-th of those that are kept back is never written.
    pub(crate) fn fail_nth(&self, n: usize) {
        let (_, done) = self.take(n);
        done(Err(CommitError::Rejected("the test says so".to_owned())));
    }

    fn take(&self, n: usize) -> (Batch, OnCommit) {
        self.state().kept_back.remove(n).unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn pass(&self, state: &mut State, batch: Batch, done: OnCommit) {
        state.let_through.push(batch.clone());
        self.inner.submit(batch, done);
    }
}

/// The engine does this now and then, whatever a test is about.
fn is_housekeeping(batch: &Batch) -> bool {
    let mut writes = batch.writes.iter();
    !batch.writes.is_empty() && writes.all(|write| matches!(write, Write::Expire { .. }))
}

type Answer<T> = BoxFuture<'static, Result<T, StoreError>>;

impl Store for GatedStore {
    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }

    fn submit(&self, batch: Batch, done: OnCommit) {
        let mut state = self.state();
        match state.gate {
            Gate::Open | Gate::Closed if is_housekeeping(&batch) => {
                state.housekeeping += 1;
                self.inner.submit(batch, done);
            }
            Gate::Open => self.pass(&mut state, batch, done),
            Gate::Closed => state.kept_back.push_back((batch, done)),
            Gate::Gone => drop(state),
        }
    }

    fn probe(&self) -> BoxFuture<'static, Result<(), CommitError>> {
        self.inner.probe()
    }

    fn stats(&self) -> StoreStats {
        self.inner.stats()
    }

    fn channel(&self, name: ChannelName) -> Answer<Option<ChannelRow>> {
        self.inner.channel(name)
    }

    fn offset_floor(&self) -> Answer<u64> {
        self.inner.offset_floor()
    }

    fn closed_cleanly(&self, epoch: Epoch) -> Answer<Option<bool>> {
        self.inner.closed_cleanly(epoch)
    }

    fn messages(&self, query: MessageQuery) -> Answer<MessagePage> {
        self.inner.messages(query)
    }

    fn newest(&self, query: NewestQuery) -> Answer<Vec<Cursor>> {
        self.inner.newest(query)
    }

    fn overflow(
        &self,
        channel: ChannelName,
        topic: TopicName,
        bounds: Bounds,
    ) -> Answer<Option<Cursor>> {
        self.inner.overflow(channel, topic, bounds)
    }

    fn kept(&self, after: u64, limit: usize) -> Answer<Vec<KeptRow>> {
        self.inner.kept(after, limit)
    }

    fn empty_channels(&self, after: Option<ChannelName>, limit: usize) -> Answer<Vec<ChannelName>> {
        self.inner.empty_channels(after, limit)
    }

    fn topics(&self, channel: ChannelName) -> Answer<Vec<TopicRow>> {
        self.inner.topics(channel)
    }

    fn channels_of(
        &self,
        run: RunId,
        after: Option<ChannelName>,
        limit: usize,
    ) -> Answer<Vec<ChannelName>> {
        self.inner.channels_of(run, after, limit)
    }

    fn unsettled(&self, run: RunId) -> Answer<Vec<Unsettled>> {
        self.inner.unsettled(run)
    }

    fn run(&self, id: RunId) -> Answer<Option<StoredRun>> {
        self.inner.run(id)
    }

    fn run_row(&self, id: RunId) -> Answer<Option<RunRow>> {
        self.inner.run_row(id)
    }

    fn runs(&self, query: RunQuery) -> Answer<Vec<RunRow>> {
        self.inner.runs(query)
    }

    fn event(&self, id: EventId) -> Answer<Option<StoredEvent>> {
        self.inner.event(id)
    }

    fn events_after(&self, name: EventName, seq: u64, limit: usize) -> Answer<Vec<StoredEvent>> {
        self.inner.events_after(name, seq, limit)
    }

    fn events(&self, query: EventQuery) -> Answer<Vec<StoredEvent>> {
        self.inner.events(query)
    }

    fn timers(&self, after: Option<Timer>, limit: usize) -> Answer<Vec<Timer>> {
        self.inner.timers(after, limit)
    }

    fn event_waits(&self, after: Option<(RunId, StepId)>, limit: usize) -> Answer<Vec<EventWait>> {
        self.inner.event_waits(after, limit)
    }

    fn setting(&self, key: &'static str) -> Answer<Option<Vec<u8>>> {
        self.inner.setting(key)
    }

    fn backup(&self, file: PathBuf) -> Answer<()> {
        self.inner.backup(file)
    }

    fn reopen(&self) -> Answer<Epoch> {
        self.inner.reopen()
    }

    fn close(&self) -> Answer<()> {
        self.inner.close()
    }
}

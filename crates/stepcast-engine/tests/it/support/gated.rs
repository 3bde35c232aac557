//! A store that keeps batches back until a test decides what becomes of them, in an order of the test's own.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use stepcast_engine::store::{
    Batch, BoxFuture, ChannelRow, CommitError, EventWait, KeptRow, MessagePage, MessageQuery,
    NewestQuery, OnCommit, RunQuery, RunRow, Store, StoreError, StoredEvent, StoredRun, Timer,
    TopicRow, Unsettled, Urgency,
};
use stepcast_protocol::{
    Bounds, ChannelName, Cursor, Epoch, EventId, EventName, RunId, StepId, TopicName,
};

pub(crate) struct GatedStore {
    inner: Arc<dyn Store>,
    gate_closed: AtomicBool,
    kept_back: Mutex<VecDeque<(Batch, OnCommit)>>,
}

impl GatedStore {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            gate_closed: AtomicBool::new(false),
            kept_back: Mutex::default(),
        })
    }

    /// Keeps back what is submitted from now on.
    pub(crate) fn close_gate(&self) {
        self.gate_closed.store(true, Ordering::SeqCst);
    }

    /// Lets everything through again.
    pub(crate) fn open_gate(&self) {
        self.gate_closed.store(false, Ordering::SeqCst);
        let kept_back = std::mem::take(&mut *self.kept_back.lock().unwrap());
        for (batch, done) in kept_back {
            self.inner.submit(batch, done);
        }
    }

    /// What is kept back dies with the process: nobody hears of it.
    pub(crate) fn lose_all(&self) {
        drop(std::mem::take(&mut *self.kept_back.lock().unwrap()));
    }

    pub(crate) fn kept_back(&self) -> usize {
        self.kept_back.lock().unwrap().len()
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
        self.inner.submit(batch, completion);
        super::within(fate).await.unwrap();
    }

    /// The n-th of those that are kept back is never written.
    pub(crate) fn fail_nth(&self, n: usize) {
        let (_, done) = self.take(n);
        done(Err(CommitError::Rejected("the test says so".to_owned())));
    }

    fn take(&self, n: usize) -> (Batch, OnCommit) {
        self.kept_back.lock().unwrap().remove(n).unwrap()
    }
}

type Answer<T> = BoxFuture<'static, Result<T, StoreError>>;

impl Store for GatedStore {
    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }

    fn submit(&self, batch: Batch, done: OnCommit) {
        if self.gate_closed.load(Ordering::SeqCst) {
            self.kept_back.lock().unwrap().push_back((batch, done));
        } else {
            self.inner.submit(batch, done);
        }
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

//! From what was submitted to what was committed and completed, in the order of submission.
//!
//! The lock is held while a group is written, never while a completion is called. Nothing here decides when; that is the store's pace.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use stepcast_protocol::{Epoch, limits};
use tokio::sync::oneshot;

use super::{Memory, Pace, apply::apply, conditions, tables::Tables};
use crate::{
    clock::Clock,
    store::{
        Batch, BoxFuture, CommitError, Committed, OnCommit, StoreError, StoreStats, stats::Counters,
    },
};

type Fate = Result<Committed, CommitError>;

/// How the commit of a group fails in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was written.
    Lost,
    /// Everything was written.
    Kept,
}

/// How much room there is for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Room {
    /// Enough.
    #[default]
    Enough,
    /// Enough for what runs write, not for new work from outside.
    Short,
    /// None at all.
    Nothing,
}

enum Item {
    Batch(Batch, OnCommit),
    Reopen(oneshot::Sender<Result<Epoch, StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// Where the store is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Life {
    #[default]
    Open,
    /// A commit failed in the middle.
    Broken,
    Closed,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Item>,
    /// What has its fate, and has not been told.
    written: VecDeque<(OnCommit, Fate)>,
    life: Life,
    room: Room,
    /// The pace knows that something waits.
    is_announced: bool,
    /// A completion is being called.
    is_calling: bool,
}

/// What the store and its work share.
pub(super) struct Shared {
    memory: Memory,
    pace: Arc<dyn Pace>,
    clock: Clock,
    epoch: AtomicU64,
    queue: Mutex<Queue>,
    counters: Counters,
}

impl Shared {
    pub(super) fn new(memory: Memory, pace: Arc<dyn Pace>, clock: Clock, epoch: Epoch) -> Self {
        Self {
            memory,
            pace,
            clock,
            epoch: AtomicU64::new(epoch.0),
            queue: Mutex::default(),
            counters: Counters::default(),
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    pub(super) fn delay(&self) -> BoxFuture<'static, ()> {
        self.pace.delay()
    }

    pub(super) fn read<T>(
        &self,
        question: impl FnOnce(&Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let tables = self.memory.0.lock();
        if tables.owner != Some(self.epoch()) {
            return Err(StoreError::Closed);
        }
        question(&tables)
    }

    /// Answered at once: there is no thread that could be stuck.
    pub(super) fn probe(&self) -> Result<(), CommitError> {
        let queue = self.queue.lock();
        match (queue.life, queue.room) {
            (Life::Broken | Life::Closed, _) => Err(CommitError::Closed),
            (Life::Open, Room::Short | Room::Nothing) => Err(no_room()),
            (Life::Open, Room::Enough) if self.is_over() => Err(CommitError::Closed),
            (Life::Open, Room::Enough) => Ok(()),
        }
    }

    /// Whether another life has begun over what it holds.
    fn is_over(&self) -> bool {
        self.memory.0.lock().owner != Some(self.epoch())
    }

    pub(super) fn stats(&self) -> StoreStats {
        let queue = self.queue.lock();
        let batches = queue.waiting.iter().filter_map(|item| match item {
            Item::Batch(batch, _) => Some(batch.bytes()),
            Item::Reopen(_) | Item::Close(_) => None,
        });
        let (count, bytes) = batches.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
        drop(queue);
        self.counters.read(count, bytes)
    }

    pub(super) fn submit(shared: &Arc<Self>, batch: Batch, done: OnCommit) {
        Self::push(shared, Item::Batch(batch, done));
    }

    pub(super) fn reopen(shared: &Arc<Self>, reply: oneshot::Sender<Result<Epoch, StoreError>>) {
        Self::push(shared, Item::Reopen(reply));
    }

    pub(super) fn close(shared: &Arc<Self>, reply: oneshot::Sender<Result<(), StoreError>>) {
        Self::push(shared, Item::Close(reply));
    }

    fn push(shared: &Arc<Self>, item: Item) {
        let was_announced = {
            let mut queue = shared.queue.lock();
            queue.waiting.push_back(item);
            std::mem::replace(&mut queue.is_announced, true)
        };
        if !was_announced {
            shared.pace.on_waiting(Work::of(shared));
        }
    }

    /// Writes a group and says what became of each batch.
    fn write(&self, queue: &mut Queue, batches: &[Batch], fault: Option<Fault>) -> Vec<Fate> {
        let mut tables = self.memory.0.lock();
        if tables.owner != Some(self.epoch()) {
            queue.life = Life::Closed;
        }
        if queue.life != Life::Open {
            return vec![Err(CommitError::Closed); batches.len()];
        }
        let mut fates = Vec::with_capacity(batches.len());
        if fault != Some(Fault::Lost) {
            for batch in batches {
                let fate = write_one(&mut tables, queue.room, batch);
                self.pace.on_fate(batch, &fate);
                fates.push(fate);
            }
        }
        if fault.is_some() {
            queue.life = Life::Broken;
            let unknown = CommitError::OutcomeUnknown("a simulation asked for it".to_owned());
            return vec![Err(unknown); batches.len()];
        }
        fates
    }

    fn on_reopen(&self, queue: &mut Queue) -> Result<Epoch, StoreError> {
        let mut tables = self.memory.0.lock();
        if queue.life == Life::Closed || tables.owner != Some(self.epoch()) {
            return Err(StoreError::Closed);
        }
        let epoch = tables.begin_epoch(self.clock.now());
        self.epoch.store(epoch.0, Ordering::SeqCst);
        queue.life = Life::Open;
        Ok(epoch)
    }

    fn on_close(&self, queue: &mut Queue) -> Result<(), StoreError> {
        let mut tables = self.memory.0.lock();
        if tables.owner != Some(self.epoch()) {
            return Err(StoreError::Closed);
        }
        match std::mem::replace(&mut queue.life, Life::Closed) {
            Life::Closed => Err(StoreError::Closed),
            Life::Broken => {
                tables.owner = None;
                Err(StoreError::Backend {
                    doing: "closing the store".to_owned(),
                    cause: "a commit had failed in the middle, its epoch stays open".to_owned(),
                })
            }
            Life::Open => {
                tables.end_epoch(self.epoch());
                Ok(())
            }
        }
    }
}

fn no_room() -> CommitError {
    CommitError::NoSpace("a simulation asked for it".to_owned())
}

fn write_one(tables: &mut Tables, room: Room, batch: &Batch) -> Fate {
    match room {
        Room::Enough => {}
        Room::Short if !batch.brings_work() => {}
        Room::Short | Room::Nothing => {
            return Err(no_room());
        }
    }
    conditions::check(tables, batch)?;
    conditions::can_be_written(tables, batch)?;
    for write in &batch.writes {
        apply(tables, write);
    }
    Ok(Committed::new())
}

/// What waits in a store, for its pace. A cheap handle.
///
/// The pace of a simulation commits groups of its own choice, calls completions between other things, and decides what fails.
#[derive(Clone)]
pub struct Work(Arc<Shared>);

impl Work {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }

    /// How many batches and other requests wait to be committed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.queue.lock().waiting.len()
    }

    /// How many batches have their fate and have not been told.
    #[must_use]
    pub fn untold(&self) -> usize {
        self.0.queue.lock().written.len()
    }

    /// Sets how much room there is for later commits.
    pub fn set_room(&self, room: Room) {
        self.0.queue.lock().room = room;
    }

    /// Commits at most so many batches as one group; nobody is told yet. Requests to reopen or close are groups of their own and wait until
    /// everybody before them has been told. Says whether anything was done.
    pub fn commit(&self, most: usize) -> bool {
        self.group(most, None)
    }

    /// Commits at most so many batches, which fails in the middle. Says whether anything was done.
    pub fn fail(&self, most: usize, fault: Fault) -> bool {
        self.group(most, Some(fault))
    }

    fn group(&self, most: usize, fault: Option<Fault>) -> bool {
        let mut queue = self.0.queue.lock();
        let (mut batches, mut completions) = (Vec::new(), Vec::new());
        while batches.len() < most {
            match queue.waiting.pop_front() {
                Some(Item::Batch(batch, done)) => {
                    batches.push(batch);
                    completions.push(done);
                }
                Some(item) if !batches.is_empty() || !queue.is_told() => {
                    queue.waiting.push_front(item);
                    break;
                }
                // Nobody may be waiting for the answers any more.
                Some(Item::Reopen(reply)) => {
                    drop(reply.send(self.0.on_reopen(&mut queue)));
                    return true;
                }
                Some(Item::Close(reply)) => {
                    drop(reply.send(self.0.on_close(&mut queue)));
                    return true;
                }
                None => break,
            }
        }
        if batches.is_empty() {
            return false;
        }
        let fates = self.0.write(&mut queue, &batches, fault);
        self.0.counters.on_fates(&fates);
        if fates.iter().any(Result::is_ok) {
            self.0.counters.on_group(batches.len());
        }
        queue.written.extend(completions.into_iter().zip(fates));
        true
    }

    /// Calls the completion of the oldest batch that has its fate. Says whether there was one. Completions are called one at a time: while
    /// one is being called, there is none.
    pub fn complete(&self) -> bool {
        let next = {
            let mut queue = self.0.queue.lock();
            if queue.is_calling {
                return false;
            }
            let next = queue.written.pop_front();
            queue.is_calling = next.is_some();
            next
        };
        let Some((done, fate)) = next else {
            return false;
        };
        // One that panics is its owner's bug and must not take the others with it.
        if catch_unwind(AssertUnwindSafe(|| done(fate))).is_err() {
            tracing::error!("the completion of a batch panicked");
        }
        self.0.queue.lock().is_calling = false;
        true
    }

    /// Commits and completes until nothing waits.
    pub fn finish(&self) {
        loop {
            let committed = self.commit(limits::GROUP_BATCHES);
            while self.complete() {}
            let mut queue = self.0.queue.lock();
            if !committed && queue.waiting.is_empty() {
                queue.is_announced = false;
                return;
            }
        }
    }

    /// Ends the store's life as a crash would: what waits is lost, and nobody hears of it.
    pub fn crash(&self) {
        let lost = {
            let mut queue = self.0.queue.lock();
            queue.life = Life::Closed;
            let written = std::mem::take(&mut queue.written);
            (std::mem::take(&mut queue.waiting), written)
        };
        let mut tables = self.0.memory.0.lock();
        if tables.owner == Some(self.0.epoch()) {
            tables.owner = None;
        }
        drop(tables);
        // Outside the locks, as it may be the last to hold what submits more.
        drop(lost);
    }
}

impl Queue {
    fn is_told(&self) -> bool {
        self.written.is_empty() && !self.is_calling
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.0.queue.lock();
        f.debug_struct("Work")
            .field("waiting", &queue.waiting.len())
            .field("untold", &queue.written.len())
            .finish()
    }
}

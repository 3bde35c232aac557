//! What waits for the writer, in the order in which it was submitted.
//!
//! Unbounded by itself: whoever submits is bounded (the hub by bytes, a run by one batch in flight). The lock is held for a push
//! or a take, never while anything is written or called.

use std::{collections::VecDeque, time::Instant};

use parking_lot::{Condvar, Mutex};
use stepcast_protocol::{Epoch, limits};
use tokio::sync::oneshot;

use crate::store::{Batch, CommitError, OnCommit, StoreError, Urgency};

/// A batch in the queue.
pub(super) struct Waiting {
    pub(super) batch: Batch,
    pub(super) done: OnCommit,
    bytes: usize,
    since: Instant,
}

/// What the writer does next.
pub(super) enum Task {
    /// Batches for one transaction, at least one.
    Group(Vec<Waiting>),
    /// Say whether new work would be taken.
    Probe(oneshot::Sender<Result<(), CommitError>>),
    /// Read everything from disk again.
    Reopen(oneshot::Sender<Result<Epoch, StoreError>>),
    /// Let go of the file.
    Close(oneshot::Sender<Result<(), StoreError>>),
    /// The store is gone and nothing waits any more.
    End,
}

enum Item {
    Batch(Waiting),
    Probe(oneshot::Sender<Result<(), CommitError>>),
    Reopen(oneshot::Sender<Result<Epoch, StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    /// Items for which nobody should wait a moment longer.
    urgent: usize,
    bytes: usize,
    ended: bool,
}

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    news: Condvar,
}

impl Queue {
    pub(super) fn push(&self, batch: Batch, done: OnCommit) {
        let bytes = batch.bytes();
        let since = Instant::now();
        let mut state = self.state.lock();
        // A writer that waits for nothing has to learn when to look again, also where a batch may wait.
        let wake = batch.urgency == Urgency::Now
            || state.items.is_empty()
            || state.bytes + bytes >= limits::GROUP_BYTES;
        state.urgent += usize::from(batch.urgency == Urgency::Now);
        state.bytes += bytes;
        state.items.push_back(Item::Batch(Waiting {
            batch,
            done,
            bytes,
            since,
        }));
        drop(state);
        if wake {
            self.news.notify_one();
        }
    }

    pub(super) fn probe(&self, reply: oneshot::Sender<Result<(), CommitError>>) {
        self.push_urgent(Item::Probe(reply));
    }

    /// How many batches wait, with what else stands among them, and the bytes of the batches.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.items.len(), state.bytes)
    }

    pub(super) fn reopen(&self, reply: oneshot::Sender<Result<Epoch, StoreError>>) {
        self.push_urgent(Item::Reopen(reply));
    }

    pub(super) fn close(&self, reply: oneshot::Sender<Result<(), StoreError>>) {
        self.push_urgent(Item::Close(reply));
    }

    fn push_urgent(&self, item: Item) {
        let mut state = self.state.lock();
        state.urgent += 1;
        state.items.push_back(item);
        drop(state);
        self.news.notify_one();
    }

    /// Nothing will be submitted any more.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.news.notify_one();
    }

    /// Waits for what is to be done next.
    pub(super) fn next(&self) -> Task {
        let mut state = self.state.lock();
        loop {
            match state.due_at() {
                Due::Now => return state.take(),
                Due::At(time) => {
                    self.news.wait_until(&mut state, time);
                }
                Due::Never if state.ended => return Task::End,
                Due::Never => self.news.wait(&mut state),
            }
        }
    }
}

enum Due {
    Now,
    At(Instant),
    Never,
}

impl State {
    fn due_at(&self) -> Due {
        let Some(first) = self.items.front() else {
            return Due::Never;
        };
        let full = self.bytes >= limits::GROUP_BYTES || self.items.len() >= limits::GROUP_BATCHES;
        match first {
            Item::Batch(first) if self.urgent == 0 && !full && !self.ended => {
                let due = first.since + limits::WRITE_DELAY;
                if due <= Instant::now() {
                    Due::Now
                } else {
                    Due::At(due)
                }
            }
            Item::Batch(_) | Item::Probe(_) | Item::Reopen(_) | Item::Close(_) => Due::Now,
        }
    }

    fn take(&mut self) -> Task {
        let mut group = Vec::new();
        let mut room = limits::GROUP_BYTES;
        while group.len() < limits::GROUP_BATCHES {
            match self.items.pop_front() {
                Some(Item::Batch(waiting)) if group.is_empty() || waiting.bytes <= room => {
                    room = room.saturating_sub(waiting.bytes);
                    self.bytes -= waiting.bytes;
                    self.urgent -= usize::from(waiting.batch.urgency == Urgency::Now);
                    group.push(waiting);
                }
                Some(item) if !group.is_empty() => {
                    self.items.push_front(item);
                    break;
                }
                Some(Item::Probe(reply)) => {
                    self.urgent -= 1;
                    return Task::Probe(reply);
                }
                Some(Item::Reopen(reply)) => {
                    self.urgent -= 1;
                    return Task::Reopen(reply);
                }
                Some(Item::Close(reply)) => {
                    self.urgent -= 1;
                    return Task::Close(reply);
                }
                Some(Item::Batch(_)) | None => break,
            }
        }
        Task::Group(group)
    }
}

//! One channel's log in memory: its numbers, its tail, and how far one may see. Pure: no lock, no I/O, no clock.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use stepcast_protocol::{ChannelName, Cursor, Epoch, Kind, Message, Offset, Snapshot, frame};

/// A message on its way to readers. Its wire form is made once, for all of them.
#[derive(Debug)]
pub struct Posted {
    message: Arc<Message>,
    /// What the topic folds to from a rollback on.
    fold: OnceLock<Snapshot>,
    wire: OnceLock<Bytes>,
}

impl Posted {
    /// A message that readers can share.
    #[must_use]
    pub fn new(message: Arc<Message>) -> Self {
        Self {
            message,
            fold: OnceLock::new(),
            wire: OnceLock::new(),
        }
    }

    /// Sets what the topic folds to from this rollback on; before anybody sees it.
    pub(super) fn set_fold(&self, fold: Snapshot) {
        // It becomes visible once.
        drop(self.fold.set(fold));
    }

    /// What the topic folds to from this rollback on, where it folds. Only a rollback that was read from memory has it; a reader
    /// that meets one in the store is brought forward by a snapshot.
    #[must_use]
    pub fn fold(&self) -> Option<&Snapshot> {
        self.fold.get()
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Arc<Message> {
        &self.message
    }

    /// Its frame as JSON, encoded at the first call.
    pub fn wire(&self, channel: &ChannelName) -> &Bytes {
        self.wire.get_or_init(|| {
            let wire = match self.message.kind {
                Kind::Data | Kind::Ended { .. } | Kind::Status => self.message.to_wire(channel),
                Kind::Rollback { .. } => {
                    frame::rollback_to_wire(&self.message, self.fold.get(), channel)
                }
            };
            wire.into()
        })
    }
}

/// What a channel holds for a reader at some cursor.
#[derive(Debug)]
pub enum Slice {
    /// Nothing new: the reader's cursor should become this one.
    UpToDate(Cursor),
    /// These, in order; the reader's cursor becomes `next`.
    Tail {
        /// The messages.
        messages: Vec<Arc<Posted>>,
        /// The cursor after them.
        next: Cursor,
    },
    /// Not in memory any more: read the store up to and with this cursor, then ask again.
    Stored {
        /// The cursor.
        up_to: Cursor,
    },
}

/// Bytes beside the payload that a message in the tail takes, roughly.
const ENTRY_BYTES: usize = 256;

#[derive(Debug)]
struct Entry {
    /// The message's, here so that a search stays within the tail.
    cursor: Cursor,
    posted: Arc<Posted>,
    pending: bool,
    /// Whether it waited, or waits, for its commit.
    durable: bool,
    /// Whether it goes to the store at all.
    stored: bool,
    /// Whether the store may still get it. Until then the tail keeps it.
    unwritten: bool,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.posted.message.payload.len() + ENTRY_BYTES
    }
}

/// The log. Offsets grow by one; entries that failed leave holes.
#[derive(Debug)]
pub(super) struct ChannelLog {
    epoch: Epoch,
    /// The last pair given out.
    head: Cursor,
    /// The last pair known to be in the store's row.
    stored_head: Cursor,
    /// Later messages are in the tail, earlier ones are not.
    tail_after: Cursor,
    tail: VecDeque<Entry>,
    tail_bytes: usize,
    unwritten_bytes: usize,
    /// Up to and with this cursor, messages that are not stored may be gone.
    live_lost: Cursor,
    /// Offsets of the entries that wait for their commit, oldest first.
    pending: VecDeque<Offset>,
}

impl ChannelLog {
    /// A log that continues after `head`, as the store has it. What was before counts as seen in this epoch too, so that who begins
    /// here has a cursor of this epoch.
    pub(super) fn new(epoch: Epoch, head: Cursor) -> Self {
        let head = Cursor::new(epoch, head.offset);
        Self {
            epoch,
            head,
            stored_head: head,
            tail_after: head,
            tail: VecDeque::new(),
            tail_bytes: 0,
            unwritten_bytes: 0,
            live_lost: head,
            pending: VecDeque::new(),
        }
    }

    /// A log of which the store has nothing: whoever reads it from the beginning finds all of it here.
    pub(super) fn empty(epoch: Epoch, floor: Offset) -> Self {
        Self {
            tail_after: Cursor::START,
            live_lost: Cursor::START,
            ..Self::new(epoch, Cursor::new(epoch, floor))
        }
    }

    /// The epoch of the numbers it gives.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The cursor that the next message gets.
    pub(super) fn next_cursor(&self) -> Cursor {
        Cursor::new(self.epoch, Offset(self.head.offset.0 + 1))
    }

    /// Appends a message that [`Self::next_cursor`] was given to. A pending one hides itself and those behind it until
    /// [`Self::settle`]; one that goes to the store stays in the tail until it is written.
    pub(super) fn append(&mut self, message: Arc<Message>, pending: bool, stored: bool) {
        debug_assert_eq!(
            message.cursor,
            self.next_cursor(),
            "messages are appended with the number they were given"
        );
        self.head = message.cursor;
        if pending {
            self.pending.push_back(message.cursor.offset);
        }
        let entry = Entry {
            cursor: message.cursor,
            posted: Arc::new(Posted::new(message)),
            pending,
            durable: pending,
            stored,
            unwritten: stored,
        };
        self.tail_bytes += entry.bytes();
        if stored {
            self.unwritten_bytes += entry.bytes();
        }
        self.tail.push_back(entry);
    }

    /// The fate of the message at `cursor`: on disk, or never to be there. A pending one becomes visible or leaves a hole; one that was
    /// seen already stays where it is. Says whether readers can see more than before.
    pub(super) fn settle(&mut self, cursor: Cursor, written: bool) -> bool {
        let before = self.visible();
        let Ok(index) = self
            .tail
            .binary_search_by_key(&cursor, |entry| entry.cursor)
        else {
            // A restart has cleared the tail in the meantime.
            return false;
        };
        let entry = &mut self.tail[index];
        if std::mem::take(&mut entry.unwritten) {
            self.unwritten_bytes -= entry.bytes();
        }
        if written {
            self.stored_head = self.stored_head.max(cursor);
        }
        if std::mem::take(&mut entry.pending) {
            // Most of them in the order in which they wait.
            if let Ok(waiting) = self.pending.binary_search(&cursor.offset) {
                self.pending.remove(waiting);
            }
            if !written {
                let failed = self.tail.remove(index).expect("the index was just found");
                self.tail_bytes -= failed.bytes();
            }
        }
        self.visible() != before
    }

    /// What became visible after `after`, in order, and whether it waited for its commit.
    pub(super) fn visible_after(
        &self,
        after: Cursor,
    ) -> impl Iterator<Item = (&Arc<Posted>, bool)> {
        let visible = self.visible();
        let start = self.seen_by(after);
        self.tail
            .iter()
            .skip(start)
            .take_while(move |entry| entry.cursor <= visible)
            .map(|entry| (&entry.posted, entry.durable))
    }

    /// Removes what a rollback voids. Its numbers become holes.
    pub(super) fn void(&mut self, record: &Message) {
        let (tail_bytes, unwritten_bytes) = (&mut self.tail_bytes, &mut self.unwritten_bytes);
        self.tail.retain(|entry| {
            let is_void = record.voids(&entry.posted.message);
            if is_void {
                *tail_bytes -= entry.bytes();
                if entry.unwritten {
                    *unwritten_bytes -= entry.bytes();
                }
            }
            !is_void
        });
    }

    /// Messages later than this one are in memory.
    pub(super) fn tail_after(&self) -> Cursor {
        self.tail_after
    }

    /// Up to and with this cursor, messages that are not stored may be gone.
    pub(super) fn live_lost(&self) -> Cursor {
        self.live_lost
    }

    /// Bytes of the tail that a reader at `after` has not seen.
    pub(super) fn bytes_after(&self, after: Cursor) -> usize {
        let later = self
            .tail
            .iter()
            .rev()
            .take_while(|entry| entry.cursor > after);
        later.map(Entry::bytes).sum()
    }

    /// The last pair given out.
    pub(super) fn head(&self) -> Cursor {
        self.head
    }

    /// The offset before the oldest pending message. Nobody sees past it.
    pub(super) fn visible(&self) -> Cursor {
        match self.pending.front() {
            None => self.head,
            Some(Offset(oldest)) => self
                .head
                .min(Cursor::new(self.epoch, Offset(oldest - 1)))
                .max(self.tail_after),
        }
    }

    /// How many of the tail a reader at `after` has seen. Most of those who ask have seen all but a few.
    fn seen_by(&self, after: Cursor) -> usize {
        let is_later = |index: usize| {
            self.tail
                .get(index)
                .is_some_and(|entry| entry.cursor > after)
        };
        let (mut later, mut step) = (self.tail.len(), 1);
        while later >= step && is_later(later - step) {
            later -= step;
            step *= 2;
        }
        // The first that is later is among the `step` before that one, or is that one.
        let mut seen = (later + 1).saturating_sub(step);
        while seen < later {
            let middle = seen.midpoint(later);
            if is_later(middle) {
                later = middle;
            } else {
                seen = middle + 1;
            }
        }
        later
    }

    /// What a reader at `after` gets next: about `max_bytes`, and at least one message.
    pub(super) fn read(&self, after: Cursor, max_bytes: usize) -> Slice {
        let visible = self.visible();
        if after >= visible {
            return Slice::UpToDate(after);
        }
        if after < self.tail_after {
            return Slice::Stored {
                up_to: self.tail_after,
            };
        }
        let start = self.seen_by(after);
        let mut bytes = 0;
        let mut messages = Vec::new();
        for entry in self
            .tail
            .iter()
            .skip(start)
            .take_while(|entry| entry.cursor <= visible)
        {
            if bytes > max_bytes {
                let next = self.tail[start + messages.len() - 1].cursor;
                return Slice::Tail { messages, next };
            }
            bytes += entry.bytes();
            messages.push(Arc::clone(&entry.posted));
        }
        if messages.is_empty() {
            Slice::UpToDate(visible)
        } else {
            Slice::Tail {
                messages,
                next: visible,
            }
        }
    }

    /// Lets go of the oldest messages that are visible and need no writing, until at most `max_bytes` are left.
    pub(super) fn trim(&mut self, max_bytes: usize) {
        self.trim_while(|log| log.tail_bytes > max_bytes);
    }

    fn trim_while(&mut self, is_too_much: impl Fn(&Self) -> bool) {
        let visible = self.visible();
        while is_too_much(self) {
            let Some(oldest) = self
                .tail
                .front()
                .filter(|entry| !entry.unwritten && entry.cursor <= visible)
            else {
                return;
            };
            self.tail_after = oldest.cursor;
            if !oldest.stored {
                self.live_lost = oldest.cursor;
            }
            self.tail_bytes -= oldest.bytes();
            self.tail.pop_front();
        }
    }

    /// Lets go of everything up to and with a cursor that needs no writing, because the store has something else there now.
    pub(super) fn let_go(&mut self, up_to: Cursor) {
        let later = self.seen_by(up_to);
        let kept: usize = self.tail.iter().skip(later).map(Entry::bytes).sum();
        self.trim_while(|log| log.tail_bytes > kept);
    }

    pub(super) fn tail_bytes(&self) -> usize {
        self.tail_bytes
    }

    pub(super) fn unwritten_bytes(&self) -> usize {
        self.unwritten_bytes
    }

    /// The head, when the store's row does not have it yet.
    pub(super) fn head_to_store(&self) -> Option<Cursor> {
        (self.stored_head < self.head).then_some(self.head)
    }

    /// The store's row has this head now.
    pub(super) fn on_head_stored(&mut self, head: Cursor) {
        self.stored_head = self.stored_head.max(head);
    }

    /// Whether nothing of it waits for the store.
    pub(super) fn is_settled(&self) -> bool {
        self.unwritten_bytes == 0 && self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests;

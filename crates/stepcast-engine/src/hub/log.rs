//! One channel's log in memory: its numbers, its tail, and how far one may see. Pure: no lock, no I/O, no clock.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use stepcast_protocol::{ChannelName, Cursor, Epoch, Message, Offset};

/// A message on its way to readers. Its wire form is made once, for all of them.
#[derive(Debug)]
pub struct Posted {
    message: Arc<Message>,
    wire: OnceLock<Bytes>,
}

impl Posted {
    /// A message that readers can share.
    #[must_use]
    pub fn new(message: Arc<Message>) -> Self {
        Self {
            message,
            wire: OnceLock::new(),
        }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Arc<Message> {
        &self.message
    }

    /// Its frame as JSON, encoded at the first call.
    pub fn wire(&self, channel: &ChannelName) -> &Bytes {
        self.wire
            .get_or_init(|| self.message.to_wire(channel).into())
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
    posted: Arc<Posted>,
    pending: bool,
    /// Whether the store may still get it. Until then the tail keeps it.
    unwritten: bool,
}

impl Entry {
    fn cursor(&self) -> Cursor {
        self.posted.message.cursor
    }

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
    /// Offsets of the entries that wait for their commit, oldest first.
    pending: VecDeque<Offset>,
}

impl ChannelLog {
    /// A log that continues after `head`, as the store has it.
    pub(super) fn new(epoch: Epoch, head: Cursor) -> Self {
        Self {
            epoch,
            head,
            stored_head: head,
            tail_after: head,
            tail: VecDeque::new(),
            tail_bytes: 0,
            unwritten_bytes: 0,
            pending: VecDeque::new(),
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
            posted: Arc::new(Posted::new(message)),
            pending,
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
        let Ok(index) = self.tail.binary_search_by_key(&cursor, Entry::cursor) else {
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
            self.pending.retain(|offset| *offset != cursor.offset);
            if !written {
                let failed = self.tail.remove(index).expect("the index was just found");
                self.tail_bytes -= failed.bytes();
            }
        }
        self.visible() != before
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
        let start = self.tail.partition_point(|entry| entry.cursor() <= after);
        let mut bytes = 0;
        let mut messages = Vec::new();
        for entry in self
            .tail
            .iter()
            .skip(start)
            .take_while(|entry| entry.cursor() <= visible)
        {
            if bytes > max_bytes {
                let next = self.tail[start + messages.len() - 1].cursor();
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
        let visible = self.visible();
        while self.tail_bytes > max_bytes {
            let Some(oldest) = self
                .tail
                .front()
                .filter(|entry| !entry.unwritten && entry.cursor() <= visible)
            else {
                return;
            };
            self.tail_after = oldest.cursor();
            self.tail_bytes -= oldest.bytes();
            self.tail.pop_front();
        }
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

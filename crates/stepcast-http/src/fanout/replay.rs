//! What was just encoded for somebody who lags. After a restart thousands resume from the same place, and the first one pays.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use stepcast_protocol::Cursor;

use super::{batch::Batch, feed::Topics};

/// Batches that are kept: each has about the bytes of one slice.
const KEPT: usize = 8;

/// The last few batches of a shard.
#[derive(Default)]
pub(super) struct Replays(RefCell<VecDeque<Replay>>);

struct Replay {
    feed: u64,
    topics: Topics,
    from: Cursor,
    batch: Rc<Batch>,
}

impl Replays {
    /// The batch that goes on from this cursor.
    pub(super) fn get(&self, feed: u64, topics: &Topics, from: Cursor) -> Option<Rc<Batch>> {
        self.0
            .borrow()
            .iter()
            .find(|replay| replay.feed == feed && replay.from == from && replay.topics == *topics)
            .map(|replay| Rc::clone(&replay.batch))
    }

    pub(super) fn put(&self, feed: u64, topics: &Topics, from: Cursor, batch: &Rc<Batch>) {
        let mut kept = self.0.borrow_mut();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Replay {
            feed,
            topics: Topics::clone(topics),
            from,
            batch: Rc::clone(batch),
        });
    }

    pub(super) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

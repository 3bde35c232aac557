//! What was just made for somebody who lags. After a restart thousands resume from the same place, and the first one pays: reads of
//! the store, entries and encoded batches are kept for a moment, and who wants the same meanwhile gets the same.

use std::{cell::RefCell, collections::VecDeque, future::Future, rc::Rc};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{LocalBoxFuture, Shared},
};
use stepcast_engine::{
    hub::{Entry, ReadError, StoredPage},
    store::StoreError,
};
use stepcast_protocol::{Cursor, TopicName};

use super::{
    batch::Batch,
    dialect::Dialect,
    feed::Topics,
    subscription::{Floors, Way},
};

/// Things of one sort that are kept: each has about the bytes of one slice, page or entry.
const KEPT: usize = 8;
/// Snapshots that are kept, as one entry can have many.
const KEPT_SNAPSHOTS: usize = 64;

/// A read that several wait for.
pub(super) type Read<T, E> = Shared<LocalBoxFuture<'static, Result<Rc<T>, E>>>;

/// How a reader goes on, and what it is told before.
pub(super) struct Entered {
    pub(super) frames: Vec<Bytes>,
    pub(super) entry: Entry,
    /// How many gaps are among the frames.
    pub(super) gaps: usize,
    /// What it lost and is not told.
    pub(super) lost: usize,
}

/// Frames, and what is known of messages that are missing from them.
#[derive(Clone)]
pub(super) struct Replay {
    pub(super) batch: Rc<Batch>,
    /// The page of the store they were made of.
    pub(super) page: Option<Rc<StoredPage>>,
}

/// For whom something was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Audience {
    pub(super) feed: u64,
    pub(super) topics: Topics,
    pub(super) dialect: Dialect,
}

type Batches = Kept<(Audience, Cursor, Floors), Replay>;
type Pages = Kept<(u64, Topics, Cursor, Cursor), Read<StoredPage, StoreError>>;

/// What a shard has made in the last moment.
#[derive(Default)]
pub(super) struct Replays {
    batches: RefCell<Batches>,
    pages: RefCell<Pages>,
    entries: RefCell<Kept<(Audience, Way), Read<Entered, ReadError>>>,
    snapshots: RefCell<Kept<(u64, TopicName, Cursor), Bytes>>,
}

/// The last few things under their keys.
struct Kept<K, V>(VecDeque<(K, V)>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<K: PartialEq, V: Clone> Kept<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let found = self.0.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.clone())
    }

    fn put(&mut self, key: K, value: V, most: usize) {
        if self.0.len() >= most {
            self.0.pop_front();
        }
        self.0.push_back((key, value));
    }

    fn get_or_make(&mut self, key: K, most: usize, make: impl FnOnce() -> V) -> V {
        if let Some(known) = self.get(&key) {
            return known;
        }
        let value = make();
        self.put(key, value.clone(), most);
        value
    }
}

impl Replays {
    /// The batch that goes on from this cursor.
    pub(super) fn batch(
        &self,
        audience: &Audience,
        from: Cursor,
        floors: &Floors,
    ) -> Option<Replay> {
        let batches = self.batches.borrow();
        let is_it = |known: &&((Audience, Cursor, Floors), Replay)| {
            let (of, at, with) = &known.0;
            *at == from && of == audience && with == floors
        };
        batches
            .0
            .iter()
            .find(is_it)
            .map(|(_, replay)| replay.clone())
    }

    pub(super) fn put_batch(
        &self,
        audience: Audience,
        from: Cursor,
        floors: Floors,
        replay: Replay,
    ) {
        let mut batches = self.batches.borrow_mut();
        batches.put((audience, from, floors), replay, KEPT);
    }

    /// A read of the store between two cursors, which is begun when nobody has.
    pub(super) fn page<F>(
        &self,
        feed: u64,
        topics: Topics,
        stretch: (Cursor, Cursor),
        read: impl FnOnce() -> F,
    ) -> Read<StoredPage, StoreError>
    where
        F: Future<Output = Result<StoredPage, StoreError>> + 'static,
    {
        let (from, up_to) = stretch;
        self.pages
            .borrow_mut()
            .get_or_make((feed, topics, from, up_to), KEPT, || {
                read().map(|page| page.map(Rc::new)).boxed_local().shared()
            })
    }

    /// An entry, which is begun when nobody has.
    pub(super) fn entry<F>(
        &self,
        audience: Audience,
        way: Way,
        enter: impl FnOnce() -> F,
    ) -> Read<Entered, ReadError>
    where
        F: Future<Output = Result<Entered, ReadError>> + 'static,
    {
        self.entries
            .borrow_mut()
            .get_or_make((audience, way), KEPT, || {
                enter()
                    .map(|entered| entered.map(Rc::new))
                    .boxed_local()
                    .shared()
            })
    }

    /// The frame of a topic's snapshot at a cursor: the same for all, wherever they come from.
    pub(super) fn snapshot(
        &self,
        feed: u64,
        topic: &TopicName,
        at: Cursor,
        encode: impl FnOnce() -> Bytes,
    ) -> Bytes {
        self.snapshots
            .borrow_mut()
            .get_or_make((feed, topic.clone(), at), KEPT_SNAPSHOTS, encode)
    }

    pub(super) fn clear(&self) {
        self.batches.take();
        self.pages.take();
        self.entries.take();
        self.snapshots.take();
    }
}

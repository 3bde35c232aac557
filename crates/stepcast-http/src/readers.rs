//! Readers that are no WebSockets: event streams and long polls. Counted where their bytes are made, by whichever thread that is.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use stepcast_engine::hub::Item;

use crate::fanout::Sent;

/// The readers of one transport. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readers(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    deliveries: AtomicU64,
    bytes: AtomicU64,
    gaps: AtomicU64,
}

/// One reader, open until it is dropped.
#[derive(Debug)]
pub(crate) struct Reader(Readers);

impl Readers {
    /// One more.
    pub(crate) fn enter(&self) -> Reader {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Reader(self.clone())
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// What they were given.
    pub(crate) fn sent(&self) -> Sent {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Sent {
            deliveries: read(&self.0.deliveries),
            bytes: read(&self.0.bytes),
            gaps: read(&self.0.gaps),
        }
    }
}

impl Reader {
    /// It is about to be given this.
    pub(crate) fn on_item(&self, item: &Item) {
        let counter = match item {
            Item::Posted(_) => &self.0.0.deliveries,
            Item::Gap(_) => &self.0.0.gaps,
            Item::Snapshot(_) => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// It is about to be given so many bytes.
    pub(crate) fn on_bytes(&self, bytes: usize) {
        self.0.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

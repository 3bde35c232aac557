//! The hub: who numbers messages, and who hears of them.
//!
//! Owns the channels that are in memory. Numbers every message, puts it on its channel's tail and its batch into the store's queue,
//! both under the channel's lock, so that the order on disk is the order of the numbers. Knows no sockets and no runs: readers are
//! cursors into [`Channel`]s, and are told by a [`Watch`] that there is more.
//!
//! - `log` (pure): numbers and what is visible; `fold` (pure): what a topic comes to; `channel`: both behind a lock.
//! - `directory`: which channels are in memory, `segments`: what they are named after; `publish`: how messages come in, `together`: several of them.
//! - `entry`: how a reader begins; `gaps`: what it has lost; `subscription`: a reader in this process; `derive`: topics made from runs;
//!   `follow`: who asks for them as npm `inngest` does; `expected`: who is about to come.
//! - `retention`: what has to go; `rewrite`: how what is kept is changed, so that memory and store say the same.

mod channel;
mod derive;
mod directory;
mod entry;
mod expected;
mod fold;
mod follow;
mod gaps;
mod log;
mod publish;
mod retention;
mod rewrite;
mod segments;
mod subscription;
mod together;

pub use self::{
    channel::{Channel, Watch, WatchGuard},
    entry::{Entry, Notice, Position, ReadError, TopicFilter},
    follow::Follow,
    gaps::{StoredPage, Trims},
    log::{Posted, Slice},
    publish::{Draft, Outgoing, PublishError},
    subscription::{Item, Subscription},
};
pub(crate) use self::{
    derive::{Derive, Piece},
    publish::Accepted,
    retention::Place,
    segments::is_named_after,
    together::{Keyed, Together},
};

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use stepcast_protocol::{ChannelName, Keep, SchemaHash, Timestamp, TopicName};

use self::{directory::Directory, expected::Expected};
use crate::{
    catalog::Catalog,
    clock::Clock,
    readiness::NotReady,
    store::{CommitError, Store, StoreError},
};

/// How long one refusal for want of space says that there is none.
const REFUSAL_COUNTS: Duration = Duration::from_secs(10);

/// All channels of a process. A cheap handle.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    clock: Clock,
    catalog: Catalog,
    channels: Directory,
    /// Who makes the topics of runs.
    derive: OnceLock<Arc<dyn Derive>>,
    /// Readers that are on their way.
    expected: Expected,
    /// How many ask for the runs of some channel.
    followers: Arc<AtomicUsize>,
    /// Bytes of messages that were accepted and have no fate in the store yet.
    unwritten: AtomicUsize,
    /// Set while the store refuses for want of space: publishers then wait for their commit instead of being believed at once.
    no_space: AtomicBool,
    /// When it last refused so, in milliseconds since 1970.
    refused_at: AtomicI64,
    /// Bytes that channels hold in memory, as of the last sweep.
    tail_bytes: AtomicUsize,
    /// Set once no more messages are taken.
    is_closed: AtomicBool,
    /// What is to be done when the store stops in the middle.
    on_broken: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Hub {
    /// A hub over a store. One hub owns a store's channels.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock, catalog: Catalog) -> Self {
        let channels = Directory::default();
        Self(Arc::new(Inner {
            store,
            clock,
            catalog,
            channels,
            derive: OnceLock::new(),
            expected: Expected::default(),
            followers: Arc::default(),
            unwritten: AtomicUsize::new(0),
            no_space: AtomicBool::new(false),
            refused_at: AtomicI64::new(0),
            tail_bytes: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            on_broken: OnceLock::new(),
        }))
    }

    /// The channel of that name, read from the store if it is not in memory. It stays in memory as long as somebody holds it.
    /// A channel that was never written is as good as any other and gets no row.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub async fn channel(&self, name: &ChannelName) -> Result<Arc<Channel>, StoreError> {
        self.0
            .channels
            .get(name, &*self.0.store, self.0.clock.now())
            .await
    }

    /// The channel, if it is in memory.
    pub(crate) fn find(&self, name: &ChannelName) -> Option<Arc<Channel>> {
        self.0.channels.find(name)
    }

    /// The channel, if somebody reads it.
    pub(crate) fn find_read(&self, name: &ChannelName) -> Option<Arc<Channel>> {
        self.find(name)
            .filter(|channel| channel.state().is_watched())
    }

    /// Channels that somebody reads and whose names have this segment.
    pub(crate) fn read_and_named_after(&self, segment: &str) -> Vec<Arc<Channel>> {
        let mut named = self.0.channels.named_after(segment);
        named.retain(|channel| channel.state().is_watched());
        named
    }

    /// How a topic is kept.
    pub(crate) fn keep(&self, channel: &ChannelName, topic: &TopicName) -> Keep {
        self.0.catalog.keep(channel, topic)
    }

    /// Whether who was built against a schema of this hash can no longer read a topic: see [`Catalog::is_outdated`].
    #[must_use]
    pub fn is_outdated(&self, channel: &ChannelName, topic: &TopicName, hash: &SchemaHash) -> bool {
        self.0.catalog.is_outdated(channel, topic, hash)
    }

    /// Sets who makes the topics of runs. Only the first one set counts.
    pub(crate) fn derive_with(&self, derive: Arc<dyn Derive>) {
        drop(self.0.derive.set(derive));
    }

    /// Lets go of channels that nobody has used for a while, and of old messages in memory. Called once in a while.
    pub fn sweep(&self) {
        let now = self.0.clock.now();
        self.0.expected.sweep(now);
        let held = self.0.channels.sweep(&*self.0.store, now);
        self.0.tail_bytes.store(held, Ordering::Relaxed);
    }

    /// How many channels are in memory.
    #[must_use]
    pub fn channels_in_memory(&self) -> usize {
        self.0.channels.len()
    }

    /// Bytes of messages that channels hold in memory, as of the last sweep.
    pub(crate) fn tail_bytes(&self) -> usize {
        self.0.tail_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of messages that were accepted and are not written yet.
    pub(crate) fn unwritten_bytes(&self) -> usize {
        self.0.unwritten.load(Ordering::Relaxed)
    }

    /// What the store has said to somebody who asked whether it takes writes. One that takes none is opened again, though nobody writes.
    pub(crate) fn on_probe(&self, answer: &Result<(), CommitError>) {
        let takes_nothing = matches!(
            answer,
            Err(CommitError::OutcomeUnknown(_) | CommitError::Closed)
        );
        if let Some(on_broken) = self.0.on_broken.get()
            && takes_nothing
        {
            on_broken();
        }
    }

    /// Whether publishers find room. What no probe sees, as the file is full and not the disk, the last refusal says for a while.
    pub(crate) fn readiness(&self, now: Timestamp) -> Result<(), NotReady> {
        let refused_at = Timestamp::from_millis(self.0.refused_at.load(Ordering::Relaxed));
        if self.0.no_space.load(Ordering::Relaxed) && now.since(refused_at) < REFUSAL_COUNTS {
            let problem = format!(
                "a write was refused less than {} s ago",
                REFUSAL_COUNTS.as_secs()
            );
            return Err(NotReady::NoSpace(problem));
        }
        Ok(())
    }

    /// Calls `on_broken` whenever a batch's outcome is unknown or the store takes none, on the store's thread. Only the first one set
    /// counts.
    pub(crate) fn on_broken(&self, on_broken: impl Fn() + Send + Sync + 'static) {
        drop(self.0.on_broken.set(Box::new(on_broken)));
    }

    /// Forgets every number and message that the store may not have: after the store was reopened in a new epoch.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub async fn restart(&self) -> Result<(), StoreError> {
        self.0.no_space.store(false, Ordering::Relaxed);
        self.0
            .channels
            .restart(&*self.0.store, self.0.clock.now())
            .await
    }

    /// Takes no more messages and stores the last number of every channel. What was taken is in the store's queue, so that an end after this
    /// loses nothing that anybody has seen.
    pub async fn close(&self) {
        self.0.is_closed.store(true, Ordering::SeqCst);
        self.store_heads().await;
    }

    /// Stores the last number of every channel.
    pub async fn store_heads(&self) {
        self.0.channels.store_heads(&*self.0.store).await;
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("channels", &self.0.channels.len())
            .finish_non_exhaustive()
    }
}

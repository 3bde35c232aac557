//! One channel in memory: its log and what its topics fold to behind a short lock, and those who watch it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, atomic::AtomicUsize},
};

use parking_lot::{Mutex, MutexGuard};
use stepcast_protocol::{ChannelName, Cursor, Epoch, Keep, Kind, Timestamp, TopicName};
use tokio::sync::Notify;

use super::{
    entry::ReadError,
    fold::{Fold, Settled},
    log::{ChannelLog, Slice},
    rewrite::Rewrites,
};

/// Bytes that a reader of a topic that folds may lag whatever a snapshot has.
const SNAPSHOT_BYTES: usize = 64 * 1024;

/// Somebody who wants to know when a channel has more to see.
///
/// Called under the channel's lock: set a flag and wake somebody, nothing else, and never call the channel.
pub trait Watch: Send + Sync + 'static {
    /// More has become visible.
    fn on_visible(&self);
}

impl Watch for Notify {
    fn on_visible(&self) {
        self.notify_one();
    }
}

/// A channel. Held by everyone who uses it; nobody holds a lock across an await.
pub struct Channel {
    name: ChannelName,
    state: Mutex<State>,
    /// Told when messages were written, for publishers that wait for room.
    pub(super) written: Notify,
    /// Told when what is kept was changed, for those who are reading it.
    pub(super) rewritten: Notify,
    /// How many ask for its runs.
    pub(super) followers: AtomicUsize,
}

pub(super) struct State {
    pub(super) log: ChannelLog,
    pub(super) used_at: Timestamp,
    pub(super) topics: BTreeMap<TopicName, Topic>,
    /// Whether a topic has grown since the topics were last looked at.
    pub(super) has_grown: bool,
    /// Whether the store may have had messages of it when it was loaded.
    has_history: bool,
    /// Up to and with this cursor, messages are in the folds.
    folded: Cursor,
    pub(super) rewrites: Rewrites,
    watchers: Vec<(u64, Arc<dyn Watch>)>,
    next_watcher: u64,
}

/// What is known of a topic in memory.
#[derive(Debug, Default)]
pub(super) struct Topic {
    /// What it folds to, once somebody has published to it or read it.
    pub(super) fold: Option<Fold>,
    /// What has come since its bounds were last looked at.
    pub(super) grown: Grown,
}

/// How much a topic has grown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Grown {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// Whether its bounds have been looked at since it was loaded.
    is_known: bool,
}

impl Grown {
    /// More than any bound.
    const MUCH: Self = Self {
        messages: u64::MAX,
        bytes: u64::MAX,
        is_known: false,
    };

    /// Its bounds were looked at just now.
    pub(super) const LOOKED_AT: Self = Self {
        messages: 0,
        bytes: 0,
        is_known: true,
    };

    fn is_unknown(self) -> bool {
        !self.is_known
    }
}

impl State {
    fn new(log: ChannelLog, now: Timestamp) -> Self {
        let (folded, has_history) = (log.visible(), log.tail_after() > Cursor::START);
        Self {
            log,
            used_at: now,
            topics: BTreeMap::new(),
            has_grown: false,
            has_history,
            folded,
            rewrites: Rewrites::default(),
            watchers: Vec::new(),
            next_watcher: 0,
        }
    }

    /// Takes over what has become visible: folds go forward, rollbacks take their effect, watchers are told.
    pub(super) fn on_visible(&mut self) {
        let fresh: Vec<_> = self
            .log
            .visible_after(self.folded)
            .map(|(posted, durable)| (Arc::clone(posted), durable))
            .collect();
        self.folded = self.log.visible();
        for (posted, durable) in fresh {
            let message = posted.message();
            let is_settled = durable || message.origin.is_none();
            let fold = self
                .topics
                .get_mut(&message.topic)
                .and_then(|topic| topic.fold.as_mut());
            if let Some(fold) = fold {
                fold.apply(message, is_settled);
                if !message.is_data() {
                    posted.set_fold(fold.snapshot(&message.topic, message.cursor));
                }
            }
            match message.kind {
                Kind::Data | Kind::Ended { .. } | Kind::Status => {}
                Kind::Rollback { .. } => self.log.void(message),
            }
        }
        for (_, watcher) in &self.watchers {
            watcher.on_visible();
        }
    }

    /// Whether the topic's fold is brought forward, or need not be.
    pub(super) fn has_fold(&self, topic: &TopicName, keep: &Keep) -> bool {
        !keep.folds()
            || self
                .topics
                .get(topic)
                .is_some_and(|topic| topic.fold.is_some())
    }

    /// Takes over a fold that holds what lies before the tail.
    pub(super) fn put_fold(&mut self, topic: &TopicName, mut fold: Fold) {
        for (posted, durable) in self.log.visible_after(self.log.tail_after()) {
            let message = posted.message();
            if message.topic == *topic {
                fold.apply(message, durable || message.origin.is_none());
            }
        }
        let topic = self.topics.entry(topic.clone()).or_default();
        topic.fold.get_or_insert(fold);
    }

    fn is_far_behind(&self, cursor: Cursor) -> bool {
        let folds = || self.topics.values().filter_map(|topic| topic.fold.as_ref());
        let snapshots = || SNAPSHOT_BYTES.max(folds().map(Fold::bytes).sum());
        cursor < self.log.tail_after() || self.log.bytes_after(cursor) > snapshots()
    }

    /// A message of this topic goes to the store.
    pub(super) fn grow(&mut self, topic: &TopicName, bytes: usize) {
        self.has_grown = true;
        let grown = match self.topics.get_mut(topic) {
            Some(topic) => &mut topic.grown,
            None => &mut self.topics.entry(topic.clone()).or_default().grown,
        };
        if self.has_history && grown.is_unknown() {
            // How much came before it was loaded, nobody knows: its bounds are looked at.
            *grown = Grown::MUCH;
        }
        grown.messages = grown.messages.saturating_add(1);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        grown.bytes = grown.bytes.saturating_add(bytes);
    }

    pub(super) fn is_watched(&self) -> bool {
        !self.watchers.is_empty()
    }
}

impl Channel {
    pub(super) fn new(name: ChannelName, log: ChannelLog, now: Timestamp) -> Self {
        Self {
            name,
            state: Mutex::new(State::new(log, now)),
            written: Notify::new(),
            rewritten: Notify::new(),
            followers: AtomicUsize::new(0),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// How far one may see: a reader that starts here misses nothing that comes.
    #[must_use]
    pub fn visible(&self) -> Cursor {
        self.state().log.visible()
    }

    /// Refuses a cursor that nobody can have been given.
    ///
    /// # Errors
    /// [`ReadError::AheadOfChannel`].
    pub fn check(&self, cursor: Cursor) -> Result<(), ReadError> {
        let visible = self.visible();
        if cursor > visible {
            let channel = self.name.to_string();
            return Err(ReadError::AheadOfChannel {
                cursor,
                channel,
                visible,
            });
        }
        Ok(())
    }

    /// Whether a reader has to [enter anew](super::Hub::enter_anew) instead of reading on: the store was reopened since it entered in
    /// `life`, so that it may have seen what is lost; or, where it wants a topic that has snapshots, one is cheaper than what it missed.
    #[must_use]
    pub fn must_enter(&self, cursor: Cursor, life: Epoch, wants_fold: bool) -> bool {
        let state = self.state();
        life < state.log.epoch() || (wants_fold && state.is_far_behind(cursor))
    }

    /// Whether a snapshot is cheaper than what comes after a cursor.
    pub(super) fn is_far_behind(&self, cursor: Cursor) -> bool {
        self.state().is_far_behind(cursor)
    }

    /// An attempt has settled: no rollback can take back what it has published up to a cursor.
    pub(crate) fn settle(&self, origin: &stepcast_protocol::Origin, up_to: Cursor) {
        let settled = Settled { origin, up_to };
        for topic in self.state().topics.values_mut() {
            if let Some(fold) = &mut topic.fold {
                fold.settle(settled);
            }
        }
    }

    /// When a message was accepted last.
    pub(crate) fn used_at(&self) -> Timestamp {
        self.state().used_at
    }

    /// The last number given out, visible or not.
    #[must_use]
    pub fn head(&self) -> Cursor {
        self.state().log.head()
    }

    /// What comes after a cursor: about `max_bytes`, and at least one message.
    #[must_use]
    pub fn read(&self, after: Cursor, max_bytes: usize) -> Slice {
        self.state().log.read(after, max_bytes)
    }

    /// Calls `watch` whenever more becomes visible, until the guard is dropped. Read after watching: what became visible in between is
    /// then seen, at worst twice announced.
    pub fn watch(self: &Arc<Self>, watch: Arc<dyn Watch>) -> WatchGuard {
        let mut state = self.state();
        let id = state.next_watcher;
        state.next_watcher += 1;
        state.watchers.push((id, watch));
        WatchGuard {
            channel: Arc::clone(self),
            id,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Starts again with what the store has; what it has not is gone. One that was loaded in this epoch may have given numbers already, and
    /// goes on.
    pub(super) fn restart(&self, log: ChannelLog) {
        let mut state = self.state();
        if state.log.epoch() >= log.epoch() {
            return;
        }
        state.folded = log.visible();
        state.log = log;
        // Their names tell readers who want all topics which ones may have lost something.
        state
            .topics
            .values_mut()
            .for_each(|topic| *topic = Topic::default());
        state.has_history = state.log.tail_after() > Cursor::START;
        state.rewrites.jump();
        state.on_visible();
        self.written.notify_waiters();
        self.rewritten.notify_waiters();
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("name", &self.name)
            .field("visible", &self.visible())
            .finish_non_exhaustive()
    }
}

/// Ends a watch when it is dropped.
#[must_use = "the watch ends when this is dropped"]
pub struct WatchGuard {
    channel: Arc<Channel>,
    id: u64,
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        self.channel
            .state()
            .watchers
            .retain(|(id, _)| *id != self.id);
    }
}

impl fmt::Debug for WatchGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchGuard")
            .field("channel", &self.channel.name)
            .finish_non_exhaustive()
    }
}

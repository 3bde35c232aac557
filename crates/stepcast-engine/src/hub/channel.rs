//! One channel in memory: its log behind a short lock, and those who watch it.

use std::{fmt, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use stepcast_protocol::{ChannelName, Cursor, Epoch, Timestamp};
use tokio::sync::Notify;

use super::log::{ChannelLog, Slice};

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
}

pub(super) struct State {
    pub(super) log: ChannelLog,
    pub(super) used_at: Timestamp,
    watchers: Vec<(u64, Arc<dyn Watch>)>,
    next_watcher: u64,
}

impl State {
    /// Tells every watcher.
    pub(super) fn announce(&self) {
        for (_, watcher) in &self.watchers {
            watcher.on_visible();
        }
    }

    pub(super) fn is_watched(&self) -> bool {
        !self.watchers.is_empty()
    }
}

impl Channel {
    pub(super) fn new(name: ChannelName, epoch: Epoch, head: Cursor, now: Timestamp) -> Self {
        let state = State {
            log: ChannelLog::new(epoch, head),
            used_at: now,
            watchers: Vec::new(),
            next_watcher: 0,
        };
        Self {
            name,
            state: Mutex::new(state),
            written: Notify::new(),
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

    /// The last number given out, visible or not.
    #[must_use]
    pub fn head(&self) -> Cursor {
        self.state().log.head()
    }

    /// The epoch of the numbers it gives.
    pub(super) fn epoch(&self) -> Epoch {
        self.state().log.epoch()
    }

    /// What comes after a cursor: about `max_bytes`, and at least one message.
    #[must_use]
    pub fn read(&self, after: Cursor, max_bytes: usize) -> Slice {
        self.state().log.read(after, max_bytes)
    }

    /// Calls `watch` whenever more becomes visible, until the guard is dropped. Read after watching: what became visible in between is
    /// then seen, at worst twice announced.
    #[must_use]
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

    /// Starts again after `head` in a new epoch; what was not in the store is gone.
    pub(super) fn restart(&self, epoch: Epoch, head: Cursor) {
        let mut state = self.state();
        state.log = ChannelLog::new(epoch, head);
        state.announce();
        self.written.notify_waiters();
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

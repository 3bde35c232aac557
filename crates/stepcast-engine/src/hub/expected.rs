//! Readers that are on their way: a token for them was just minted. What is said only to those who are there, such as the end of a run, is
//! put on the channel's tail for them too, so that a run that is faster than a page's connection is not missed.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use stepcast_protocol::{ChannelName, Timestamp, limits};
use tokio::sync::Notify;

use super::{Channel, Follow, Hub, WatchGuard};

#[derive(Default)]
pub(super) struct Expected(Mutex<BTreeMap<ChannelName, Expectation>>);

/// The channel counts as read until then.
struct Expectation {
    until: Timestamp,
    _watch: WatchGuard,
    /// While one of them is to be told of runs.
    follow: Option<Follow>,
}

impl Hub {
    /// A reader may come to the channel until then. `follows` says that it will ask for the channel's runs, as by [`Hub::follow_runs`].
    ///
    /// Of more than [`limits::CHANNELS_EXPECTED`] channels at once, the later ones are as if nobody had said so.
    pub fn expect_reader(&self, channel: &Arc<Channel>, follows: bool, until: Timestamp) {
        let mut expected = self.0.expected.0.lock();
        if let Some(known) = expected.get_mut(channel.name()) {
            known.until = known.until.max(until);
            if follows && known.follow.is_none() {
                known.follow = Some(self.follow_runs(channel));
            }
            return;
        }
        if expected.len() >= limits::CHANNELS_EXPECTED {
            tracing::debug!(channel = %channel.name(), "too many readers are on their way to expect one more");
            return;
        }
        let expectation = Expectation {
            until,
            // Nobody waits for what it is told.
            _watch: channel.watch(Arc::new(Notify::new())),
            follow: follows.then(|| self.follow_runs(channel)),
        };
        expected.insert(channel.name().clone(), expectation);
    }
}

impl Expected {
    /// Forgets those who did not come.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.0
            .lock()
            .retain(|_, expectation| expectation.until >= now);
    }
}

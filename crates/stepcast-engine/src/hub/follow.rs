//! Who asks for the runs of a channel: connections of npm `inngest` whose token names `$run`. As long as there is none in the process, runs
//! need not look for their channels.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Hub, channel::Channel};

/// One who asks; it ends when this is dropped.
#[must_use = "nobody asks any more when this is dropped"]
pub struct Follow {
    channel: Arc<Channel>,
    of_all: Arc<AtomicUsize>,
}

impl Hub {
    /// From now on, what happens to the runs of a channel is posted there, for npm `inngest`.
    pub fn follow_runs(&self, channel: &Arc<Channel>) -> Follow {
        channel.followers.fetch_add(1, Ordering::Relaxed);
        self.0.followers.fetch_add(1, Ordering::Relaxed);
        Follow {
            channel: Arc::clone(channel),
            of_all: Arc::clone(&self.0.followers),
        }
    }

    /// Whether somebody asks for the runs of any channel.
    pub(crate) fn has_followers(&self) -> bool {
        self.0.followers.load(Ordering::Relaxed) > 0
    }
}

impl Channel {
    /// Whether somebody asks for its runs.
    pub(crate) fn is_followed(&self) -> bool {
        self.followers.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.channel.followers.fetch_sub(1, Ordering::Relaxed);
        self.of_all.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Follow").field(self.channel.name()).finish()
    }
}

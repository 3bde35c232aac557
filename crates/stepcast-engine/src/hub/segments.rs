//! Which channels are named after something: a run, an event, an id of the application's own. A name is split at `:` and `/`.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use stepcast_protocol::ChannelName;

use super::channel::Channel;

/// Channels in memory by the segments of their names.
#[derive(Default)]
pub(super) struct Segments(Mutex<HashMap<Box<str>, Vec<Weak<Channel>>>>);

fn segments(name: &ChannelName) -> impl Iterator<Item = &str> {
    name.as_str()
        .split([':', '/'])
        .filter(|segment| !segment.is_empty())
}

/// Whether a channel is named after something.
pub(crate) fn is_named_after(name: &ChannelName, segment: &str) -> bool {
    segments(name).any(|found| found == segment)
}

impl Segments {
    pub(super) fn add(&self, channel: &Arc<Channel>) {
        let mut by_segment = self.0.lock();
        for segment in segments(channel.name()) {
            let named = by_segment.entry(segment.into()).or_default();
            named.push(Arc::downgrade(channel));
        }
    }

    /// The channels that have this segment.
    pub(super) fn of(&self, segment: &str) -> Vec<Arc<Channel>> {
        let by_segment = self.0.lock();
        let named = by_segment.get(segment).into_iter().flatten();
        named.filter_map(Weak::upgrade).collect()
    }

    /// Forgets channels that have left memory.
    pub(super) fn sweep(&self) {
        self.0.lock().retain(|_, named| {
            named.retain(|channel| channel.strong_count() > 0);
            !named.is_empty()
        });
    }
}

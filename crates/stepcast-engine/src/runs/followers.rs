//! Pages of npm `inngest` whose token names `$run`: they are told where each run is that the channel is named after, or that has published
//! there. The end comes last, by `owners`, as such a page takes nothing after it. Nothing of this is kept.

use std::sync::Arc;

use stepcast_protocol::{ChannelName, Event, Kind, TopicName, run::RUN_TOPIC};

use super::{RunFrames, Runs, lifecycle::run_news, owners::keys};
use crate::{
    hub::{Channel, Draft, is_named_after},
    store::RunRow,
};

impl Runs {
    /// A run is somewhere else now.
    pub(super) fn tell_followers(
        &self,
        row: &RunRow,
        event: &Event,
        published: impl FnOnce() -> Vec<ChannelName>,
    ) {
        let is_asked = self.0.frames != RunFrames::Off && self.0.hub.has_followers();
        if !is_asked || row.phase.is_final() {
            return;
        }
        let keys = keys(row.id, event);
        let own = keys
            .iter()
            .flat_map(|key| self.0.hub.read_and_named_after(key));
        let published = published();
        let published = published.iter().filter_map(|name| self.0.hub.find(name));
        let mut told: Vec<Arc<Channel>> = Vec::new();
        for channel in own.chain(published) {
            let is_known = told.iter().any(|known| Arc::ptr_eq(known, &channel));
            if channel.is_followed() && !is_known {
                self.post_for_npm(&channel, news_for_npm(row));
                told.push(channel);
            }
        }
    }

    /// A run has published on a channel for the first time, which others have been told of all along.
    pub(super) fn introduce(&self, row: &RunRow, event: &Event, channel: &Arc<Channel>) {
        let is_own = || {
            let keys = keys(row.id, event);
            keys.iter().any(|key| is_named_after(channel.name(), key))
        };
        if self.0.frames != RunFrames::Off && !row.phase.is_final() && !is_own() {
            self.post_for_npm(channel, news_for_npm(row));
        }
    }

    pub(super) fn post_for_npm(&self, channel: &Arc<Channel>, draft: Draft) {
        // It is not kept, so nothing can wait to be written.
        if let Err(error) = self.0.hub.post(channel, draft, |_, _| {}, |_| {}) {
            tracing::debug!(channel = %channel.name(), %error, "readers were not told of a run");
        }
    }
}

/// Where a run is, for those whose token names `$run`.
fn news_for_npm(row: &RunRow) -> Draft {
    let news = run_news(row);
    let topic = TopicName::parse(RUN_TOPIC).expect("the engine's topics have names");
    Draft::for_npm(topic, Kind::Status, news.payload, news.origin)
}

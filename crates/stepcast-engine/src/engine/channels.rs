//! Channels as their operator sees them.

use std::collections::BTreeMap;

use stepcast_protocol::{Bounds, ChannelName, Cursor, Keep, TopicName};

use super::Engine;
use crate::error::EngineError;

/// A channel as its operator sees it.
#[derive(Debug, Clone)]
pub struct ChannelView {
    /// The last number given out.
    pub head: Cursor,
    /// How far readers can see.
    pub visible: Cursor,
    /// The topics that are declared or kept, in the order of their names.
    pub topics: Vec<TopicView>,
}

/// One topic as its operator sees it.
#[derive(Debug, Clone)]
pub struct TopicView {
    /// Its name.
    pub topic: TopicName,
    /// How it is kept.
    pub keep: Keep,
    /// How much of it is kept.
    pub bounds: Bounds,
    /// How many messages the store has.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Up to and with this cursor they had to go.
    pub trimmed_to: Option<Cursor>,
}

impl Engine {
    /// What is kept of a channel. One that was never written is empty.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot be read.
    pub async fn channel(&self, name: &ChannelName) -> Result<ChannelView, EngineError> {
        let channel = self.0.hub.channel(name).await?;
        let row = self.0.store.channel(name.clone()).await?;
        let kept = self.0.store.topics(name.clone()).await?;
        let trimmed = row.map_or_else(Vec::new, |row| row.trimmed);
        let mut topics: BTreeMap<_, _> = self
            .0
            .catalog
            .topics(name)
            .into_iter()
            .chain(trimmed.iter().map(|(topic, _)| topic.clone()))
            .map(|topic| (topic, (0, 0)))
            .collect();
        topics.extend(
            kept.into_iter()
                .map(|row| (row.topic, (row.messages, row.bytes))),
        );
        let trimmed: BTreeMap<_, _> = trimmed.into_iter().collect();
        let view = |(topic, (messages, bytes))| TopicView {
            keep: self.0.catalog.keep(name, &topic),
            bounds: self.0.catalog.bounds(name, &topic),
            trimmed_to: trimmed.get(&topic).copied(),
            topic,
            messages,
            bytes,
        };
        Ok(ChannelView {
            head: channel.head(),
            visible: channel.visible(),
            topics: topics.into_iter().map(view).collect(),
        })
    }
}

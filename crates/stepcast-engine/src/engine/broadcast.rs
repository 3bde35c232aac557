//! One payload for several topics of a channel, in one commit.

use std::sync::Arc;

use bytes::Bytes;
use stepcast_protocol::{ChannelName, Cursor, RunId, TopicName};

use super::Engine;
use crate::{
    error::EngineError,
    hub::{Channel, Keyed, Together},
    runs::StepAttempt,
};

/// A message from outside a function, for several topics. Readers see it on all of them or on none, after its commit.
#[derive(Debug, Clone)]
pub struct Broadcast {
    /// The channel.
    pub channel: ChannelName,
    /// The topics, each once, with the key under which the message is published on it once within
    /// [`stepcast_protocol::limits::IDEMPOTENCY_WINDOW`]. Keys are the channel's: each topic needs one of its own.
    pub topics: Vec<(TopicName, Option<String>)>,
    /// One JSON text.
    pub payload: Bytes,
    /// The run it is said to belong to.
    pub run: Option<RunId>,
    /// Whether it stands whatever becomes of the call that says it. A message with a key does.
    pub durable: bool,
}

impl Engine {
    /// Publishes a message on several topics, and says where they are, in the order of the topics. Of those that stand under their keys
    /// already, nothing is published anew.
    ///
    /// # Errors
    /// Those of [`Self::publish`]; then nothing was published on any topic.
    pub async fn broadcast(&self, broadcast: Broadcast) -> Result<Vec<Cursor>, EngineError> {
        let (channel, messages) = self.together(&broadcast).await?;
        if let Some(run) = broadcast.run.filter(|_| broadcast.falls_with_its_call()) {
            let said = self.0.runs.speak_together(run, &channel, &messages);
            if let Some(cursors) = said.await? {
                return Ok(cursors);
            }
        }
        self.commit_together(&channel, messages, broadcast.run)
            .await
    }

    /// The same for what an attempt of a step says, as [`Self::publish_in_step`] does it.
    ///
    /// # Errors
    /// Those of [`Self::broadcast`].
    pub async fn broadcast_in_step(
        &self,
        broadcast: Broadcast,
        attempt: &StepAttempt,
    ) -> Result<Vec<Cursor>, EngineError> {
        if let Some(run) = broadcast.run {
            let (channel, messages) = self.together(&broadcast).await?;
            let runs = &self.0.runs;
            let said = runs.speak_in_step_together(run, attempt, &channel, &messages);
            if let Some(cursors) = said.await? {
                return Ok(cursors);
            }
        }
        self.broadcast(broadcast).await
    }

    async fn together(
        &self,
        broadcast: &Broadcast,
    ) -> Result<(Arc<Channel>, Together), EngineError> {
        let Broadcast {
            channel,
            topics,
            payload,
            run,
            ..
        } = broadcast;
        let message = |(topic, key): &(TopicName, Option<String>)| {
            let draft = self.checked(channel, topic, payload, *run)?;
            let key = key.clone();
            Ok(Keyed { draft, key })
        };
        let messages = topics
            .iter()
            .map(message)
            .collect::<Result<_, EngineError>>()?;
        let channel = self.0.hub.channel(channel).await?;
        Ok((channel, Together::new(messages)))
    }
}

impl Broadcast {
    fn falls_with_its_call(&self) -> bool {
        !self.durable && self.topics.iter().all(|(_, key)| key.is_none())
    }
}

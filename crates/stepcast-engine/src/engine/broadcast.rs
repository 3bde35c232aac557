//! Several messages for a channel, in one commit.

use std::sync::Arc;

use bytes::Bytes;
use stepcast_protocol::{ChannelName, Cursor, RunId, TopicName};

use super::Engine;
use crate::{
    error::EngineError,
    hub::{Channel, Keyed, Together},
    runs::StepAttempt,
};

/// Messages from outside a function, for one channel. Readers see all of them or none, after their commit.
#[derive(Debug, Clone)]
pub struct Broadcast {
    /// The channel.
    pub channel: ChannelName,
    /// The messages, in their order.
    pub messages: Vec<Addressed>,
    /// The run they are said to belong to.
    pub run: Option<RunId>,
    /// Whether they stand whatever becomes of the call that says them. Messages with a key do.
    pub durable: bool,
}

/// One message of a [`Broadcast`].
#[derive(Debug, Clone)]
pub struct Addressed {
    /// The topic.
    pub topic: TopicName,
    /// One JSON text.
    pub payload: Bytes,
    /// The key under which it is published once within [`stepcast_protocol::limits::IDEMPOTENCY_WINDOW`]. Keys are the channel's: each
    /// message needs one of its own.
    pub key: Option<String>,
}

impl Engine {
    /// Publishes messages, and says where they are, in their order. Those that stand under their keys already are not published anew.
    ///
    /// # Errors
    /// Those of [`Self::publish`]; then nothing was published.
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
    /// Those of [`Self::broadcast`] and of [`Self::publish_in_step`].
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
            messages,
            run,
            ..
        } = broadcast;
        let message = |message: &Addressed| {
            let Addressed {
                topic,
                payload,
                key,
            } = message;
            let draft = self.checked(channel, topic, payload, *run)?;
            let key = key.clone();
            Ok(Keyed { draft, key })
        };
        let messages = messages
            .iter()
            .map(message)
            .collect::<Result<_, EngineError>>()?;
        let channel = self.0.hub.channel(channel).await?;
        Ok((channel, Together::new(messages)))
    }
}

impl Broadcast {
    fn falls_with_its_call(&self) -> bool {
        !self.durable && self.messages.iter().all(|message| message.key.is_none())
    }
}

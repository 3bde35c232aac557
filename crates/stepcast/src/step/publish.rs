//! `publish`: a durable message. One commit holds the step and the message.

use std::sync::Arc;

use stepcast_engine::{
    hub::{Draft, Outgoing},
    store::Verb,
};

use super::Step;
use crate::{
    channel::{Channel, ChannelAt},
    error::Error,
    execution::Next,
};

impl Step {
    /// Publishes a message once, whatever crashes: the message and the step's record are one commit, delivered after it.
    ///
    /// # Errors
    /// `bad_channel`, `schema_violation`, `too_large`; `step_changed` when the id is on record with another channel or topic.
    pub async fn publish<C: Channel>(
        self,
        channel: &ChannelAt<C>,
        message: C,
    ) -> Result<(), Error> {
        let execution = Arc::clone(&self.execution);
        let name = channel.name()?;
        let encoded = execution.channels.encode(name, &message)?;
        let mut claim = self.claim(Verb::Publish, format!("{name} {}", encoded.topic))?;
        loop {
            match claim.next().await {
                Next::Result(result) => return result.map(|_| ()),
                Next::Execute => {
                    let channel = execution
                        .hub
                        .channel(name)
                        .await
                        .map_err(|error| Error::coded(error.code(), error))?;
                    let attempt = claim.begin().await;
                    let origin = execution.step_origin(&claim.key().id, attempt);
                    let (topic, payload) = (encoded.topic.clone(), encoded.payload.clone());
                    let draft = Draft::new(topic, encoded.keep.clone(), payload, Some(origin));
                    claim.report(|execution, key| {
                        execution
                            .lease
                            .step_publishes(key, Outgoing { channel, draft })
                    });
                }
            }
        }
    }
}

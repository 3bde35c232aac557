//! Tokens for browsers.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use stepcast_engine::Engine;
use stepcast_http::{Gateway, History};
use stepcast_protocol::{ChannelName, ChannelSpec, ErrorCode, RunId, TopicName, limits};

use super::watch::channel_of;
use crate::{
    channel::{Channel, ChannelAt},
    channels::Channels,
    error::Error,
};

/// A token about to be minted. Await it.
#[derive(Debug)]
#[must_use = "no token is minted until this is awaited"]
pub struct MintToken {
    engine: Engine,
    gateway: Gateway,
    channel: Result<ChannelName, Error>,
    topics: Vec<TopicName>,
    history: History,
    lifetime: Duration,
}

impl MintToken {
    pub(super) fn new<C: Channel>(
        engine: Engine,
        gateway: Gateway,
        channels: &Channels,
        channel: &ChannelAt<C>,
    ) -> Self {
        let declared = channels.declare::<C>();
        let channel = declared.and_then(|_| channel.name().cloned());
        let topics = all(C::spec());
        Self {
            engine,
            gateway,
            channel,
            topics,
            history: History::Allowed,
            lifetime: limits::TOKEN_LIFETIME,
        }
    }

    pub(super) fn for_run(engine: Engine, gateway: Gateway, run: RunId) -> Self {
        let (channel, topics) = channel_of(run);
        Self {
            engine,
            gateway,
            channel: Ok(channel),
            topics,
            history: History::Allowed,
            lifetime: limits::TOKEN_LIFETIME,
        }
    }

    /// Only these topics.
    pub fn topics<T: AsRef<str>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        match chosen(&self.topics, topics) {
            Ok(topics) => self.topics = topics,
            Err(error) => self.channel = self.channel.and(Err(error)),
        }
        self
    }

    /// How long a connection may be opened with it (60 s). An `EventSource` opens anew by itself, with the same token: give it the
    /// length of the visit. At most 24 h.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// Allows no message from before this moment.
    pub fn without_history(self) -> Self {
        Self {
            history: History::Refused,
            ..self
        }
    }

    async fn mint(self) -> Result<String, Error> {
        if self.lifetime > limits::TOKEN_LIFETIME_MAX {
            let text = format!(
                "a token may live {:?} at most, not {:?}",
                limits::TOKEN_LIFETIME_MAX,
                self.lifetime
            );
            return Err(Error::coded(ErrorCode::BadRequest, text));
        }
        let name = self.channel?;
        let channel = self
            .engine
            .hub()
            .channel(&name)
            .await
            .map_err(|error| Error::coded(error.code(), error))?;
        let cursor = channel.visible();
        let tokens = self.gateway.tokens();
        Ok(tokens.mint_read(name, self.topics, cursor, self.history, self.lifetime))
    }
}

/// The named topics of those declared.
pub(super) fn chosen<T: AsRef<str>>(
    declared: &[TopicName],
    topics: impl IntoIterator<Item = T>,
) -> Result<Vec<TopicName>, Error> {
    let find = |topic: T| {
        let topic = topic.as_ref();
        declared
            .iter()
            .find(|name| name.as_str() == topic)
            .cloned()
            .ok_or_else(|| {
                let text = format!(
                    "the channel declares no topic `{topic}`; it has {}",
                    list(declared)
                );
                Error::coded(ErrorCode::BadTopic, text)
            })
    };
    topics.into_iter().map(find).collect()
}

fn list(topics: &[TopicName]) -> String {
    let names: Vec<_> = topics.iter().map(|topic| format!("`{topic}`")).collect();
    names.join(", ")
}

/// All topics of a channel type.
pub(super) fn all(spec: &ChannelSpec) -> Vec<TopicName> {
    spec.topics.iter().map(|topic| topic.name.clone()).collect()
}

impl IntoFuture for MintToken {
    type Output = Result<String, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.mint())
    }
}

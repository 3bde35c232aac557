//! Publishing from outside a function.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
};

use stepcast_engine::{Engine, Publication};
use stepcast_protocol::{Cursor, ErrorCode, limits};

use crate::{
    channel::{Channel, ChannelAt},
    channels::Channels,
    error::Error,
};

/// A message about to be published. Await it; it gives the message's place in the channel.
#[derive(Debug)]
#[must_use = "nothing is published until this is awaited"]
pub struct Publish {
    engine: Engine,
    publication: Result<Publication, Error>,
}

impl Publish {
    pub(super) fn new<C: Channel>(
        engine: Engine,
        channels: &Channels,
        channel: &ChannelAt<C>,
        message: &C,
    ) -> Self {
        let publication = channel.name().and_then(|name| {
            let encoded = channels.encode(name, message)?;
            let (topic, payload) = (encoded.topic, encoded.payload);
            Ok(Publication {
                channel: name.clone(),
                topic,
                payload,
                run: None,
                durable: false,
                key: None,
            })
        });
        Self {
            engine,
            publication,
        }
    }

    /// Waits for the commit: readers see the message after it, and no crash takes it back.
    pub fn durable(mut self) -> Self {
        self.publication = self.publication.map(|publication| Publication {
            durable: true,
            ..publication
        });
        self
    }

    /// A key, 1 to 256 bytes, under which the channel takes one message within 24 h: a second one gives the place of the first. Waits for the
    /// commit.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        let key = key.into();
        self.publication = self.publication.and_then(|publication| {
            if !(1..=limits::NAME_BYTES).contains(&key.len()) {
                let text = format!(
                    "idempotency key has {} bytes, 1 to {} are allowed",
                    key.len(),
                    limits::NAME_BYTES
                );
                return Err(Error::coded(ErrorCode::BadRequest, text));
            }
            Ok(Publication {
                key: Some(key),
                ..publication
            })
        });
        self
    }

    async fn publish(self) -> Result<Cursor, Error> {
        self.engine
            .publish(self.publication?)
            .await
            .map_err(Error::engine)
    }
}

impl IntoFuture for Publish {
    type Output = Result<Cursor, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.publish())
    }
}

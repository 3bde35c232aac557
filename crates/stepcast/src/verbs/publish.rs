//! Publishing from outside a function.

use std::{future::IntoFuture, sync::Arc};

use stepcast_protocol::{Cursor, ErrorCode, limits};

use super::{Answer, Backend, Publication};
use crate::error::Error;

/// A message about to be published. Await it; it gives the message's place in the channel.
#[derive(Debug)]
#[must_use = "nothing is published until this is awaited"]
pub struct Publish {
    backend: Arc<dyn Backend>,
    publication: Result<Publication, Error>,
}

impl Publish {
    pub(crate) fn new(backend: Arc<dyn Backend>, publication: Result<Publication, Error>) -> Self {
        Self {
            backend,
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
}

impl IntoFuture for Publish {
    type Output = Result<Cursor, Error>;
    type IntoFuture = Answer<Cursor>;

    fn into_future(self) -> Self::IntoFuture {
        match self.publication {
            Ok(publication) => self.backend.publish(publication),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

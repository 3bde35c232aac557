//! Tokens for those who read a channel.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use stepcast_protocol::{ChannelName, ErrorCode, RunId, TopicName, limits};

use super::{
    Answer, Backend, Grant,
    topics::{all, chosen},
    watch::channel_of,
};
use crate::{channel::Channel, error::Error};

/// A token about to be minted. Await it.
#[derive(Debug)]
#[must_use = "no token is minted until this is awaited"]
pub struct MintToken {
    backend: Arc<dyn Backend>,
    grant: Result<Grant, Error>,
}

impl MintToken {
    /// For all topics of a channel.
    pub(crate) fn new<C: Channel>(
        backend: Arc<dyn Backend>,
        channel: Result<ChannelName, Error>,
    ) -> Self {
        let grant = channel.map(|channel| grant(channel, all(C::spec())));
        Self { backend, grant }
    }

    /// For where a run is.
    pub(crate) fn for_run(backend: Arc<dyn Backend>, run: RunId) -> Self {
        let (channel, topics) = channel_of(run);
        let grant = Ok(grant(channel, topics));
        Self { backend, grant }
    }

    /// For some topics of a channel by name.
    pub(crate) fn for_topics(
        backend: Arc<dyn Backend>,
        named: Result<(ChannelName, Vec<TopicName>), Error>,
    ) -> Self {
        let grant = named.map(|(channel, topics)| grant(channel, topics));
        Self { backend, grant }
    }

    /// Only these topics.
    pub fn topics<T: AsRef<str>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.grant = self.grant.and_then(|grant| {
            let topics = chosen(&grant.topics, topics)?;
            Ok(Grant { topics, ..grant })
        });
        self
    }

    /// How long a connection may be opened with it (60 s). An `EventSource` opens anew by itself, with the same token: give it the
    /// length of the visit. At most 24 h.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.bounded(lifetime, limits::TOKEN_LIFETIME_MAX, |grant| Grant {
            lifetime,
            ..grant
        })
    }

    /// How long a connection may go on before it has to show another token (1 h), in whole seconds. At most 24 h.
    pub fn session(mut self, session: Duration) -> Self {
        if session < Duration::from_secs(1) {
            let text = format!("a session lasts 1 s at least, not {session:?}");
            self.grant = self
                .grant
                .and(Err(Error::coded(ErrorCode::BadRequest, text)));
        }
        self.bounded(session, limits::SESSION_MAX, |grant| Grant {
            session: Some(session),
            ..grant
        })
    }

    /// Allows no message from before this moment.
    pub fn without_history(mut self) -> Self {
        self.grant = self.grant.map(|grant| Grant {
            history: false,
            ..grant
        });
        self
    }

    fn bounded(
        mut self,
        asked: Duration,
        most: Duration,
        with: impl FnOnce(Grant) -> Grant,
    ) -> Self {
        self.grant = self.grant.and_then(|grant| {
            if asked > most {
                let text = format!("a token may live {most:?} at most, not {asked:?}");
                return Err(Error::coded(ErrorCode::BadRequest, text));
            }
            Ok(with(grant))
        });
        self
    }
}

fn grant(channel: ChannelName, topics: Vec<TopicName>) -> Grant {
    Grant {
        channel,
        topics,
        history: true,
        lifetime: limits::TOKEN_LIFETIME,
        session: None,
    }
}

impl IntoFuture for MintToken {
    type Output = Result<String, Error>;
    type IntoFuture = Answer<String>;

    fn into_future(self) -> Self::IntoFuture {
        match self.grant {
            Ok(grant) => self.backend.mint(grant),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

//! A token for a reader that is about to come: it names where the channel is, and the channel is told that it is expected.

use std::time::Duration;

use stepcast_engine::store::StoreError;
use stepcast_protocol::{ChannelGrant, ChannelName, TopicName, limits, run::RUN_TOPIC};

use crate::{gateway::Gateway, tokens::History};

/// What a reader is to be allowed.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The channel.
    pub channel: ChannelName,
    /// Its topics.
    pub topics: Vec<TopicName>,
    /// Whether it may read what was published before this moment.
    pub history: History,
    /// How long it may wait before it connects.
    pub lifetime: Duration,
    /// How long a native connection may go on with the token; [`limits::SESSION`] when nothing is said.
    pub session: Option<Duration>,
}

impl Gateway {
    /// A token for a reader that begins where the channel is now.
    ///
    /// A run that ends before the reader has connected is told to it all the same, when it connects within [`limits::TOKEN_LIFETIME`].
    ///
    /// # Errors
    /// [`StoreError`] when the channel cannot be read.
    pub async fn invite(&self, invitation: Invitation) -> Result<String, StoreError> {
        let Invitation {
            channel,
            topics,
            history,
            lifetime,
            session,
        } = invitation;
        let (hub, clock) = (self.engine().hub(), self.engine().clock());
        let channel = hub.channel(&channel).await?;
        let names_runs = topics.iter().any(|topic| topic.as_str() == RUN_TOPIC);
        let until = clock.now() + lifetime.min(limits::TOKEN_LIFETIME);
        hub.expect_reader(&channel, names_runs, until);
        let grant = ChannelGrant {
            channel: channel.name().clone(),
            topics,
            cursor: channel.visible(),
            history: history == History::Allowed,
            session: session.map(|session| session.as_secs()),
        };
        Ok(self.tokens().mint_grant(grant, lifetime))
    }
}

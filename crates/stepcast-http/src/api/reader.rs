//! Who wants to read a channel, and from where.

use std::sync::Arc;

use axum::http::request::Parts;
use stepcast_engine::hub::Channel;
use stepcast_protocol::{ChannelGrant, Cursor, ErrorCode};

use super::{problem::Problem, query};
use crate::{
    fanout::{Permit, topic_set},
    gateway::Gateway,
};

/// A reader that was let in. It holds its channel, so nothing that is published from here on can pass it by.
pub(super) struct Reader {
    pub(super) channel: Arc<Channel>,
    pub(super) topics: Arc<[stepcast_protocol::TopicName]>,
    pub(super) cursor: Cursor,
    pub(super) permit: Option<Permit>,
}

/// What the request's token lets it read.
pub(super) fn grant(
    gateway: &Gateway,
    parts: &Parts,
    query: &query::Query,
) -> Result<ChannelGrant, Problem> {
    let claims = gateway
        .tokens()
        .verify_now(query::credential(parts, query))?;
    claims.read.ok_or_else(|| {
        let sentence = "token does not allow to read; mint one for a channel and its topics";
        Problem::new(ErrorCode::Forbidden, sentence)
    })
}

impl Reader {
    /// Lets a reader in: where its token was minted, or at a cursor it has itself.
    pub(super) async fn open(
        gateway: &Gateway,
        parts: &Parts,
        grant: ChannelGrant,
        asked: Option<&str>,
    ) -> Result<Self, Problem> {
        let permit = gateway.admit(parts)?;
        let asked = asked
            .map(str::parse::<Cursor>)
            .transpose()
            .map_err(|error| Problem::new(ErrorCode::BadCursor, error))?;
        let channel = gateway.engine().hub().channel(&grant.channel).await?;
        let cursor = start(&grant, &channel, asked)?;
        Ok(Self {
            channel,
            topics: topic_set(grant.topics),
            cursor,
            permit,
        })
    }
}

fn start(
    grant: &ChannelGrant,
    channel: &Channel,
    asked: Option<Cursor>,
) -> Result<Cursor, Problem> {
    // A crash may have taken the numbers the token was minted at.
    let minted = grant.cursor.min(channel.visible());
    if let Some(asked) = asked {
        channel.check(asked)?;
    }
    match asked {
        None => Ok(minted),
        Some(cursor) if cursor < minted && !grant.history => {
            let sentence = format!("token allows to read after {minted} only, not after {cursor}");
            Err(Problem::new(ErrorCode::Forbidden, sentence))
        }
        Some(cursor) => Ok(cursor),
    }
}

//! Who wants to read a channel, and from where.

use axum::http::request::Parts;
use stepcast_protocol::{Beginning, ChannelGrant, ErrorCode};

use super::{problem::Problem, query};
use crate::{
    entrance::{self, Entrance, EntranceError},
    gateway::Gateway,
};

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

/// Lets a reader in where it wants to begin, or where its token was minted.
pub(super) async fn entrance(
    gateway: &Gateway,
    grant: &ChannelGrant,
    from: Option<&str>,
) -> Result<Entrance, Problem> {
    let from = from.map(str::parse::<Beginning>).transpose();
    let from = from.map_err(EntranceError::from)?;
    let topics = entrance::chosen(grant, None)?;
    let hub = gateway.engine().hub();
    Ok(Entrance::from(hub, grant, topics, from).await?)
}

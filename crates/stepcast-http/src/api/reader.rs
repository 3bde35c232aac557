//! Who wants to read a channel, and from where.

use axum::http::request::Parts;
use stepcast_protocol::{Beginning, ChannelGrant, ErrorCode, SchemaHash, TopicName};

use super::{
    problem::{Problem, shown},
    query,
};
use crate::{
    entrance::{self, Entrance, EntranceError, Schemas},
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
    query: &query::Query,
) -> Result<Entrance, Problem> {
    let from = from.map(str::parse::<Beginning>).transpose();
    let from = from.map_err(EntranceError::from)?;
    let schemas = query.all("schema").map(schema);
    let schemas = schemas.collect::<Result<Schemas, _>>()?;
    let hub = gateway.engine().hub();
    let chosen = entrance::chosen(hub, grant, None, &schemas)?;
    Ok(Entrance::from(hub, grant, chosen, from).await?)
}

/// `<hash>:<topic>`: what the client takes that topic's messages to be.
fn schema(text: &str) -> Result<(TopicName, SchemaHash), Problem> {
    let (hash, topic) = text.split_once(':').ok_or_else(|| {
        let sentence = format!("schema is `{}`, write `<hash>:<topic>`", shown(text));
        Problem::new(ErrorCode::BadRequest, sentence)
    })?;
    let hash = hash.parse::<SchemaHash>();
    let hash = hash.map_err(|error| Problem::new(ErrorCode::BadRequest, error))?;
    Ok((TopicName::parse(topic)?, hash))
}

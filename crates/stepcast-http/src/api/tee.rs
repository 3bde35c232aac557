//! `POST /v1/realtime/publish/tee`: passes text on to those who read `$stream` of a channel, as it comes.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use stepcast_protocol::{ChannelName, limits};

use super::{
    body::Pieces,
    problem::Problem,
    query::Query,
    target::{self, Target},
    text,
};
use crate::gateway::Gateway;

pub(super) async fn tee(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let query = Query::of(&parts.uri)?;
    target::admit(&gateway, &parts, &query)?;
    let channel = match ChannelName::parse(query.get("channel").unwrap_or_default()) {
        Ok(channel) => channel,
        // Who knows this route knows no other answer than a text.
        Err(error) => return Ok((StatusCode::BAD_REQUEST, error.to_string()).into_response()),
    };
    let body = Pieces::up_to(limits::TEE_BYTES, body);
    text::publish(&gateway, &Target::Stream(channel), body).await?;
    Ok(StatusCode::OK.into_response())
}

//! `POST /v1/realtime/publish`: publishes a message, one for each line, or a stream of text as many.

use axum::{
    Json,
    body::Bytes,
    extract::{Request, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::{json, value::RawValue};
use stepcast_protocol::limits;

use super::{
    body::{self, Pieces},
    lines,
    problem::Problem,
    query::Query,
    target::{self, Target, Topics},
    text,
};
use crate::gateway::Gateway;

/// Text that is published as it comes.
const TEXT: &str = "text/stream";
/// A message per line.
const LINES: &str = "application/x-ndjson";

pub(super) async fn publish(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let query = Query::of(&parts.uri)?;
    let caller = target::admit(&gateway, &parts, &query)?;
    let topics = Topics::of(&parts, &query, caller)?;
    let ids = match media_type(&parts).as_deref() {
        Some(TEXT) => {
            let target = Target::Topics(topics);
            text::publish(&gateway, &target, Pieces::of(body)).await?;
            return Ok(StatusCode::OK.into_response());
        }
        Some(LINES) => {
            let lines = lines::of(&body::read(body, limits::LINES_BYTES).await?)?;
            topics.publish_lines(&gateway, &lines).await?
        }
        _ => {
            let body = body::read(body, limits::MESSAGE_BYTES).await?;
            topics.publish(&gateway, payload(&body)).await?
        }
    };
    // npm `inngest` expects nothing.
    if query.is_native() {
        return Ok(Json(json!({ "ids": ids })).into_response());
    }
    Ok(StatusCode::OK.into_response())
}

/// JSON as it came; anything else as a JSON string.
fn payload(body: &Bytes) -> Bytes {
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(json) => body.slice_ref(json.get().as_bytes()),
        Err(_) => json!(String::from_utf8_lossy(body)).to_string().into(),
    }
}

/// What a body is said to be, without parameters.
fn media_type(parts: &Parts) -> Option<String> {
    let value = parts.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next()?;
    Some(essence.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_as_it_is_and_the_rest_becomes_a_string() {
        for (body, expected) in [
            (r#"{"n":1.50}"#, r#"{"n":1.50}"#),
            (" [1] \n", "[1]"),
            ("", r#""""#),
            ("hello", r#""hello""#),
            (r#"{"cut":"#, r#""{\"cut\":""#),
        ] {
            assert_eq!(payload(&Bytes::from(body)), expected, "{body}");
        }
    }
}

//! `POST /e/{key}`: accepts events, all of a request or none.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Request, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{json, value::RawValue};
use stepcast_engine::{EngineError, runs::IdSeed};
use stepcast_protocol::{
    ErrorCode, EventInput,
    event::{CheckedEvent, EventError},
    limits,
};

use super::{body, problem::Problem};
use crate::gateway::Gateway;

/// Bytes of a request, whatever is in it.
const REQUEST_BYTES: usize = 32 * 1024 * 1024;
const SEED: &str = "x-inngest-event-id-seed";

pub(super) async fn send(
    State(gateway): State<Gateway>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    if let Some(keys) = gateway.keys() {
        keys.admit_event(&parts, &key)?;
    }
    let seed = seed(&parts)?;
    let events = read(&body::read(body, REQUEST_BYTES).await?)?;
    let accepted = gateway.engine().send(events, seed).await?;
    let ids: Vec<_> = accepted.iter().map(|accepted| accepted.event).collect();
    // Those that each of them has started, beside what npm `inngest` reads.
    let runs: Vec<_> = accepted.iter().map(|accepted| &accepted.runs).collect();
    Ok(Json(json!({ "ids": ids, "runs": runs, "status": 200 })).into_response())
}

/// What the engine itself says in an event's data nobody else may say.
pub(super) fn checked(event: EventInput) -> Result<CheckedEvent, EventError> {
    let mut event = event.check()?;
    event.data = without_internal(event.data);
    Ok(event)
}

fn seed(parts: &Parts) -> Result<Option<IdSeed>, Problem> {
    let text = parts
        .headers
        .get(SEED)
        .map(|seed| String::from_utf8_lossy(seed.as_bytes()));
    Ok(text.as_deref().map(IdSeed::parse).transpose()?)
}

fn read(body: &[u8]) -> Result<Vec<CheckedEvent>, Problem> {
    let bad = |error: serde_json::Error| {
        let sentence = format!(
            "body must be an event or a list of events, as JSON (forms are not read): {error}"
        );
        Problem::new(ErrorCode::BadJson, sentence)
    };
    if body.trim_ascii_start().first() != Some(&b'[') {
        let event: EventInput = serde_json::from_slice(body).map_err(bad)?;
        return Ok(vec![checked(event)?]);
    }
    let events: Vec<EventInput> = serde_json::from_slice(body).map_err(bad)?;
    let count = events.len();
    if count > limits::EVENTS_PER_REQUEST {
        return Err(EngineError::TooManyEvents { count }.into());
    }
    let check = |(index, event): (usize, EventInput)| {
        checked(event).map_err(|error| {
            let place = format!("event {} of {count}", index + 1);
            Problem::from(error).at(place)
        })
    };
    events.into_iter().enumerate().map(check).collect()
}

/// Data is kept byte for byte, unless it has to be changed. A name with escapes may be any.
fn without_internal(data: Bytes) -> Bytes {
    const INTERNAL: &str = "_inngest";
    let has = |part: &[u8]| data.windows(part.len()).any(|window| window == part);
    if !has(INTERNAL.as_bytes()) && !has(b"\\u") {
        return data;
    }
    let Ok(mut fields) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(&data) else {
        return data;
    };
    if fields.remove(INTERNAL).is_none() {
        return data;
    }
    serde_json::to_vec(&fields).map_or(Bytes::from_static(b"{}"), Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_says_itself_is_taken_out_and_nothing_else() {
        for (data, kept) in [
            (
                r#"{"b":1.50,"a":"_inngest"}"#,
                r#"{"b":1.50,"a":"_inngest"}"#,
            ),
            (
                r#"{"b":1.50,"_inngest":{"fn_id":"f"},"a":[]}"#,
                r#"{"a":[],"b":1.50}"#,
            ),
            (r#"{"\u005finngest":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"a":{"_inngest":1}}"#, r#"{"a":{"_inngest":1}}"#),
        ] {
            assert_eq!(without_internal(Bytes::from(data)), kept);
        }
    }
}

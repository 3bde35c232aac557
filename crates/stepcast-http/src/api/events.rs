//! `POST /e/{key}`: accepts events, all of a request or none.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use serde_json::json;
use stepcast_engine::{EngineError, runs::IdSeed};
use stepcast_protocol::{ErrorCode, EventInput, event::CheckedEvent, limits};

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

fn seed(parts: &Parts) -> Result<Option<IdSeed>, Problem> {
    let text = parts
        .headers
        .get(SEED)
        .map(|seed| String::from_utf8_lossy(seed.as_bytes()));
    Ok(text.as_deref().map(IdSeed::parse).transpose()?)
}

fn read(body: &[u8]) -> Result<Vec<CheckedEvent>, Problem> {
    let bad = |error: serde_json::Error| {
        let sentence = format!("body must be an event or a list of events: {error}");
        Problem::new(ErrorCode::BadJson, sentence)
    };
    if body.trim_ascii_start().first() != Some(&b'[') {
        let event: EventInput = serde_json::from_slice(body).map_err(bad)?;
        return Ok(vec![event.check()?]);
    }
    let events: Vec<EventInput> = serde_json::from_slice(body).map_err(bad)?;
    let count = events.len();
    if count > limits::EVENTS_PER_REQUEST {
        return Err(EngineError::TooManyEvents { count }.into());
    }
    let check = |(index, event): (usize, EventInput)| {
        event.check().map_err(|error| {
            let place = format!("event {} of {count}", index + 1);
            Problem::from(error).at(place)
        })
    };
    events.into_iter().enumerate().map(check).collect()
}

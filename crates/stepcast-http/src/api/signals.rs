//! `POST /v1/signals`: ends the wait of a run for a signal.

use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use stepcast_protocol::{ErrorCode, limits};

use super::{
    body,
    envelope::enveloped,
    problem::{Problem, shown},
};
use crate::gateway::Gateway;

#[derive(Deserialize)]
struct Sent {
    signal: String,
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

pub(super) async fn send(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let bytes = body::read(request.into_body(), limits::EVENT_BYTES).await?;
    let Sent { signal, data } = serde_json::from_slice(&bytes).map_err(|error| {
        let sentence = format!("body must be {{signal, data}}: {error}");
        Problem::new(ErrorCode::BadJson, sentence)
    })?;
    let data = data.map_or(Bytes::from_static(b"null"), |data| {
        Bytes::from(data.get().to_owned())
    });
    let run = gateway.engine().signal(&signal, data).await?;
    let run = run.ok_or_else(|| {
        let sentence = format!("no run waits for the signal `{}`", shown(&signal));
        Problem::new(ErrorCode::NotFound, sentence)
    })?;
    Ok(enveloped(&gateway, json!({ "run_id": run })))
}

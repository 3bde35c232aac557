//! `POST /invoke/{function}`: starts a function by its id, whatever events start it.

use axum::{
    Json,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::json;
use stepcast_protocol::{ErrorCode, EventInput, FunctionId, limits};

use super::{body, events, problem::Problem};
use crate::gateway::Gateway;

pub(super) async fn invoke(
    State(gateway): State<Gateway>,
    Path(function): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let function = FunctionId::parse(&function)?;
    let bytes = body::read(request.into_body(), limits::EVENT_BYTES).await?;
    let accepted = gateway.engine().invoke(&function, data(&bytes)?).await?;
    Ok(Json(json!({ "id": accepted.event, "runs": accepted.runs, "status": 200 })).into_response())
}

/// The data of an event whose name is the engine's to give. No body is no data.
fn data(body: &[u8]) -> Result<Bytes, Problem> {
    let body = if body.trim_ascii().is_empty() {
        b"{}"
    } else {
        body
    };
    let sent: EventInput = serde_json::from_slice(body).map_err(|error| {
        let sentence = format!("body must be {{data}}, as JSON: {error}");
        Problem::new(ErrorCode::BadJson, sentence)
    })?;
    let named = EventInput {
        name: "invoked".to_owned(),
        ..sent
    };
    Ok(events::checked(named)?.data)
}

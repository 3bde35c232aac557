//! `GET /ready`: whether new work is taken. Says what stands in the way and what to do, and where clients expect this server.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use stepcast_protocol::ErrorBody;

use crate::gateway::Gateway;

/// Clients of npm `inngest` take scheme and host of an address and nothing else.
const BASE_URL: &str = "clients of npm `inngest` drop any path of this server's address: give it a host of its own, or route /v1, /e, \
                        /fn and /v0 of the host to it";

pub(super) async fn ready(State(gateway): State<Gateway>) -> Response {
    let not_kept = [(header::CACHE_CONTROL, "no-store")];
    match gateway.readiness().await {
        Ok(()) => {
            let body =
                json!({ "status": 200, "message": "ready", "data": about(&gateway, "ready") });
            (not_kept, Json(body)).into_response()
        }
        Err(problem) => {
            // Whatever the reason, who asks is to send its work elsewhere for now.
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let body = ErrorBody {
                status: status.as_u16(),
                ..ErrorBody::new(problem.code(), &problem)
            };
            let body = body.with_data(about(&gateway, problem.as_str()));
            let soon = [(header::RETRY_AFTER, "1")];
            (status, not_kept, soon, Json(body)).into_response()
        }
    }
}

fn about(gateway: &Gateway, state: &str) -> Value {
    json!({
        "state": state,
        "version": env!("CARGO_PKG_VERSION"),
        "kind": gateway.kind().as_str(),
        "base_url": BASE_URL,
    })
}

//! The form in which `/v1` answers operators.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::gateway::Gateway;

#[derive(Serialize)]
struct Envelope<T> {
    data: T,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Metadata {
    fetched_at: String,
}

pub(super) fn enveloped(gateway: &Gateway, data: impl Serialize) -> Response {
    let fetched_at = gateway.engine().clock().now().to_string();
    let metadata = Metadata { fetched_at };
    Json(Envelope { data, metadata }).into_response()
}

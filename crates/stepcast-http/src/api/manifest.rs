//! `GET /v1/manifest`: the channels that are declared, for code generators. It is the operator's, as what is written about channels is meant
//! for those who write the app.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use stepcast_protocol::Manifest;

use crate::gateway::Gateway;

/// As a file has it, so that one can be made of the other.
pub(super) async fn read(State(gateway): State<Gateway>) -> Response {
    let manifest = Manifest::of(&gateway.engine().catalog().specs());
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, format!("{manifest}\n")).into_response()
}

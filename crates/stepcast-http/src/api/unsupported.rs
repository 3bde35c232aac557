//! Routes that other servers of this protocol have, answered with a sentence that says what to do instead.

use axum::{Router, routing::any};
use stepcast_protocol::ErrorCode;

use super::problem::Problem;
use crate::gateway::Gateway;

const ROUTES: [(&str, &str); 9] = [
    ("/v0/connect/start", CONNECT),
    ("/v0/connect/flush", CONNECT),
    ("/api/v2", V2),
    ("/api/v2/{*rest}", V2),
    ("/v2/{*rest}", V2),
    (
        "/v0/gql",
        "there is no GraphQL here; ask `/v1/runs`, `/v1/events` and `/dev`",
    ),
    (
        "/v1/checkpoint",
        "runs that begin inside a request of their app are not supported; send an event, or invoke the function with `POST /invoke/{function}`",
    ),
    ("/v1/cancellations", CANCELLATIONS),
    ("/v1/cancellations/{id}", CANCELLATIONS),
];

const CONNECT: &str = "workers that connect by WebSocket are not supported; serve the functions over HTTP with `serve()` and register the app's URL";
const V2: &str = "this version of the API is not supported; use `/v1`";
const CANCELLATIONS: &str = "runs are not cancelled in bulk; cancel each with `DELETE /v1/runs/{id}`, or let the function say `cancelOn`";

pub(super) fn routes() -> Router<Gateway> {
    let route = |router: Router<Gateway>, (path, sentence): (&str, &'static str)| {
        router.route(
            path,
            any(async move || Problem::new(ErrorCode::NotSupported, sentence)),
        )
    };
    ROUTES.into_iter().fold(Router::new(), route)
}

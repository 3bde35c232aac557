//! The routes. Each handler decodes, calls the engine once and encodes; what it decides is only who may ask and what a request
//! says.
//!
//! [`problem`], [`body`] and [`envelope`] are what they share; [`reader`] is what all ways of reading a channel have in common, [`target`],
//! [`text`] and [`lines`] what those of publishing have.

mod apps;
mod body;
mod channels;
mod checkpoint;
mod connect;
mod dev;
mod envelope;
mod events;
mod handshake;
mod invoke;
mod lines;
mod manifest;
mod messages;
mod metrics;
mod page;
mod problem;
mod publish;
mod query;
mod reader;
mod ready;
mod received;
mod register;
mod runs;
mod script;
mod shown;
mod signals;
mod sse;
mod target;
mod tee;
mod text;
mod token;
mod unsupported;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state, map_response_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde_json::json;
use stepcast_protocol::{ErrorCode, paths};

use self::problem::Problem;
use crate::{
    gateway::{Gateway, ServerKind},
    keys::Keyring,
    origins::Origins,
};

/// What tokens guard.
pub(crate) fn token_routes(gateway: &Gateway) -> Router {
    Router::new()
        .route(paths::CONNECT, get(connect::connect))
        .route(paths::SSE, get(sse::stream).options(preflight))
        .route(paths::MESSAGES, get(messages::poll).options(preflight))
        .route(paths::SCRIPT, get(script::read))
        .layer(from_fn_with_state(gateway.origins(), let_pages_in))
        .route(paths::PUBLISH, post(publish::publish))
        .route(paths::TEE, post(tee::tee))
        .route(paths::HEALTH, get(health))
        .route(paths::READY, get(ready::ready))
        .layer(map_response_with_state(gateway.kind(), name_kind))
        .with_state(gateway.clone())
}

/// What keys guard.
pub(crate) fn operator_routes(gateway: &Gateway, keys: Arc<Keyring>) -> Router {
    Router::new()
        .route(paths::TOKEN, post(token::mint))
        .route(paths::CHANNEL, get(channels::read))
        .route(paths::MANIFEST, get(manifest::read))
        .route(paths::RUNS, get(runs::list))
        .route(paths::RUN, get(runs::read).delete(runs::cancel))
        .route(paths::RERUN, post(runs::rerun))
        .route(paths::CHECKPOINT, post(checkpoint::report))
        .route(paths::ACTIONS, get(checkpoint::steps))
        .route(paths::BATCH, get(checkpoint::events))
        .route(paths::RUN_JOBS, get(runs::jobs))
        .route(paths::RUN_METADATA, post(runs::take_metadata))
        .route(paths::RECEIVED, get(received::list))
        .route(paths::RECEIVED_EVENT, get(received::read))
        .route(paths::RUNS_OF_EVENT, get(received::runs))
        .route(paths::SIGNALS, post(signals::send))
        .route(paths::APPS, get(apps::list))
        .route(paths::APP_FUNCTIONS, get(apps::functions))
        .route(paths::INVOKE, post(invoke::invoke))
        .route(paths::REGISTER, post(register::register))
        .route(paths::REMOVE, delete(register::remove))
        .route(paths::DEV, get(dev::read))
        .route(paths::METRICS, get(metrics::scrape))
        .route_layer(from_fn_with_state(keys, guard))
        .route(paths::EVENTS, post(events::send))
        .merge(unsupported::routes())
        .layer(map_response_with_state(gateway.kind(), name_kind))
        .with_state(gateway.clone())
}

/// A server of its own around these routes.
pub(crate) fn app(gateway: &Gateway, routes: Router) -> Router {
    routes
        .merge(page::routes())
        .fallback(unknown_route)
        .layer(map_response_with_state(gateway.kind(), name_kind))
}

async fn guard(
    State(keys): State<Arc<Keyring>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    keys.admit(&parts)?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

async fn health() -> Response {
    Json(json!({ "status": 200, "message": "OK" })).into_response()
}

async fn unknown_route(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    Problem::new(ErrorCode::NotFound, format!("there is no {method} {path}"))
}

async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, last-event-id",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

async fn let_pages_in(
    State(origins): State<Origins>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let allowed = origins.admit(request.headers())?;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Origins::Listed(_) = origins {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(allowed) = allowed {
        let exposed = HeaderValue::from_static("Content-Type");
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    Ok(response)
}

async fn name_kind(State(kind): State<ServerKind>, mut response: Response) -> Response {
    const KIND: HeaderName = HeaderName::from_static("x-inngest-server-kind");
    let value = HeaderValue::from_static(kind.as_str());
    response.headers_mut().insert(KIND, value);
    response
}

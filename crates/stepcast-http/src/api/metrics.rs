//! `GET /metrics`: what was done and what is held, for Prometheus.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use crate::{
    gateway::Gateway,
    metrics::{self, Observed},
};

pub(super) async fn scrape(State(gateway): State<Gateway>) -> Response {
    let observed = Observed {
        ready: gateway.readiness().await.is_ok(),
        engine: gateway.engine().stats(),
        sockets: gateway.stats().await,
        event_streams: (
            gateway.event_streams().open(),
            gateway.event_streams().sent(),
        ),
        polls: (gateway.polls().open(), gateway.polls().sent()),
    };
    let headers = [
        (header::CONTENT_TYPE, metrics::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, metrics::page(&observed)).into_response()
}

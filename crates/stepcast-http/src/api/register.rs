//! `/fn/register` and `/fn/remove`: apps come and go.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use serde_json::json;
use stepcast_protocol::{ErrorCode, limits, sdk::config::SyncReply};

use super::{body, problem::Problem, query::Query};
use crate::{
    gateway::Gateway,
    worker::apps::{Apps, Registration, check_kind},
};

pub(super) async fn register(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let apps = apps(&gateway)?;
    let (parts, body) = request.into_parts();
    check_kind(&parts.headers, apps.kind())?;
    let body = body::read(body, limits::ANSWER_FROM_SDK_BYTES).await?;
    let registered = match Registration::read(&body) {
        Ok(registration) => apps.register(&registration).await,
        Err(error) => Err(error),
    };
    let modified = registered.inspect_err(|error| {
        tracing::warn!(%error, "an app is not registered");
    })?;
    Ok(Json(SyncReply { ok: true, modified }).into_response())
}

pub(super) async fn remove(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::of(request.uri())?;
    let Some(url) = query.get("url") else {
        let sentence = "there is no `url`; give the one under which the app is registered";
        return Err(Problem::new(ErrorCode::BadRequest, sentence));
    };
    let modified = apps(&gateway)?.remove(url).await?;
    Ok(Json(json!({ "ok": true, "modified": modified })).into_response())
}

/// A program whose functions are its own takes no apps.
pub(super) fn apps(gateway: &Gateway) -> Result<&Apps, Problem> {
    gateway.apps().ok_or_else(|| {
        let sentence = "this server takes no apps, as its functions are part of its program; register with `stepcast dev`";
        Problem::new(ErrorCode::NotFound, sentence)
    })
}

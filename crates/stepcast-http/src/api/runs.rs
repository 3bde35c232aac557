//! `/v1/runs`: reads and cancels runs.

use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use stepcast_engine::EngineError;
use stepcast_protocol::{ErrorCode, RunId, limits};

use super::{envelope::enveloped, problem::Problem, query::Query};
use crate::gateway::Gateway;

pub(super) async fn list(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::of(request.uri())?;
    let before = query.get("cursor").map(str::parse::<RunId>).transpose()?;
    let runs = gateway.engine().runs(before, limit(&query)?).await?;
    Ok(enveloped(&gateway, runs))
}

pub(super) async fn read(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: RunId = id.parse()?;
    let run = gateway.engine().run(id).await?;
    Ok(enveloped(&gateway, run.ok_or(EngineError::UnknownRun(id))?))
}

pub(super) async fn cancel(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    gateway.engine().cancel(id.parse()?).await?;
    Ok(StatusCode::OK)
}

fn limit(query: &Query) -> Result<usize, Problem> {
    let Some(text) = query.get("limit") else {
        return Ok(limits::RUNS_ON_PAGE);
    };
    text.parse()
        .ok()
        .filter(|limit| (1..=limits::RUNS_ON_PAGE_MAX).contains(limit))
        .ok_or_else(|| {
            let shown: String = text.chars().take(32).collect();
            let most = limits::RUNS_ON_PAGE_MAX;
            let sentence = format!("limit is `{shown}`, 1 to {most} are allowed");
            Problem::new(ErrorCode::BadRequest, sentence)
        })
}

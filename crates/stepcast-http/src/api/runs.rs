//! `/v1/runs`: reads, cancels and repeats runs.

use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use stepcast_engine::EngineError;
use stepcast_protocol::{RunId, RunView, limits};

use super::{
    body,
    envelope::enveloped,
    problem::Problem,
    query::Query,
    shown::{ShownJob, ShownRun},
};
use crate::gateway::Gateway;

/// Bytes of an SDK's metadata.
const METADATA_BYTES: usize = 1024 * 1024;

pub(super) async fn list(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::of(request.uri())?;
    let before = query.get("cursor").map(str::parse::<RunId>).transpose()?;
    let runs = gateway
        .engine()
        .runs(
            before,
            query.limit(limits::RUNS_ON_PAGE, limits::RUNS_ON_PAGE_MAX)?,
        )
        .await?;
    let runs = runs.into_iter().map(|run| marked(&gateway, run));
    Ok(enveloped(&gateway, runs.collect::<Vec<_>>()))
}

pub(super) async fn read(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let run = found(&gateway, &id).await?;
    Ok(enveloped(&gateway, ShownRun::from(run)))
}

/// What is still to be done: one thing, until the run has ended.
pub(super) async fn jobs(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let run = found(&gateway, &id).await?;
    let job = (!run.status.is_final()).then(|| ShownJob::from(&run));
    Ok(enveloped(&gateway, Vec::from_iter(job)))
}

/// Metadata is for pages that show runs to people. It is taken, and not kept.
pub(super) async fn take_metadata(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let run = found(&gateway, &id).await?;
    let bytes = body::read(request.into_body(), METADATA_BYTES).await?;
    tracing::debug!(run = %run.run_id, bytes = bytes.len(), "metadata is not kept");
    Ok(enveloped(&gateway, json!({ "ok": true })))
}

async fn found(gateway: &Gateway, id: &str) -> Result<RunView, Problem> {
    let id: RunId = id.parse()?;
    let run = gateway.engine().run(id).await?;
    let run = run.ok_or(EngineError::UnknownRun(id))?;
    Ok(marked(gateway, run))
}

/// A run with what its function asks for and does not get, which only those know who took it in.
pub(super) fn marked(gateway: &Gateway, run: RunView) -> RunView {
    let apps = gateway.apps();
    let function = apps.and_then(|apps| apps.directory().function(&run.function_id));
    let ignored = function.iter().flat_map(|function| &function.ignored);
    RunView {
        ignored: ignored.map(|option| (*option).to_owned()).collect(),
        ..run
    }
}

pub(super) async fn cancel(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    gateway.engine().cancel(id.parse()?).await?;
    Ok(StatusCode::OK)
}

pub(super) async fn rerun(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let again = gateway.engine().rerun(id.parse()?).await?;
    let answer = enveloped(&gateway, json!({ "run_id": again }));
    Ok((StatusCode::CREATED, answer).into_response())
}

//! What SDKs ask of the runs that they execute: to take a report before the answer to a call, and to give what was too much for one.

use axum::{
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use stepcast_engine::EngineError;
use stepcast_protocol::{
    ErrorCode, RunId, limits,
    sdk::{Checkpoint, CheckpointError},
};

use super::{body, problem::Problem};
use crate::{
    gateway::Gateway,
    worker::{Refused, ServedWorker},
};

/// Takes the report of a call that goes on. Answers after the commits, as the SDK runs the next step then.
///
/// A run that nobody knows is 404, which an SDK takes for a server without this route: it goes on without. One that another call goes on
/// with is 409, for which the SDK ends the call.
pub(super) async fn report(
    State(gateway): State<Gateway>,
    Path(run): Path<String>,
    request: Request<Body>,
) -> Result<StatusCode, Problem> {
    let run: RunId = run.parse()?;
    let bytes = body::read(request.into_body(), limits::CHECKPOINT_BYTES).await?;
    let checkpoint = Checkpoint::read(run, &bytes)?;
    let refused = match worker(&gateway) {
        Ok(worker) => worker.checkpoint(checkpoint).await.err(),
        Err(_) => Some(Refused::NotDriven(run)),
    };
    match refused {
        None => Ok(StatusCode::OK),
        Some(refused @ Refused::NotDriven(_)) => {
            gateway
                .engine()
                .run(run)
                .await?
                .ok_or(EngineError::UnknownRun(run))?;
            Err(refused.into())
        }
        Some(refused) => Err(refused.into()),
    }
}

/// What is remembered of a run's steps.
pub(super) async fn steps(
    State(gateway): State<Gateway>,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    let run: RunId = run.parse()?;
    let steps = worker(&gateway)?.steps(run).await;
    fetched(&gateway, run, steps).await
}

/// What started a run.
pub(super) async fn events(
    State(gateway): State<Gateway>,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    let run: RunId = run.parse()?;
    let events = worker(&gateway)?.events(run).await;
    fetched(&gateway, run, events).await
}

fn worker(gateway: &Gateway) -> Result<&ServedWorker, Problem> {
    gateway.worker().ok_or_else(|| {
        let sentence = "no functions of apps are executed by this server";
        Problem::new(ErrorCode::NotFound, sentence)
    })
}

/// The state of a run that is not executed is gone for its SDK: whoever asks for it was left behind.
async fn fetched(gateway: &Gateway, run: RunId, json: Option<Bytes>) -> Result<Response, Problem> {
    if let Some(json) = json {
        return Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response());
    }
    gateway
        .engine()
        .run(run)
        .await?
        .ok_or(EngineError::UnknownRun(run))?;
    Err(Problem::from(Refused::NotDriven(run)).with_status(StatusCode::GONE))
}

impl From<CheckpointError> for Problem {
    fn from(error: CheckpointError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(refused.code(), refused)
    }
}

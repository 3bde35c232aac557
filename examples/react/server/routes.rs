//! What the page asks of its server: to begin something, and tokens to watch it. A real one would first ask who is there.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use stepcast::{RunId, prelude::*};

use crate::{
    answer::{Answer, Ask},
    greeting::{Greet, Greeting},
    import::{self, Import, Upload},
};

/// The longest answer that the page may ask for.
const MOST_WORDS: usize = 20_000;

pub(crate) fn routes(stepcast: Stepcast) -> Router {
    Router::new()
        .route("/process", get(process))
        .route("/greeting", post(greet))
        .route("/answer", post(ask))
        .route("/import", post(upload))
        .route("/token/greeting/{job}", get(greeting_token))
        .route("/token/answer/{job}", get(answer_token))
        .route("/token/import/{job}", get(import_token))
        .route("/token/run/{run}", get(run_token))
        .with_state(stepcast)
}

/// What of all this somebody may kill to see what happens.
async fn process() -> Json<serde_json::Value> {
    Json(json!({ "pid": std::process::id() }))
}

/// What was begun.
#[derive(Serialize)]
struct Begun {
    run: RunId,
}

#[derive(Deserialize)]
struct GreetingWish {
    job: String,
    name: String,
}

async fn greet(
    State(stepcast): State<Stepcast>,
    Json(GreetingWish { job, name }): Json<GreetingWish>,
) -> Result<Json<Begun>, Problem> {
    begin(&stepcast, Greet { job, name }).await
}

#[derive(Deserialize)]
struct AnswerWish {
    job: String,
    words: usize,
    breaks: bool,
}

async fn ask(
    State(stepcast): State<Stepcast>,
    Json(AnswerWish { job, words, breaks }): Json<AnswerWish>,
) -> Result<Json<Begun>, Problem> {
    if words > MOST_WORDS {
        let error = format!("{words} words are more than the {MOST_WORDS} of one answer");
        return Err(Problem(StatusCode::BAD_REQUEST, error));
    }
    begin(&stepcast, Ask { job, words, breaks }).await
}

#[derive(Deserialize)]
struct ImportWish {
    job: String,
    csv: String,
}

async fn upload(
    State(stepcast): State<Stepcast>,
    Json(ImportWish { job, csv }): Json<ImportWish>,
) -> Result<Json<Begun>, Problem> {
    import::check(&csv).map_err(|error| Problem(StatusCode::BAD_REQUEST, error))?;
    begin(&stepcast, Upload { job, csv }).await
}

async fn begin(stepcast: &Stepcast, event: impl Event) -> Result<Json<Begun>, Problem> {
    let run = stepcast.send(event).await?.run().await?;
    Ok(Json(Begun { run: run.id() }))
}

async fn greeting_token(
    State(stepcast): State<Stepcast>,
    Path(job): Path<String>,
) -> Result<String, Problem> {
    Ok(stepcast.token(&Greeting::at(job)).await?)
}

async fn answer_token(
    State(stepcast): State<Stepcast>,
    Path(job): Path<String>,
) -> Result<String, Problem> {
    Ok(stepcast.token(&Answer::at(job)).await?)
}

async fn import_token(
    State(stepcast): State<Stepcast>,
    Path(job): Path<String>,
) -> Result<String, Problem> {
    Ok(stepcast.token(&Import::at(job)).await?)
}

async fn run_token(
    State(stepcast): State<Stepcast>,
    Path(run): Path<RunId>,
) -> Result<String, Problem> {
    Ok(stepcast.run_token(run).await?)
}

/// An error as an answer: a status, and a sentence for the page.
struct Problem(StatusCode, String);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code: Option<stepcast::ErrorCode> = error.code().parse().ok();
        let status = code.and_then(|code| StatusCode::from_u16(code.status()).ok());
        Self(
            status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            error.message().to_owned(),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        (status, Json(json!({ "error": error }))).into_response()
    }
}

//! With a page: the app's own routes beside Stepcast's.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use stepcast::{RunId, prelude::*};
use tokio::net::TcpListener;

use crate::{
    generate::{Generate, Pipeline},
    once::new_job,
};

/// Takes the port, or says what to do when somebody else has it.
pub(crate) async fn listen(port: u16) -> Result<TcpListener, Error> {
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| {
        Error::msg(format!("port {port} on 127.0.0.1 cannot be used: {error}; give another one with --port or STEPCAST_PORT"))
    })
}

pub(crate) async fn serve(listener: TcpListener, stepcast: Stepcast) -> Result<(), Error> {
    let routes = Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/token", post(token))
        .route("/run-token", post(run_token))
        .route("/start", post(start))
        .with_state(stepcast.clone())
        .merge(stepcast.router())
        .merge(stepcast.operator_router(Keys::Dev));
    println!("listening on http://{}/", listener.local_addr()?);
    let routes = routes.into_make_service_with_connect_info::<std::net::SocketAddr>();
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop(stepcast))
        .await?;
    Ok(())
}

/// Waits for Ctrl-C or a polite kill, then lets readers go: the server waits for its connections.
async fn stop(stepcast: Stepcast) {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = interrupt => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(_) => drop(interrupt.await),
        }
    }
    #[cfg(not(unix))]
    drop(interrupt.await);
    stepcast.close_connections().await;
}

#[derive(Deserialize)]
struct Job {
    job: Option<String>,
}

impl Job {
    fn name(self) -> String {
        self.job.unwrap_or_else(new_job)
    }
}

/// A token for one job's channel. A real app would first ask who is there.
async fn token(
    State(stepcast): State<Stepcast>,
    Json(job): Json<Job>,
) -> Result<Json<Value>, Problem> {
    let pipeline = Pipeline::at(job.name());
    let token = stepcast.token(&pipeline).await?;
    Ok(Json(
        json!({ "token": token, "channel": pipeline.name()?.as_str() }),
    ))
}

#[derive(Deserialize)]
struct Watched {
    run: RunId,
}

/// A token for where a run is.
async fn run_token(
    State(stepcast): State<Stepcast>,
    Json(watched): Json<Watched>,
) -> Result<Json<Value>, Problem> {
    let token = stepcast.run_token(watched.run).await?;
    Ok(Json(json!({ "token": token })))
}

/// Starts a run. The token is minted first, so that it covers the whole run.
async fn start(
    State(stepcast): State<Stepcast>,
    Json(job): Json<Job>,
) -> Result<Json<Value>, Problem> {
    let job = job.name();
    let pipeline = Pipeline::at(&job);
    let token = stepcast.token(&pipeline).await?;
    let run = stepcast.send(Generate { job }).await?.run().await?;
    Ok(Json(
        json!({ "run_id": run.id(), "channel": pipeline.name()?.as_str(), "token": token }),
    ))
}

/// An error as an answer.
struct Problem(Error);

impl<E: Into<Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code: Result<stepcast::ErrorCode, _> = self.0.code().parse();
        let status = code
            .ok()
            .and_then(|code| StatusCode::from_u16(code.status()).ok());
        let body = Json(json!({ "code": self.0.code(), "error": self.0.message() }));
        (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body).into_response()
    }
}

//! `GET /dev`: what a server for development knows of apps. SDKs ask it to find out whether there is one.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::json;
use stepcast_protocol::ErrorCode;

use super::{apps::ShownApp, problem::Problem, register::apps};
use crate::gateway::{Gateway, ServerKind};

pub(super) async fn read(State(gateway): State<Gateway>) -> Result<Response, Problem> {
    if gateway.kind() == ServerKind::Cloud {
        let sentence = "this server is not for development";
        return Err(Problem::new(ErrorCode::NotFound, sentence));
    }
    let apps = apps(&gateway)?;
    let known = apps.directory().apps();
    let known: Vec<_> = known.iter().map(|app| ShownApp::from(&**app)).collect();
    let functions: Vec<_> = known.iter().flat_map(|app| &app.functions).collect();
    let answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "authed": false,
        "startOpts": {},
        "apps": known,
        "functions": functions,
        "handlers": apps.handlers(),
        "isSingleNodeService": true,
        "isMissingSigningKey": true,
        "isMissingEventKeys": true,
        "features": {},
    });
    Ok(Json(answer).into_response())
}

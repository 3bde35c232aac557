//! `GET /v1/apps` and `/v1/apps/{name}/functions`: apps and their functions.

use axum::{
    extract::{Path, State},
    response::Response,
};
use serde::Serialize;
use serde_json::{Value, json};
use stepcast_protocol::{ErrorCode, FunctionId, names::AppId, sdk::config::Trigger};

use super::{
    envelope::enveloped,
    problem::{Problem, shown},
    register::apps,
};
use crate::{
    gateway::Gateway,
    worker::apps::{App, AppFunction, uuid},
};

/// An app.
#[derive(Serialize)]
pub(super) struct ShownApp {
    id: String,
    name: String,
    url: Option<String>,
    sdk: Option<String>,
    framework: Option<String>,
    version: Option<String>,
    pub(super) functions: Vec<ShownFunction>,
}

/// A function of an app.
#[derive(Serialize)]
pub(super) struct ShownFunction {
    id: String,
    slug: FunctionId,
    name: String,
    triggers: Vec<Value>,
    url: String,
    retries: u32,
    /// What it asks for and does not get.
    ignored: Vec<&'static str>,
}

/// All apps, and the URLs that are asked for some with what came of it.
pub(super) async fn list(State(gateway): State<Gateway>) -> Result<Response, Problem> {
    let apps = apps(&gateway)?;
    let known = apps.directory().apps();
    let known: Vec<_> = known.iter().map(|app| ShownApp::from(&**app)).collect();
    let shown = json!({ "apps": known, "handlers": apps.handlers() });
    Ok(enveloped(&gateway, shown))
}

pub(super) async fn functions(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let app = apps(&gateway)?.directory().app(&AppId::parse(&name)?);
    let app = app.ok_or_else(|| {
        let sentence = format!(
            "no app `{}` is registered; `GET /v1/apps` lists those there are",
            shown(&name)
        );
        Problem::new(ErrorCode::NotFound, sentence)
    })?;
    Ok(enveloped(&gateway, ShownApp::from(&*app)))
}

impl From<&App> for ShownApp {
    fn from(app: &App) -> Self {
        let functions = app.functions.iter();
        Self {
            id: uuid::of_app(&app.id),
            name: app.id.to_string(),
            url: app.url.clone(),
            sdk: app.sdk.clone(),
            framework: app.framework.clone(),
            version: app.version.clone(),
            functions: functions
                .map(|function| ShownFunction::from(&**function))
                .collect(),
        }
    }
}

impl From<&AppFunction> for ShownFunction {
    fn from(function: &AppFunction) -> Self {
        Self {
            id: function.served.function.clone(),
            slug: function.id.clone(),
            name: function.name.clone(),
            triggers: function.triggers.iter().map(trigger).collect(),
            url: function.served.url.to_string(),
            retries: function.served.retries,
            ignored: function.ignored.clone(),
        }
    }
}

fn trigger(trigger: &Trigger) -> Value {
    match trigger {
        Trigger::Event { event, expression } => {
            json!({ "event": event.to_string(), "expression": expression })
        }
        Trigger::Cron(cron) => json!({ "cron": cron.to_string() }),
    }
}

//! A function that this process serves, in the protocol of npm `inngest`: it answers one step per call, and then its result.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Router,
    body::Bytes,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};
use stepcast_protocol::{paths, sdk::StepHash};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{connection, subject::Subject};
use crate::exit::Failure;

const ROUTE: &str = "/api/inngest";
/// What SDKs say of themselves in each answer.
const SDK: [(&str, &str); 2] = [
    (
        "x-inngest-sdk",
        concat!("stepcast-bench:v", env!("CARGO_PKG_VERSION")),
    ),
    ("x-inngest-req-version", "2"),
];

/// An app that is known to the server. Dropping it takes it away.
#[derive(Debug)]
pub(super) struct Served {
    /// The event that starts its function.
    pub(super) event: String,
    subject: Subject,
    serving: JoinHandle<()>,
}

/// What counts of a call: the steps that have ended, by their hashes.
#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    steps: serde_json::Map<String, Value>,
}

impl Served {
    /// Serves it on a free port and registers it with the server.
    pub(super) fn start(subject: &Subject, host: IpAddr, steps: u32) -> Result<Self, Failure> {
        let name = subject.channel(0).replace(':', "-");
        let event = format!("{name}/go");
        let (url, serving) = subject.runtime().block_on(async {
            let any = match host {
                IpAddr::V4(_) if host.is_loopback() => host,
                IpAddr::V4(_) => IpAddr::from([0, 0, 0, 0]),
                IpAddr::V6(_) => IpAddr::from([0_u16; 8]),
            };
            let listener = TcpListener::bind((any, 0)).await.map_err(Failure::failed)?;
            let port = listener.local_addr().map_err(Failure::failed)?.port();
            let app = Router::new().route(
                ROUTE,
                post(move |body: Bytes| async move { answer(&body, steps) }),
            );
            let serving = tokio::spawn(async move { drop(axum::serve(listener, app).await) });
            let url = format!("http://{}{ROUTE}", SocketAddr::new(host, port));
            Ok::<_, Failure>((url, serving))
        })?;
        // From here on it is taken away again, also when the answer to its registration does not come.
        let served = Self {
            event,
            subject: subject.clone(),
            serving,
        };
        subject.on_app(&url);
        served.register(&url, &name)?;
        Ok(served)
    }

    fn register(&self, url: &str, name: &str) -> Result<(), Failure> {
        let Self { event, subject, .. } = self;
        let function = format!("{name}-run");
        let body = json!({
            "url": url,
            "deployType": "ping",
            "framework": "stepcast-bench",
            "appName": name,
            "sdk": SDK[0].1,
            "v": "0.1",
            "functions": [{
                "id": function,
                "name": function,
                "triggers": [{ "event": event }],
                "steps": { "step": { "id": "step", "name": "step", "runtime": {
                    "type": "http",
                    "url": format!("{url}?fnId={function}&stepId=step"),
                } } },
            }],
        });
        connection::ask(subject, "POST", paths::REGISTER, &body.to_string())
    }

    /// Takes it away again, and says so when that fails.
    pub(super) fn end(self) -> Result<(), Failure> {
        remove(&self.subject)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
        // Something else has failed, and is what is said.
        drop(remove(&self.subject));
    }
}

/// Takes away the app that a load has registered, if there still is one.
pub(super) fn remove(subject: &Subject) -> Result<(), Failure> {
    let Some(url) = subject.take_app() else {
        return Ok(());
    };
    let route = format!("{}?url={url}", paths::REMOVE);
    connection::ask(subject, "DELETE", &route, "")
}

/// The next step, or the result when all have ended.
fn answer(body: &[u8], steps: u32) -> Response {
    let Ok(call) = serde_json::from_slice::<Call>(body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let ids = (1..=steps).map(|step| format!("step {step}"));
    let next = ids.map(|id| (StepHash::of(&id).to_string(), id));
    let next = next
        .into_iter()
        .find(|(hash, _)| !call.steps.contains_key(hash));
    match next {
        None => (StatusCode::OK, SDK, "\"done\"").into_response(),
        Some((hash, id)) => {
            let op = json!([{
                "op": "StepRun", "id": hash, "name": id, "displayName": id, "userland": { "id": id }, "opts": {}, "data": { "ok": true },
            }]);
            (StatusCode::PARTIAL_CONTENT, SDK, op.to_string()).into_response()
        }
    }
}

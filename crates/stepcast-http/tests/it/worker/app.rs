//! An app that answers calls from a script.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use stepcast_engine::clock::Clock;
use stepcast_http::worker::{
    Answered, AppClient, Brought, CallError, CallRequest, Caller, ClientOptions, Errand,
    ErrandError,
};
use stepcast_protocol::{FunctionId, sdk::StepHash};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    task::JoinHandle,
};

use crate::clients::within;

/// One call that the app got.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// `step` for the function itself, else the hash of a step.
    pub(super) target: String,
    pub(super) body: Value,
    pub(super) headers: HeaderMap,
}

impl Call {
    pub(super) fn ctx(&self, key: &str) -> Value {
        self.body["ctx"][key].clone()
    }

    /// What it was told of a step.
    pub(super) fn memo(&self, id: &str) -> Value {
        self.body["steps"][hash(id)].clone()
    }
}

/// What the app answers.
#[derive(Clone)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    gate: Option<Arc<Semaphore>>,
    checkpoints: Vec<Value>,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![
                ("x-inngest-sdk", "inngest-js:v4.24.0".to_owned()),
                ("x-inngest-req-version", "2".to_owned()),
            ],
            body: body.into(),
            gate: None,
            checkpoints: Vec::new(),
        }
    }

    pub(super) fn ops(ops: &[Value]) -> Self {
        Self::new(206, json!(ops).to_string())
    }

    pub(super) fn returned(value: &Value) -> Self {
        Self::new(200, value.to_string())
    }

    pub(super) fn threw(status: u16, no_retry: bool, message: &str) -> Self {
        let error =
            json!({"name": "Error", "message": message, "stack": "at app", "__serialized": true});
        Self::new(status, error.to_string()).with("x-inngest-no-retry", &no_retry.to_string())
    }

    /// Not from an SDK.
    pub(super) fn foreign(status: u16, body: &str) -> Self {
        Self {
            headers: Vec::new(),
            ..Self::new(status, body)
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Waits for a permit before it answers.
    pub(super) fn after(self, gate: &Arc<Semaphore>) -> Self {
        Self {
            gate: Some(Arc::clone(gate)),
            ..self
        }
    }

    /// Reports these ops first, one checkpoint each.
    pub(super) fn reporting(self, checkpoints: &[Value]) -> Self {
        Self {
            checkpoints: checkpoints.to_vec(),
            ..self
        }
    }
}

pub(super) fn hash(id: &str) -> String {
    StepHash::of(id).to_string()
}

/// An op of a step.
pub(super) fn op(opcode: &str, id: &str, rest: Value) -> Value {
    let mut op = json!({"op": opcode, "id": hash(id), "displayName": id, "userland": {"id": id}, "opts": {}, "data": null});
    for (key, value) in rest.as_object().cloned().unwrap_or_default() {
        op[key] = value;
    }
    op
}

pub(super) fn ran(id: &str, data: Value) -> Value {
    op(
        "StepRun",
        id,
        json!({"data": data, "timing": {"a": 1_795_462_334_979_000_000_i64, "b": 3_000_000}}),
    )
}

pub(super) fn planned(id: &str) -> Value {
    op("StepPlanned", id, json!({}))
}

pub(super) fn failed(opcode: &str, id: &str, message: &str) -> Value {
    let error =
        json!({"name": "TypeError", "message": message, "stack": "at step", "__serialized": true});
    op(opcode, id, json!({"error": error}))
}

pub(super) fn complete(data: Value) -> Value {
    json!({"op": "RunComplete", "id": hash("complete"), "data": data})
}

#[derive(Default)]
struct Shared {
    script: Mutex<BTreeMap<String, VecDeque<Reply>>>,
    calls: Mutex<Vec<Call>>,
    /// The statuses of checkpoints.
    reported: Mutex<Vec<u16>>,
    came: Notify,
    /// Where checkpoints go.
    server: Mutex<Option<SocketAddr>>,
}

pub(super) struct App {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Drop for App {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl App {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener)
    }

    pub(super) fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let router = Router::new()
            .route("/api/inngest", post(answer))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            shared,
            serving,
        }
    }

    pub(super) fn report_to(&self, server: SocketAddr) {
        *self.shared.server.lock() = Some(server);
    }

    /// The next answers of the function.
    pub(super) fn function(&self, replies: impl IntoIterator<Item = Reply>) {
        self.script("step".to_owned(), replies);
    }

    /// The next answers to calls for a step.
    pub(super) fn step(&self, id: &str, replies: impl IntoIterator<Item = Reply>) {
        self.script(hash(id), replies);
    }

    fn script(&self, target: String, replies: impl IntoIterator<Item = Reply>) {
        let mut script = self.shared.script.lock();
        script.entry(target).or_default().extend(replies);
    }

    /// All calls, once there are so many.
    pub(super) async fn calls(&self, count: usize) -> Vec<Call> {
        within(async {
            loop {
                let came = self.shared.came.notified();
                if self.shared.calls.lock().len() >= count {
                    return self.shared.calls.lock().clone();
                }
                came.await;
            }
        })
        .await
    }

    pub(super) fn called(&self) -> Vec<Call> {
        self.shared.calls.lock().clone()
    }

    pub(super) fn reported(&self) -> Vec<u16> {
        self.shared.reported.lock().clone()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = query["stepId"].clone();
    let call = Call {
        target: target.clone(),
        body: serde_json::from_slice(&body).unwrap(),
        headers,
    };
    let reply = shared
        .script
        .lock()
        .get_mut(&target)
        .and_then(VecDeque::pop_front);
    shared.calls.lock().push(call.clone());
    shared.came.notify_waiters();
    let Some(reply) = reply else {
        let threw = Reply::threw(400, true, &format!("nothing is scripted for {target}"));
        return respond(threw);
    };
    let server = *shared.server.lock();
    for ops in &reply.checkpoints {
        let status = checkpoint(server.unwrap(), &call, ops).await;
        shared.reported.lock().push(status);
    }
    if let Some(gate) = &reply.gate {
        gate.acquire().await.unwrap().forget();
    }
    respond(reply)
}

fn respond(reply: Reply) -> Response {
    let mut response = (StatusCode::from_u16(reply.status).unwrap(), reply.body).into_response();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// What the SDK posts after a step.
pub(super) async fn checkpoint(server: SocketAddr, call: &Call, ops: &Value) -> u16 {
    let run = call.ctx("run_id");
    let body = json!({
        "run_id": run, "fn_id": call.ctx("fn_id"), "qi_id": call.ctx("qi_id"), "request_id": call.ctx("request_id"),
        "generation_id": call.ctx("generation_id"), "steps": ops, "ts": 1_795_462_334_977_i64,
    });
    let url = format!(
        "http://{server}/v1/checkpoint/{}/async",
        run.as_str().unwrap()
    );
    let answered = post_to(&url, &[], body.to_string().as_bytes())
        .await
        .unwrap();
    answered.status
}

/// What the middleware of the npm package posts when a function publishes in a call.
pub(super) async fn say(server: SocketAddr, call: &Call) -> u16 {
    say_as(server, call, "").await
}

/// The same, with more that is said of it.
pub(super) async fn say_as(server: SocketAddr, call: &Call, more: &str) -> u16 {
    let [run, request] =
        ["run_id", "request_id"].map(|key| call.ctx(key).as_str().unwrap_or_default().to_owned());
    let url = format!(
        "http://{server}/v1/realtime/publish?v=1&channel=c&topic=t&run_id={run}&request_id={request}{more}"
    );
    post_to(&url, &[], b"1").await.unwrap().status
}

/// Calls apps over a connection of its own each time. In HTTP 1.0, so that bodies come in one piece.
pub(super) struct Plain;

impl Caller for Plain {
    fn call(&self, request: CallRequest) -> BoxFuture<'static, Result<Answered, CallError>> {
        Box::pin(async move {
            let sent = post_to(&request.url, &request.headers, &request.body).await;
            sent.map_err(|error| {
                let (url, cause) = (request.url, error.to_string());
                if error.kind() == std::io::ErrorKind::ConnectionRefused {
                    CallError::Unreachable { url, cause }
                } else {
                    CallError::Broken { url, cause }
                }
            })
        })
    }

    fn run(
        &self,
        function: &FunctionId,
        errand: Errand,
    ) -> BoxFuture<'static, Result<Brought, ErrandError>> {
        AppClient::new(Clock::system(), ClientOptions::default()).run(function, errand)
    }
}

async fn post_to(
    url: &str,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> std::io::Result<Answered> {
    let broken = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(host).await?;
    let mut head = format!(
        "POST /{path} HTTP/1.0\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .ok_or_else(broken)?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.get(9..12)?.parse().ok())
        .ok_or_else(broken)?;
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name: axum::http::HeaderName = name.parse().unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    Ok(Answered {
        status,
        headers,
        body: Bytes::copy_from_slice(&answer[end + 4..]),
    })
}

//! The client of apps: signs requests, sends them over connections that stay open, gives up in time, and checks who has answered.
//!
//! - `connector`: connections, plain and with TLS; never one to this server itself. `reach`: where to they may lead.
//! - `tls`: where the cryptography for them comes from.
//! - `signer`: signatures of requests and answers.
//! - `errands`: requests that functions have the server make, to others than apps. `places` and `room`: how many of them, and how much of their
//!   answers, there may be at once.
//!
//! Follows no redirect of an app: a function's URL is registered, and what is sent there is for nobody else.

mod connector;
mod errands;
mod places;
mod reach;
mod room;
mod signer;
mod tls;

use std::{error::Error as StdError, fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, Client},
    rt::{TokioExecutor, TokioTimer},
};
use stepcast_engine::clock::Clock;
use stepcast_protocol::{
    FunctionId, limits,
    sdk::{SigningKey, headers},
};
use tokio::time::Instant;

use self::{
    connector::{ConnectError, Connector},
    places::Places,
    reach::Reach,
    room::Room,
    signer::Signer,
};
use super::{
    errand::{Brought, Errand, ErrandError},
    served::{Answered, CallError, CallRequest, Caller},
};
use crate::gateway::ServerKind;

/// How apps are called.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    kind: ServerKind,
    keys: Vec<SigningKey>,
    own: Vec<SocketAddr>,
    connect: Duration,
    call: Duration,
    errand: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            kind: ServerKind::default(),
            keys: Vec::new(),
            own: Vec::new(),
            connect: limits::APP_CONNECT,
            call: limits::APP_CALL,
            errand: limits::ERRAND,
        }
    }
}

impl ClientOptions {
    /// What apps are told they talk to; [`ServerKind::Dev`]. In production an SDK has to sign what it answers, and functions have no
    /// requests made to this machine and its network.
    #[must_use]
    pub fn with_kind(self, kind: ServerKind) -> Self {
        Self { kind, ..self }
    }

    /// The key that requests are signed with, and those that answers may be signed with beside it. None: nothing is signed.
    #[must_use]
    pub fn with_signing_keys(
        self,
        main: SigningKey,
        fallback: impl IntoIterator<Item = SigningKey>,
    ) -> Self {
        let keys = std::iter::once(main).chain(fallback).collect();
        Self { keys, ..self }
    }

    /// Where this server listens; apps are never looked for there.
    #[must_use]
    pub fn with_own_addresses(self, own: Vec<SocketAddr>) -> Self {
        Self { own, ..self }
    }

    /// How long an app may take to accept a connection; [`limits::APP_CONNECT`].
    #[must_use]
    pub fn with_connect_timeout(self, connect: Duration) -> Self {
        Self { connect, ..self }
    }

    /// How long a call may take from its beginning to the end of its answer; [`limits::APP_CALL`].
    #[must_use]
    pub fn with_call_timeout(self, call: Duration) -> Self {
        Self { call, ..self }
    }

    /// How long a request that a function has the server make may take, with all its redirects and with the wait for its turn;
    /// [`limits::ERRAND`].
    #[must_use]
    pub fn with_errand_timeout(self, errand: Duration) -> Self {
        Self { errand, ..self }
    }
}

/// The client of all apps. A cheap handle.
#[derive(Clone)]
pub struct AppClient(Arc<Inner>);

struct Inner {
    http: Client<Connector, Full<Bytes>>,
    errands: Client<Connector, Full<Bytes>>,
    places: Places,
    room: Room,
    signer: Signer,
    clock: Clock,
    options: ClientOptions,
}

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until the answer begins.
    pub(super) head: Duration,
    /// Until it has ended.
    pub(super) end: Duration,
}

impl Patience {
    /// So long for everything.
    pub(super) fn of(all: Duration) -> Self {
        Self {
            head: all,
            end: all,
        }
    }
}

/// What this server calls itself.
const NAME: &str = concat!("stepcast/", env!("CARGO_PKG_VERSION"));
/// Node closes connections that are idle for 5 s. One that is given up before that is never used at the moment it is closed.
const IDLE: Duration = Duration::from_secs(4);
const IDLE_PER_APP: usize = 256;

impl AppClient {
    /// A client; it connects when it is asked for something.
    #[must_use]
    pub fn new(clock: Clock, options: ClientOptions) -> Self {
        let tls = tls::config();
        let connector = |reach| {
            let own = options.own.clone();
            Connector::new(own, reach, options.connect, tls.clone())
        };
        let reach = match options.kind {
            ServerKind::Dev => Reach::Anywhere,
            ServerKind::Cloud => Reach::Internet,
        };
        Self(Arc::new(Inner {
            http: builder().build(connector(Reach::Anywhere)),
            errands: builder()
                .http1_max_buf_size(limits::ERRAND_HEAD_BYTES)
                .build(connector(reach)),
            places: Places::new(limits::ERRANDS, limits::ERRANDS_PER_FUNCTION),
            room: Room::new(),
            signer: Signer::new(&options.keys, options.kind),
            clock,
            options,
        }))
    }

    /// What apps are told they talk to.
    pub(super) fn kind(&self) -> ServerKind {
        self.0.options.kind
    }

    /// Whether a URL names this server by an address of its own.
    pub(super) fn is_itself(&self, url: &str) -> bool {
        connector::names_one_of(&self.0.options.own, url)
    }

    /// Sends a request with its signature, and reads and checks the answer. The body has to be canonical JSON, or empty.
    pub(super) async fn request(
        &self,
        method: Method,
        request: CallRequest,
        patience: Patience,
    ) -> Result<Answered, CallError> {
        let Inner {
            http,
            signer,
            clock,
            options,
            ..
        } = &*self.0;
        let url = request.url.clone();
        let begun = Instant::now();
        let request = signed(method, request, signer, clock)?;
        let head = patience.head.min(patience.end);
        let response = tokio::time::timeout(head, http.request(request))
            .await
            .map_err(|_| timed_out(&url, "answer", head))?
            .map_err(|error| not_sent(&url, &error, options.connect))?;
        let (parts, body) = response.into_parts();
        let answer = Response::from_parts(parts, ());
        if let Some(error) = redirected(&url, &answer) {
            return Err(error);
        }
        let body = tokio::time::timeout_at(begun + patience.end, read(&url, body))
            .await
            .map_err(|_| timed_out(&url, "end its answer", patience.end))??;
        let answered = Answered {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body,
        };
        match signer.check(&answered, clock.now()) {
            Ok(()) => Ok(answered),
            Err(error) => Err(CallError::Untrusted {
                url,
                cause: error.to_string(),
            }),
        }
    }
}

impl Caller for AppClient {
    fn call(&self, request: CallRequest) -> BoxFuture<'static, Result<Answered, CallError>> {
        let (client, patience) = (self.clone(), Patience::of(self.0.options.call));
        async move { client.request(Method::POST, request, patience).await }.boxed()
    }

    fn run(
        &self,
        function: &FunctionId,
        errand: Errand,
    ) -> BoxFuture<'static, Result<Brought, ErrandError>> {
        self.run_errand(function.clone(), errand)
    }
}

impl fmt::Debug for AppClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppClient").field(&self.0.options).finish()
    }
}

fn builder() -> legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_APP);
    builder
}

fn signed(
    method: Method,
    request: CallRequest,
    signer: &Signer,
    clock: &Clock,
) -> Result<Request<Full<Bytes>>, CallError> {
    let CallRequest { url, headers, body } = request;
    let forbidden = |cause: &dyn fmt::Display| CallError::Forbidden {
        url: url.clone(),
        cause: cause.to_string(),
    };
    let without_fragment = url.split('#').next().unwrap_or_default();
    let uri: Uri = without_fragment.parse().map_err(|error| {
        forbidden(&format_args!(
            "it is no URL ({error}); give one such as http://localhost:3000/api/inngest"
        ))
    })?;
    if uri.scheme().is_none() || uri.host().is_none_or(str::is_empty) {
        return Err(forbidden(
            &"it has no scheme or host; give one such as http://localhost:3000/api/inngest",
        ));
    }
    let mut built = Request::builder()
        .method(method)
        .uri(uri)
        .header(header::USER_AGENT, NAME);
    for (name, value) in headers {
        built = built.header(name, value);
    }
    if let Some(signature) = signer.sign(&body, clock.now()) {
        built = built.header(headers::SIGNATURE, signature.to_string());
    }
    built
        .body(Full::new(body))
        .map_err(|error| forbidden(&error))
}

fn redirected(url: &str, answer: &Response<()>) -> Option<CallError> {
    let status = answer.status();
    let location = answer.headers().get(header::LOCATION);
    status.is_redirection().then(|| CallError::Redirected {
        url: url.to_owned(),
        status: status.as_u16(),
        location: location.map_or_else(|| "nowhere".to_owned(), shown),
    })
}

fn shown(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    text.chars().take(256).collect()
}

async fn read(url: &str, mut body: Incoming) -> Result<Bytes, CallError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(url, &error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limits::ANSWER_FROM_SDK_BYTES {
            let url = url.to_owned();
            return Err(CallError::TooLarge { url });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}

fn not_sent(url: &str, error: &legacy::Error, connect: Duration) -> CallError {
    if !error.is_connect() {
        return broken(url, error);
    }
    match ConnectError::of(error) {
        Some(ConnectError::TimedOut) => timed_out(url, "connect", connect),
        Some(
            own @ (ConnectError::Itself(_) | ConnectError::Private(_) | ConnectError::NoTls(_)),
        ) => CallError::Forbidden {
            url: url.to_owned(),
            cause: own.to_string(),
        },
        None => CallError::Unreachable {
            url: url.to_owned(),
            cause: root(error),
        },
    }
}

fn broken(url: &str, error: &(dyn StdError + 'static)) -> CallError {
    CallError::Broken {
        url: url.to_owned(),
        cause: root(error),
    }
}

fn timed_out(url: &str, phase: &'static str, limit: Duration) -> CallError {
    CallError::TimedOut {
        url: url.to_owned(),
        phase,
        limit,
    }
}

/// What lies at the bottom of an error; what is above it names layers that a user does not know.
fn root(error: &(dyn StdError + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// A header's value as text; nothing when it is not there or no text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

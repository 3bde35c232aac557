//! Requests to the server, and what is wrong when it does not answer as it should.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, de::DeserializeOwned};
use stepcast_protocol::{ErrorBody, ErrorCode, RunError};

use super::server::Server;
use crate::error::Error;

/// How long the server may take to let a connection in.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes of an answer: the largest is the result of a run.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// A server and what it wants to see. Cheap to clone; connections are shared.
#[derive(Clone)]
pub(super) struct Remote {
    pub(super) server: Server,
    pub(super) event_key: String,
    signing_key: Option<String>,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// What the server is asked for.
pub(super) struct Ask {
    method: Method,
    url: String,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
}

/// `/v1` answers in this form.
#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) data: T,
}

impl Ask {
    pub(super) fn get(url: String) -> Self {
        Self::new(Method::GET, url, Bytes::new())
    }

    pub(super) fn delete(url: String) -> Self {
        Self::new(Method::DELETE, url, Bytes::new())
    }

    pub(super) fn post(url: String, body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, url, body.into())
            .with_header(header::CONTENT_TYPE, "application/json")
    }

    fn new(method: Method, url: String, body: Bytes) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body,
        }
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn into_request(self) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder().method(self.method).uri(self.url);
        for (name, value) in self.headers {
            let value = HeaderValue::try_from(value).map_err(|_| {
                let text = format!(
                    "what is to be sent as `{name}` has characters that no header may have"
                );
                Error::coded(ErrorCode::BadRequest, text).terminal()
            })?;
            request = request.header(name, value);
        }
        Ok(request.body(Full::new(self.body))?)
    }
}

impl Remote {
    pub(super) fn new(server: Server) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        Self {
            server,
            event_key: "dev".to_owned(),
            signing_key: None,
            http: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    pub(super) fn with_event_key(self, event_key: String) -> Self {
        Self { event_key, ..self }
    }

    pub(super) fn with_signing_key(self, key: String) -> Self {
        Self {
            signing_key: Some(key),
            ..self
        }
    }

    /// Asks as an operator, and reads the answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Error> {
        let body = self.ask_for_bytes(self.keyed(ask)).await?;
        serde_json::from_slice(&body).map_err(|error| self.strange(&error))
    }

    /// Asks as an operator for something whose answer has no body.
    pub(super) async fn tell(&self, ask: Ask) -> Result<(), Error> {
        self.ask_for_bytes(self.keyed(ask)).await.map(drop)
    }

    /// Asks as whoever the request itself says, and reads the answer.
    pub(super) async fn ask_plainly<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Error> {
        let body = self.ask_for_bytes(ask).await?;
        serde_json::from_slice(&body).map_err(|error| self.strange(&error))
    }

    fn keyed(&self, ask: Ask) -> Ask {
        match &self.signing_key {
            Some(key) => ask.with_header(header::AUTHORIZATION, format!("Bearer {key}")),
            None => ask,
        }
    }

    async fn ask_for_bytes(&self, ask: Ask) -> Result<Bytes, Error> {
        let is_read = ask.method == Method::GET;
        let exchange = async {
            let response = self.exchange(ask).await?;
            if response.status().is_success() {
                self.body(response).await
            } else {
                Err(self.refusal(response).await)
            }
        };
        let answered = tokio::time::timeout(ANSWER, exchange).await;
        let outcome = answered.unwrap_or_else(|_| {
            let text = format!("server {} has not answered for {ANSWER:?}", self.server);
            Err(Error::coded(ErrorCode::OutcomeUnknown, text))
        });
        // Nothing has happened that could have an outcome.
        outcome.map_err(|error| match error.code() {
            "outcome_unknown" if is_read => Error::coded(ErrorCode::Unreachable, error),
            _ => error,
        })
    }

    /// One request and the head of its answer.
    pub(super) async fn exchange(&self, ask: Ask) -> Result<Response<Incoming>, Error> {
        let request = ask.into_request()?;
        self.http.request(request).await.map_err(|error| {
            let why = root(&error);
            if error.is_connect() {
                let text = format!(
                    "server {} cannot be reached: {why}; is it running?",
                    self.server
                );
                Error::coded(ErrorCode::Unreachable, text)
            } else {
                self.broken(&why)
            }
        })
    }

    /// What a refusal says.
    pub(super) async fn refusal(&self, response: Response<Incoming>) -> Error {
        let status = response.status();
        let body = match self.body(response).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(ErrorBody { code, error, .. }) => Error::recorded(RunError {
                code,
                message: error,
                causes: Vec::new(),
                sdk: None,
            }),
            Err(_) => {
                let text = format!(
                    "server {} has answered {status}; is it a Stepcast server that serves this route?",
                    self.server
                );
                Error::coded(code_of(status), text)
            }
        }
    }

    async fn body(&self, response: Response<Incoming>) -> Result<Bytes, Error> {
        let body = Limited::new(response.into_body(), ANSWER_BYTES);
        let collected = body.collect().await;
        collected
            .map(http_body_util::Collected::to_bytes)
            .map_err(|error| self.broken(&error.to_string()))
    }

    fn broken(&self, why: &str) -> Error {
        let text = format!(
            "connection to server {} broke before it had answered: {why}",
            self.server
        );
        Error::coded(ErrorCode::OutcomeUnknown, text)
    }

    fn strange(&self, why: &dyn fmt::Display) -> Error {
        let text = format!(
            "server {} has answered what this version cannot read: {why}",
            self.server
        );
        Error::coded(ErrorCode::Internal, text)
    }
}

impl fmt::Debug for Remote {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// What lies at the bottom of an error: those above it say only where it was met.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// What is meant by a status that somebody else than Stepcast has answered.
fn code_of(status: StatusCode) -> ErrorCode {
    match status {
        StatusCode::UNAUTHORIZED => ErrorCode::BadToken,
        StatusCode::FORBIDDEN => ErrorCode::Forbidden,
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::TOO_MANY_REQUESTS => ErrorCode::TooMany,
        status if status.is_server_error() => ErrorCode::Unreachable,
        _ => ErrorCode::BadRequest,
    }
}

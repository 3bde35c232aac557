//! An app that answers what a test wants it to.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, Method},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// A request that an app has got.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// An app of one test.
pub(crate) struct ScriptedApp {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    serving: JoinHandle<()>,
}

impl Drop for ScriptedApp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl ScriptedApp {
    /// Answers every request with this.
    pub(crate) async fn start<A>(answer: impl Fn(Seen) -> A + Clone + Send + Sync + 'static) -> Self
    where
        A: Future<Output = Response> + Send,
    {
        Self::on("127.0.0.1:0".parse().unwrap(), answer).await
    }

    /// The same at an address, e.g. one where an app was before.
    pub(crate) async fn on<A>(
        address: SocketAddr,
        answer: impl Fn(Seen) -> A + Clone + Send + Sync + 'static,
    ) -> Self
    where
        A: Future<Output = Response> + Send,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let journal = Arc::clone(&seen);
        let app = Router::new().fallback(move |request: Request| {
            let (answer, journal) = (answer.clone(), Arc::clone(&journal));
            async move {
                let seen = read(request).await;
                journal.lock().push(seen.clone());
                answer(seen).await
            }
        });
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            seen,
            serving,
        }
    }

    /// Answers every request with these bytes, and closes; with nothing it stays silent.
    pub(crate) async fn raw(answer: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                drop(stream.read(&mut head).await);
                match &answer {
                    Some(answer) => drop(stream.write_all(answer).await),
                    None => silent.push(stream),
                }
            }
        });
        Self {
            address,
            seen: Arc::default(),
            serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/inngest", self.address)
    }

    /// The requests with this method so far.
    pub(crate) fn requests(&self, method: &Method) -> Vec<Seen> {
        let seen = self.seen.lock();
        seen.iter()
            .filter(|seen| seen.method == method)
            .cloned()
            .collect()
    }
}

async fn read(request: Request) -> Seen {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Seen {
        method: parts.method,
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// An answer of an SDK.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder()
        .status(status)
        .header("x-inngest-sdk", "inngest-js:v4.24.0");
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap().into_response()
}

//! Spans by OTLP over HTTP, to the collector that the variables of OpenTelemetry name.
//!
//! The exporter has a thread of its own. Requests are made on our runtime, without TLS: a collector is a neighbour, or has one that forwards.

use std::{future::Future, pin::Pin, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{Next, from_fn},
    response::Response,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Instrument, field::Empty};
use tracing_subscriber::{
    Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::endpoint;
use crate::{exit::Failure, logging::Logging};

/// How long a collector may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Bytes of its answer.
const ANSWER_BYTES: usize = 64 * 1024;

/// Spans on their way; none when no collector is named.
#[derive(Debug)]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Logs from now on, and exports spans when a collector is named. Called once, on the runtime that carries the requests.
    pub(crate) fn begin(logging: Logging) -> Result<Self, Failure> {
        let Some(name) = endpoint() else {
            logging.begin();
            return Ok(Self(None));
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new())
            .build()
            .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
        // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count before this.
        let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
            Some(_) => Resource::builder(),
            None => Resource::builder().with_service_name("stepcast"),
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("stepcast"));
        tracing_subscriber::registry()
            .with(spans.with_filter(LevelFilter::INFO))
            .with(logging.lines().with_filter(logging.level()))
            .init();
        Ok(Self(Some(provider)))
    }

    /// A span for each request.
    pub(crate) fn around(&self, app: Router) -> Router {
        match &self.0 {
            Some(_) => app.layer(from_fn(trace)),
            None => app,
        }
    }

    /// Sends what waits.
    pub(crate) async fn end(self) {
        let Some(provider) = self.0 else { return };
        let ended = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// Named by its route: paths have keys in them, and queries have tokens.
async fn trace(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("unknown", MatchedPath::as_str);
    let method = request.method();
    let span = tracing::info_span!(
        "request", otel.name = format!("{method} {route}"), otel.kind = "server", %method, route, status = Empty
    );
    let response = next.run(request).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    response
}

/// Where spans go.
#[derive(Debug)]
struct Collector {
    http: Client<HttpConnector, Full<Bytes>>,
    runtime: Handle,
}

impl Collector {
    /// On the caller's runtime.
    fn new() -> Self {
        Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
            runtime: Handle::current(),
        }
    }
}

type Answered = Result<opentelemetry_http::Response<Bytes>, HttpError>;

impl HttpClient for Collector {
    /// Called on the exporter's thread, which knows no runtime.
    fn send_bytes<'s, 'a>(
        &'s self,
        request: opentelemetry_http::Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Answered> + Send + 'a>>
    where
        's: 'a,
        Self: 'a,
    {
        let http = self.http.clone();
        let exchange = async move {
            let response = http.request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES).collect().await?;
            Answered::Ok(opentelemetry_http::Response::from_parts(
                head,
                body.to_bytes(),
            ))
        };
        let bounded = async move { tokio::time::timeout(ANSWER, exchange).await? };
        let answered = self.runtime.spawn(bounded);
        Box::pin(async move { answered.await? })
    }
}

//! Runs errands: follows where they are sent, and gives up in time.

use axum::http::{HeaderValue, Request, Response, Uri, header};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use stepcast_protocol::limits;

use super::{AppClient, ConnectError, NAME, root};
use crate::worker::errand::{Brought, Errand, ErrandError, shown};

impl AppClient {
    /// Runs an errand. Dropping the future ends it.
    pub(super) fn run_errand(
        &self,
        errand: Errand,
    ) -> BoxFuture<'static, Result<Brought, ErrandError>> {
        let client = self.clone();
        async move {
            // Never closed; whoever waits here holds nothing of an answer.
            let _place = client.0.errands_left.acquire().await;
            let limit = client.0.options.errand;
            let url = shown(&errand.url);
            let answer = tokio::time::timeout(limit, client.follow(errand)).await;
            answer.unwrap_or(Err(ErrandError::TimedOut { url, limit }))
        }
        .boxed()
    }

    async fn follow(&self, mut errand: Errand) -> Result<Brought, ErrandError> {
        for _ in 0..=limits::ERRAND_REDIRECTS {
            let response = self.errand_response(&errand).await?;
            let location = response.headers().get(header::LOCATION);
            match errand.redirected(response.status().as_u16(), location)? {
                Some(next) => errand = next,
                None => return read(errand.url, response).await,
            }
        }
        let cause = format!("it was redirected {} times", limits::ERRAND_REDIRECTS);
        Err(ErrandError::Redirect {
            location: shown(&errand.url),
            url: shown(&errand.url),
            cause,
        })
    }

    async fn errand_response(&self, errand: &Errand) -> Result<Response<Incoming>, ErrandError> {
        let request = request(errand)?;
        let response = self.0.errands.request(request).await;
        response.map_err(|error| not_sent(&errand.url, &error))
    }
}

fn request(errand: &Errand) -> Result<Request<Full<Bytes>>, ErrandError> {
    let forbidden = |cause: &dyn std::fmt::Display| ErrandError::Forbidden {
        url: shown(&errand.url),
        cause: cause.to_string(),
    };
    let uri: Uri = errand.url.parse().map_err(|error| forbidden(&error))?;
    let mut request = Request::new(Full::new(errand.body.clone()));
    *request.method_mut() = errand.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = errand.headers.clone();
    request
        .headers_mut()
        .entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(NAME));
    Ok(request)
}

async fn read(url: String, response: Response<Incoming>) -> Result<Brought, ErrandError> {
    let (parts, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ErrandError::Broken {
            url: shown(&url),
            cause: root(&error),
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limits::MEMO_BYTES {
            let url = shown(&url);
            return Err(ErrandError::TooLarge { url });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Brought {
        url,
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: bytes.into(),
    })
}

fn not_sent(url: &str, error: &legacy::Error) -> ErrandError {
    let (url, cause) = (shown(url), root(error));
    match ConnectError::of(error) {
        Some(
            own @ (ConnectError::Itself(_) | ConnectError::Private(_) | ConnectError::NoTls(_)),
        ) => ErrandError::Forbidden {
            url,
            cause: own.to_string(),
        },
        None if !error.is_connect() => ErrandError::Broken { url, cause },
        Some(ConnectError::TimedOut) | None => ErrandError::Unreachable { url, cause },
    }
}

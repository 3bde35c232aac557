//! Runs errands: follows where they are sent, and gives up in time.

use std::time::Duration;

use axum::http::{HeaderValue, Request, Response, Uri, header};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use stepcast_protocol::{FunctionId, limits};
use tokio::time::Instant;

use super::{AppClient, ConnectError, NAME, places::Place, room::Growing, root};
use crate::worker::errand::{Awaited, Brought, Errand, ErrandError, shown};

/// Until when an errand has to be over, counted from when it was asked for: waiting for its turn is not for nothing.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    fn after(limit: Duration) -> Self {
        let at = Instant::now() + limit;
        Self { at, limit }
    }

    /// Waits for what other errands have.
    async fn wait<T>(
        self,
        url: &str,
        awaited: Awaited,
        free: impl Future<Output = T>,
    ) -> Result<T, ErrandError> {
        let free = tokio::time::timeout_at(self.at, free).await;
        free.map_err(|_| ErrandError::Crowded {
            url: shown(url),
            limit: self.limit,
            awaited,
        })
    }
}

impl AppClient {
    /// Runs an errand of a function. Dropping the future ends it.
    pub(super) fn run_errand(
        &self,
        function: FunctionId,
        errand: Errand,
    ) -> BoxFuture<'static, Result<Brought, ErrandError>> {
        let client = self.clone();
        let deadline = Deadline::after(self.0.options.errand);
        async move {
            let _places = client.places(&function, &errand.url, deadline).await?;
            let (url, limit) = (shown(&errand.url), deadline.limit);
            let answer =
                tokio::time::timeout_at(deadline.at, client.follow(errand, deadline)).await;
            answer.unwrap_or(Err(ErrandError::TimedOut { url, limit }))
        }
        .boxed()
    }

    /// Whoever waits here holds nothing of an answer.
    async fn places(
        &self,
        function: &FunctionId,
        url: &str,
        deadline: Deadline,
    ) -> Result<(Place, Place), ErrandError> {
        let places = &self.0.places;
        let own = deadline
            .wait(url, Awaited::PlaceOfFunction, places.of_function(function))
            .await?;
        let of_all = deadline
            .wait(url, Awaited::PlaceOfAll, places.of_all(&own))
            .await?;
        Ok((own, of_all))
    }

    async fn follow(&self, mut errand: Errand, deadline: Deadline) -> Result<Brought, ErrandError> {
        for _ in 0..=limits::ERRAND_REDIRECTS {
            let response = self.errand_response(&errand).await?;
            let location = response.headers().get(header::LOCATION);
            match errand.redirected(response.status().as_u16(), location)? {
                Some(next) => errand = next,
                None => return read(errand.url, response, self.0.room.body(), deadline).await,
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

async fn read(
    url: String,
    response: Response<Incoming>,
    mut brought: Growing,
    deadline: Deadline,
) -> Result<Brought, ErrandError> {
    let (parts, mut body) = response.into_parts();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ErrandError::Broken {
            url: shown(&url),
            cause: root(&error),
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if !brought.may_grow(data.len()) {
            let url = shown(&url);
            return Err(ErrandError::TooLarge { url });
        }
        deadline
            .wait(&url, Awaited::Room, brought.make_room(data.len()))
            .await?;
        brought.push(&data);
    }
    Ok(Brought {
        url,
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: brought.into_bytes(),
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

#[cfg(test)]
mod tests {
    use std::fmt;

    use futures_util::future::join_all;
    use serde_json::json;
    use stepcast_engine::clock::Clock;
    use stepcast_protocol::sdk::{Action, Json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::{super::ClientOptions, *};
    use crate::worker::errand;

    const SOON: Duration = Duration::from_millis(10);

    /// Where each request is answered with so many bytes.
    async fn answering(bytes: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let head =
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {bytes}\r\n\r\n");
        let answer = Bytes::from(head + &"x".repeat(bytes));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    drop(stream.read(&mut head).await);
                    drop(stream.write_all(&answer).await);
                });
            }
        });
        url
    }

    fn client(options: ClientOptions) -> AppClient {
        AppClient::new(Clock::system(), options)
    }

    fn function(name: &str) -> FunctionId {
        FunctionId::parse(name).unwrap()
    }

    fn get(url: &str) -> Errand {
        let opts = json!({ "url": url }).to_string();
        let request = Json::parse(opts.as_bytes()).unwrap();
        errand::of(&Action::Gateway { request }).unwrap().unwrap()
    }

    fn awaited<T: fmt::Debug>(result: Result<T, ErrandError>) -> Awaited {
        match result {
            Err(ErrandError::Crowded { awaited, .. }) => awaited,
            other => panic!("it has not waited in vain: {other:?}"),
        }
    }

    async fn places_of(client: &AppClient, function: &FunctionId) -> Vec<Place> {
        let places = &client.0.places;
        let taken = (0..limits::ERRANDS_PER_FUNCTION).map(|_| places.of_function(function));
        join_all(taken).await
    }

    #[tokio::test]
    async fn the_wait_for_a_place_ends_with_the_time_of_the_errand() {
        let busy = function("busy");
        let client = client(ClientOptions::default().with_errand_timeout(SOON));
        let _own = places_of(&client, &busy).await;
        let result = client.run_errand(busy, get("http://127.0.0.1:1/")).await;
        assert_eq!(awaited(result), Awaited::PlaceOfFunction);
    }

    #[tokio::test]
    async fn a_function_whose_places_are_taken_waits_and_others_go_on() {
        let url = answering(1).await;
        let (busy, other) = (function("busy"), function("other"));
        let client = client(ClientOptions::default());
        let own = places_of(&client, &busy).await;
        let result = client.places(&busy, &url, Deadline::after(SOON)).await;
        assert_eq!(awaited(result), Awaited::PlaceOfFunction);
        let brought = client.run_errand(other.clone(), get(&url)).await.unwrap();
        assert_eq!(brought.body, "x");
        let all = (0..limits::ERRANDS).map(|_| client.0.places.of_all(&own[0]));
        let all = join_all(all).await;
        let result = client.places(&other, &url, Deadline::after(SOON)).await;
        assert_eq!(awaited(result), Awaited::PlaceOfAll);
        drop((own, all));
        let brought = client.run_errand(busy, get(&url)).await.unwrap();
        assert_eq!(brought.body, "x");
    }

    #[tokio::test]
    async fn a_long_answer_waits_for_room_and_a_short_one_does_not() {
        let long = answering(limits::ERRAND_FIRST_BYTES + 1).await;
        let short = answering(limits::ERRAND_FIRST_BYTES).await;
        let client = client(ClientOptions::default());
        let taken = client.0.room.take_all();
        let result = client.follow(get(&long), Deadline::after(SOON)).await;
        assert_eq!(awaited(result), Awaited::Room);
        let f = function("f");
        let brought = client.run_errand(f.clone(), get(&short)).await.unwrap();
        assert_eq!(brought.body.len(), limits::ERRAND_FIRST_BYTES);
        drop(taken);
        let brought = client.run_errand(f, get(&long)).await.unwrap();
        assert_eq!(brought.body.len(), limits::ERRAND_FIRST_BYTES + 1);
    }

    #[tokio::test]
    async fn more_of_the_longest_answers_than_there_is_room_for_are_all_read_at_last() {
        let url = answering(limits::MEMO_BYTES).await;
        let client = client(ClientOptions::default());
        let number = limits::ERRAND_ANSWERS_BYTES / limits::MEMO_BYTES + 8;
        let lengths = (0..number).map(|_| {
            let answer = client.run_errand(function("f"), get(&url));
            answer.map(|brought| brought.map(|brought| brought.body.len()))
        });
        for length in join_all(lengths).await {
            assert_eq!(length, Ok(limits::MEMO_BYTES));
        }
    }
}

//! Requests that functions have the server make, against those who answer well, badly and not at all.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use stepcast_engine::clock::Clock;
use stepcast_http::{
    ServerKind,
    worker::{AppClient, Brought, Caller, ClientOptions, ErrandError, errand},
};
use stepcast_protocol::{
    ErrorCode, FunctionId, limits,
    sdk::{Action, Json},
};

use super::scripted::{ScriptedApp, answer};

async fn run(options: ClientOptions, opts: Value) -> Result<Brought, ErrandError> {
    let request = Json::parse(opts.to_string().as_bytes()).unwrap();
    let errand = errand::of(&Action::Gateway { request }).unwrap().unwrap();
    let function = FunctionId::parse("app-f").unwrap();
    AppClient::new(Clock::system(), options)
        .run(&function, errand)
        .await
}

async fn get(url: &str) -> Result<Brought, ErrandError> {
    run(ClientOptions::default(), json!({ "url": url })).await
}

#[tokio::test]
async fn redirects_are_followed_to_their_end() {
    let app = ScriptedApp::start(async |seen| match &*seen.path {
        "/api/inngest" => answer(303, &[("location", "/there")], "elsewhere"),
        _ => answer(200, &[], "here"),
    })
    .await;
    let opts = json!({"url": app.url(), "method": "POST", "body": "b", "headers": {"x": "1"}});
    let brought = run(ClientOptions::default(), opts).await.unwrap();
    assert_eq!((brought.status, &*brought.body), (200, &b"here"[..]));
    assert_eq!(brought.url, format!("http://{}/there", app.address));
    let seen = app.requests(&Method::GET);
    assert_eq!((seen[0].header("x"), &*seen[0].body), ("1", ""));
}

#[tokio::test]
async fn a_body_is_not_sent_on_to_somebody_else() {
    let other = ScriptedApp::start(async |_| answer(200, &[], "thanks")).await;
    let to = format!("http://user:secret@{}/", other.address);
    for (location, part) in [
        (other.url(), format!("to http://{};", other.address)),
        (to, format!("redirects to http://{}/,", other.address)),
    ] {
        let app = ScriptedApp::start(move |_| {
            let location = location.clone();
            async move { answer(307, &[("location", &*location)], "") }
        })
        .await;
        let opts = json!({"url": app.url(), "method": "POST", "body": "secret"});
        let error = run(ClientOptions::default(), opts).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains(&part) && !said.contains("secret"), "{said}");
        assert!(!error.is_retryable());
    }
    assert!(other.seen.lock().is_empty());
}

#[tokio::test]
async fn what_brings_nothing_is_said_in_a_sentence() {
    let ring = ScriptedApp::start(async |_| answer(302, &[("location", "/round")], "")).await;
    let large = vec![b'x'; limits::MEMO_BYTES + 1];
    let large = ScriptedApp::start(move |_| {
        let large = large.clone();
        async move { answer(200, &[], large) }
    })
    .await;
    let cut = ScriptedApp::raw(Some(
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec(),
    ))
    .await;
    // What is read in one go with the end of it may be some more.
    let long = "x".repeat(4 * limits::ERRAND_HEAD_BYTES);
    let head = format!("HTTP/1.1 200 OK\r\nx: {long}\r\n\r\n");
    let head = ScriptedApp::raw(Some(head.into_bytes())).await;
    let file =
        ScriptedApp::start(async |_| answer(302, &[("location", "file:///etc/passwd")], "")).await;
    for (url, code, part) in [
        (ring.url(), ErrorCode::Unreachable, "redirected 10 times"),
        (large.url(), ErrorCode::TooLarge, "more than 4194304 bytes"),
        (cut.url(), ErrorCode::Unreachable, "broke"),
        (head.url(), ErrorCode::Unreachable, "broke"),
        (file.url(), ErrorCode::Unreachable, "no address of the web"),
        (
            "http://127.0.0.1:1/?key=secret".to_owned(),
            ErrorCode::Unreachable,
            "cannot be reached",
        ),
    ] {
        let error = get(&url).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let said = error.to_string();
        assert!(said.contains(part) && !said.contains("secret"), "{said}");
    }
    assert_eq!(ring.seen.lock().len(), limits::ERRAND_REDIRECTS + 1);
}

#[tokio::test]
async fn whoever_takes_too_long_is_given_up() {
    let silent = ScriptedApp::raw(None).await;
    let endless = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_vec();
    let endless = ScriptedApp::start(move |_| {
        let head = endless.clone();
        async move {
            let body = futures_util::stream::iter([Ok::<_, std::io::Error>(head)]);
            let body = futures_util::StreamExt::chain(body, futures_util::stream::pending());
            answer(200, &[], axum::body::Body::from_stream(body))
        }
    })
    .await;
    let options = ClientOptions::default().with_errand_timeout(Duration::from_millis(50));
    for url in [silent.url(), endless.url()] {
        let error = run(options.clone(), json!({ "url": url }))
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::TimedOut, "{error}");
        assert!(error.is_retryable());
    }
}

#[tokio::test]
async fn in_production_nothing_on_this_machine_is_asked_for_a_function() {
    let app = ScriptedApp::start(async |_| answer(200, &[], "secret")).await;
    let port = app.address.port();
    let options = ClientOptions::default().with_kind(ServerKind::Cloud);
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{port}/");
        let error = run(options.clone(), json!({ "url": url }))
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::Forbidden, "{error}");
        assert!(error.to_string().contains("inside `step.run`"), "{error}");
        assert!(!error.is_retryable());
    }
    assert!(app.seen.lock().is_empty());
}

#[tokio::test]
async fn this_server_is_not_asked_by_itself() {
    let app = ScriptedApp::start(async |_| answer(200, &[], "itself")).await;
    let own = ClientOptions::default().with_own_addresses(vec![app.address]);
    let error = run(own, json!({ "url": app.url() })).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Forbidden, "{error}");
    assert!(error.to_string().contains("this server itself"), "{error}");
    assert!(app.seen.lock().is_empty());
}

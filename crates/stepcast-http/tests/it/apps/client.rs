//! The client of apps against apps that answer well, badly and not at all.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::time::Duration;

use axum::{body::Body, http::Method};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stepcast_engine::clock::Clock;
use stepcast_http::{
    ServerKind,
    worker::{Answered, AppClient, CallError, CallRequest, Caller, ClientOptions},
};
use stepcast_protocol::{ErrorCode, sdk::SigningKey};

use super::scripted::{ScriptedApp, answer};

const KEY: &str = "signkey-prod-00112233445566778899aabbccddeeff";
const SECRET: &str = "00112233445566778899aabbccddeeff";

fn client(options: ClientOptions) -> AppClient {
    AppClient::new(Clock::system(), options)
}

fn patient_for(millis: u64) -> ClientOptions {
    ClientOptions::default().with_call_timeout(Duration::from_millis(millis))
}

fn production() -> ClientOptions {
    ClientOptions::default()
        .with_kind(ServerKind::Cloud)
        .with_signing_keys(SigningKey::parse(KEY).unwrap(), None)
}

async fn call(client: &AppClient, url: &str) -> Result<Answered, CallError> {
    let request = CallRequest {
        url: url.to_owned(),
        headers: vec![("x-run-id", "r".to_owned())],
        body: r#"{"a":1}"#.into(),
    };
    client.call(request).await
}

fn sign(body: &str, seconds: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    mac.update(seconds.as_bytes());
    let mac = mac.finalize().into_bytes();
    let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds}&s={hex}")
}

fn now() -> String {
    Clock::system().now().as_seconds().to_string()
}

#[tokio::test]
async fn a_call_reaches_the_app_with_its_headers_and_signature() {
    let app = ScriptedApp::start(|_| async {
        let signature = sign("[]", &now());
        answer(206, &[("x-inngest-signature", &signature)], "[]")
    })
    .await;
    let client = client(production());
    for _ in 0..2 {
        let answered = call(&client, &format!("{}?fnId=f#x", app.url())).await;
        let Answered { status, body, .. } = answered.unwrap();
        assert_eq!((status, &*body), (206, b"[]".as_slice()));
    }
    let seen = app.requests(&Method::POST);
    assert_eq!(seen.len(), 2);
    let seen = &seen[0];
    assert_eq!(seen.path, "/api/inngest?fnId=f");
    assert_eq!(seen.header("x-run-id"), "r");
    assert_eq!(seen.header("x-inngest-server-kind"), "");
    assert!(seen.header("user-agent").starts_with("stepcast/"));
    let signature = seen.header("x-inngest-signature");
    let seconds = &signature[2..12];
    assert_eq!(signature, sign(&seen.body, seconds));
}

#[tokio::test]
async fn answers_that_the_app_has_not_signed_are_not_taken() {
    for (signature, part) in [
        (Some(sign("[1]", &now())), "not of a key of this server"),
        (Some(sign("[]", "1700000000")), "at most 300 s"),
        (Some("t=1".to_owned()), "does not have the form"),
        (None, "it is not signed"),
    ] {
        let app = ScriptedApp::start(move |_| {
            let signature = signature.clone();
            async move {
                match &signature {
                    Some(signature) => answer(206, &[("x-inngest-signature", signature)], "[]"),
                    None => answer(206, &[], "[]"),
                }
            }
        })
        .await;
        let error = call(&client(production()), &app.url()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadToken, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_said_in_a_sentence() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec();
    let endless = b"HTTP/1.1 200 OK\r\nX-Long: ".to_vec();
    let moved = b"HTTP/1.1 308 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".to_vec();
    let nowhere = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    for (bytes, code, part) in [
        (cut, ErrorCode::Unreachable, "broke"),
        (endless, ErrorCode::Unreachable, "broke"),
        (
            b"nonsense\r\n\r\n".to_vec(),
            ErrorCode::Unreachable,
            "broke",
        ),
        (Vec::new(), ErrorCode::Unreachable, "broke"),
        (
            moved,
            ErrorCode::Unreachable,
            "redirects to /elsewhere (status 308)",
        ),
        (nowhere, ErrorCode::Unreachable, "redirects to nowhere"),
    ] {
        let app = ScriptedApp::raw(Some(bytes)).await;
        let error = call(&client(patient_for(20_000)), &app.url())
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn an_app_that_takes_too_long_or_is_not_there_is_given_up() {
    let silent = ScriptedApp::raw(None).await;
    let error = call(&client(patient_for(50)), &silent.url())
        .await
        .unwrap_err();
    let sentence = error.to_string();
    assert!(sentence.contains("longer than 50ms to answer"), "{error}");
    let slow = ScriptedApp::start(|_| async {
        let never = futures_util::stream::pending::<Result<&[u8], std::io::Error>>();
        answer(200, &[], Body::from_stream(never))
    })
    .await;
    let error = call(&client(patient_for(50)), &slow.url())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("to end its answer"), "{error}");
    let url = slow.url();
    drop(slow);
    let error = call(&client(patient_for(20_000)), "http://127.0.0.1:1/api")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    assert!(!url.is_empty());
}

#[tokio::test]
async fn an_answer_may_have_eight_mebibytes() {
    let app = ScriptedApp::start(|seen| async move {
        let bytes: usize = seen.path.split_once('?').unwrap().1.parse().unwrap();
        answer(200, &[], vec![b' '; bytes])
    })
    .await;
    let client = client(ClientOptions::default());
    let limit = 8 << 20;
    let answered = call(&client, &format!("{}?{limit}", app.url())).await;
    assert_eq!(answered.unwrap().body.len(), limit);
    let error = call(&client, &format!("{}?{}", app.url(), limit + 1))
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooLarge);
    assert!(error.to_string().contains("8388608"), "{error}");
}

#[tokio::test]
async fn neither_nonsense_nor_this_server_itself_is_called() {
    let app = ScriptedApp::start(|_| async { answer(200, &[], "null") }).await;
    let own = ClientOptions::default().with_own_addresses(vec![app.address]);
    let client = client(own);
    let named = format!("http://localhost:{}/api/inngest", app.address.port());
    for (url, part) in [
        (app.url(), "is this server itself; give the URL of the app"),
        (named, "is this server itself"),
        ("/api/inngest".to_owned(), "no scheme or host"),
        ("http://".to_owned(), "is not called"),
        ("http://a b/".to_owned(), "is no URL"),
    ] {
        let error = call(&client, &url).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Forbidden, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(app.seen.lock().is_empty());
}

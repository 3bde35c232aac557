//! Apps that are asked for their functions, again and again.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{sync::Arc, time::Duration};

use axum::{
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use stepcast_http::{
    Keys, ServerKind,
    worker::{
        AppsOptions, ClientOptions, Discovery,
        apps::{Health, SyncError},
    },
};
use stepcast_protocol::{names::AppId, sdk::SigningKey};

use super::{
    registering::function,
    scripted::{ScriptedApp, Seen, answer},
};
use crate::server::TestServer;

const KEY: &str = "signkey-prod-00112233445566778899aabbccddeeff";

fn often() -> AppsOptions {
    AppsOptions::default().with_poll(Duration::from_millis(20))
}

async fn server() -> TestServer {
    TestServer::with_apps(often(), ClientOptions::default(), Keys::Dev).await
}

type Say = fn(&Seen) -> Response;

/// The functions of an app, which a test may change.
type Functions = Arc<Mutex<Vec<Value>>>;

fn functions(ids: &[&str]) -> Functions {
    let functions = ids.iter().map(|id| function(id, json!({})));
    Arc::new(Mutex::new(functions.collect()))
}

/// Answers as an SDK does to an in-band sync.
fn in_band(seen: &Seen, functions: &Functions) -> Response {
    let said = json!({"app_id": "shop", "functions": *functions.lock(), "sdk": "js:v4.24.0"});
    match seen.method {
        Method::GET => answer(200, &[], r#"{"mode":"dev","function_count":1}"#),
        _ => answer(200, &[("x-inngest-sync-kind", "in_band")], said.to_string()),
    }
}

async fn in_band_app(functions: &Functions) -> ScriptedApp {
    let functions = Arc::clone(functions);
    ScriptedApp::start(move |seen| {
        let functions = Arc::clone(&functions);
        async move { in_band(&seen, &functions) }
    })
    .await
}

fn known(server: &TestServer) -> Vec<String> {
    let app = server
        .apps()
        .directory()
        .app(&AppId::parse("shop").unwrap());
    let functions = app.iter().flat_map(|app| &app.functions);
    functions.map(|function| function.id.to_string()).collect()
}

async fn health(server: &TestServer, health: Health) {
    server
        .until(async |server| {
            let handlers = server.apps().handlers();
            handlers
                .first()
                .is_some_and(|handler| handler.health == health)
        })
        .await;
}

#[tokio::test]
async fn an_app_is_synced_in_band_and_again_when_its_functions_change() {
    let server = server().await;
    let functions = functions(&["shop-a"]);
    let app = in_band_app(&functions).await;
    let _watch = server.apps().watch([app.url()]);
    server
        .until(async |server| known(server) == ["shop-a"])
        .await;
    let put = app.requests(&Method::PUT)[0].clone();
    assert_eq!(put.body, json!({"url": app.url()}).to_string());
    assert_eq!(put.header("x-inngest-sync-kind"), "in_band");
    assert_eq!(put.header("x-inngest-server-kind"), "dev");
    assert_eq!(app.requests(&Method::GET).len(), 1);
    functions.lock().push(function("shop-b", json!({})));
    server
        .until(async |server| known(server) == ["shop-a", "shop-b"])
        .await;
    let shown = server.get("/dev", &[]).await.json();
    assert_eq!(shown["handlers"][0]["health"], "up");
    assert_eq!(shown["handlers"][0]["app"], "shop");
    assert_eq!(shown["functions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_app_that_goes_down_keeps_its_functions_and_is_taken_in_when_it_is_back() {
    let server = server().await;
    let functions = functions(&["shop-a"]);
    let app = in_band_app(&functions).await;
    let (address, url) = (app.address, app.url());
    let _watch = server.apps().watch([url.clone()]);
    health(&server, Health::Up).await;
    drop(app);
    health(&server, Health::Down).await;
    let error = server.apps().handlers()[0].error.clone().unwrap();
    assert!(error.contains(&url), "{error}");
    assert_eq!(known(&server), ["shop-a"]);
    functions.lock().push(function("shop-b", json!({})));
    let again = Arc::clone(&functions);
    let _app = ScriptedApp::on(address, move |seen| {
        let functions = Arc::clone(&again);
        async move { in_band(&seen, &functions) }
    })
    .await;
    health(&server, Health::Up).await;
    assert_eq!(known(&server), ["shop-a", "shop-b"]);
}

/// An app that registers itself before it answers, as one does that does not sync in band.
#[tokio::test]
async fn an_app_may_register_itself_instead() {
    let server = Arc::new(server().await);
    let (at, stumbles) = (Arc::clone(&server), Arc::new(Mutex::new(true)));
    let app = ScriptedApp::start(move |seen: Seen| {
        let (server, stumbles) = (Arc::clone(&at), Arc::clone(&stumbles));
        async move {
            if seen.method == Method::GET {
                return answer(200, &[], "{}");
            }
            if std::mem::take(&mut *stumbles.lock()) {
                return answer(400, &[], r#"{"message":"what is this header"}"#);
            }
            let body = json!({"appName": "shop", "functions": [function("shop-a", json!({}))]});
            let done = server.post("/fn/register", &[], body.to_string()).await;
            answer(
                done.status,
                &[("x-inngest-sync-kind", "out_of_band")],
                done.body,
            )
        }
    })
    .await;
    server.apps().sync(&app.url()).await.unwrap();
    assert_eq!(known(&server), ["shop-a"]);
    let puts = app.requests(&Method::PUT);
    let kinds: Vec<_> = puts
        .iter()
        .map(|put| put.header("x-inngest-sync-kind"))
        .collect();
    assert_eq!(kinds, ["in_band", ""]);
}

fn html_page() -> Response {
    (StatusCode::NOT_FOUND, "<html>\u{7}nothing here").into_response()
}

#[tokio::test]
async fn whoever_does_not_answer_as_an_app_is_said_in_a_sentence() {
    let server = server().await;
    let cases: [(Say, &str); 6] = [
        (|_| html_page(), "status 404, but not as an app: `<html>"),
        (
            |_| answer(401, &[], r#"{"message":"Unauthorized"}"#),
            "INNGEST_SIGNING_KEY",
        ),
        (
            |_| {
                answer(
                    500,
                    &[("x-inngest-sync-kind", "out_of_band")],
                    r#"{"message":"`throttle` is not done"}"#,
                )
            },
            "did not sync (status 500): `throttle` is not done",
        ),
        (
            |_| answer(200, &[("x-inngest-sync-kind", "in_band")], "[1, 2"),
            "not a JSON object with a list of `functions`",
        ),
        (
            |_| {
                answer(
                    200,
                    &[
                        ("x-inngest-sync-kind", "in_band"),
                        ("x-inngest-expected-server-kind", "cloud"),
                    ],
                    "{}",
                )
            },
            "takes this server for one of kind `cloud`",
        ),
        (
            |_| answer(307, &[("location", "/login")], ""),
            "redirects to /login",
        ),
    ];
    for (say, part) in cases {
        let app = ScriptedApp::start(move |seen| async move { say(&seen) }).await;
        let error = server.apps().sync(&app.url()).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let own = format!("http://{}/api/inngest", server.address);
    let error = server.apps().sync(&own).await.unwrap_err();
    assert!(error.to_string().contains("this server itself"), "{error}");
    assert!(server.apps().directory().apps().is_empty());
}

#[tokio::test]
async fn in_production_syncs_are_signed_and_their_answers_too() {
    let keys = Keys::production(vec!["e".to_owned()], vec![KEY.to_owned()]).unwrap();
    let client = ClientOptions::default()
        .with_kind(ServerKind::Cloud)
        .with_signing_keys(SigningKey::parse(KEY).unwrap(), None);
    let server = TestServer::with_apps(often().with_kind(ServerKind::Cloud), client, keys).await;
    let app = in_band_app(&functions(&["shop-a"])).await;
    let error = server.apps().sync(&app.url()).await.unwrap_err();
    assert!(matches!(error, SyncError::Call(_)), "{error}");
    assert!(error.to_string().contains("it is not signed"), "{error}");
    let get = app.requests(&Method::GET)[0].clone();
    assert!(get.header("x-inngest-signature").starts_with("t="));
}

#[tokio::test]
async fn apps_are_found_on_this_machine() {
    let server = server().await;
    let functions = functions(&["shop-a"]);
    let app = in_band_app(&functions).await;
    let ports = [1, server.address.port(), app.address.port()];
    let _watch = server
        .apps()
        .discover(Discovery::default().with_ports(ports));
    server
        .until(async |server| known(server) == ["shop-a"])
        .await;
    let handlers = server.apps().handlers();
    let found = format!("http://localhost:{}/api/inngest", app.address.port());
    assert_eq!(handlers.len(), 1);
    assert_eq!(handlers[0].url, found);
}

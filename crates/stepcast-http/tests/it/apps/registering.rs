//! Apps that register themselves.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use serde_json::{Value, json};
use stepcast_http::{
    Keys, ServerKind,
    worker::{AppsOptions, ClientOptions, Served},
};
use stepcast_protocol::{FunctionId, limits};

use crate::{clients::Answer, server::TestServer};

const KEY: &str = "signkey-prod-00112233445566778899aabbccddeeff";

async fn server() -> TestServer {
    TestServer::with_apps(AppsOptions::default(), ClientOptions::default(), Keys::Dev).await
}

async fn production(options: AppsOptions) -> TestServer {
    let options = options.with_kind(ServerKind::Cloud);
    let keys = Keys::production(vec!["e".to_owned()], vec![KEY.to_owned()]).unwrap();
    TestServer::with_apps(options, ClientOptions::default(), keys).await
}

/// A function, with options beside what it needs.
pub(super) fn function(id: &str, options: Value) -> Value {
    let mut function = json!({
        "id": id,
        "name": id,
        "triggers": [{"event": format!("{id}/go")}],
        "steps": {"step": {"id": "step", "name": "step", "runtime": {
            "type": "http",
            "url": format!("http://127.0.0.1:1/api/inngest?fnId={id}&stepId=step"),
        }}},
    });
    for (key, value) in options.as_object().unwrap() {
        function[key] = value.clone();
    }
    function
}

pub(super) fn app(functions: Vec<Value>) -> Value {
    json!({
        "url": "http://127.0.0.1:1/api/inngest",
        "deployType": "ping",
        "framework": "nodejs",
        "appName": "shop",
        "functions": functions,
        "sdk": "js:v4.24.0",
        "v": "0.1",
    })
}

async fn register(server: &TestServer, headers: &[(&str, &str)], body: &Value) -> Answer {
    server.post("/fn/register", headers, body.to_string()).await
}

fn is_known(server: &TestServer, function: &str) -> bool {
    let id = FunctionId::parse(function).unwrap();
    Served::function(server.apps().directory(), &id).is_some()
}

#[tokio::test]
async fn a_registered_function_is_started_by_its_events() {
    let server = server().await;
    let bearer = [("authorization", "Bearer undefined")];
    let body = app(vec![
        function("shop-a", json!({})),
        function("shop-b", json!({})),
    ]);
    let answer = register(&server, &bearer, &body).await;
    assert_eq!(answer.json(), json!({"ok": true, "modified": true}));
    assert!(answer.head.contains("x-inngest-server-kind: dev"));
    let again = register(&server, &bearer, &body).await;
    assert_eq!(again.json(), json!({"ok": true, "modified": false}));
    let sent = server.post("/e/k", &[], r#"{"name":"shop-a/go"}"#).await;
    assert_eq!(sent.json()["runs"][0].as_array().unwrap().len(), 1);

    let fewer = app(vec![function("shop-b", json!({}))]);
    let answer = register(&server, &bearer, &fewer).await;
    assert_eq!(answer.json()["modified"], true);
    assert!(!is_known(&server, "shop-a") && is_known(&server, "shop-b"));
    let sent = server.post("/e/k", &[], r#"{"name":"shop-a/go"}"#).await;
    assert_eq!(sent.json()["runs"], json!([[]]));
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused_with_a_sentence() {
    let server = server().await;
    let many = (0..10_000).map(|n| function(&format!("shop-{n}"), json!({})));
    let here = format!("http://{}/api/inngest?fnId=x", server.address);
    let twice = vec![function("shop-a", json!({})), function("shop-a", json!({}))];
    for (body, status, part) in [
        (
            json!([]),
            400,
            "not a JSON object with a list of `functions`",
        ),
        (json!({"functions": []}), 400, "appName"),
        (app(many.collect()), 400, "10000 functions, at most 1000"),
        (app(twice), 400, "two functions have the id `shop-a`"),
        (app(vec![json!({})]), 400, "function 1 of the app"),
        (
            app(vec![function(
                "shop-a",
                json!({"triggers": [{"event": "x", "expression": "1 +"}]}),
            )]),
            400,
            "`triggers[0].expression` of function `shop-a`",
        ),
        (
            app(vec![function(
                "shop-a",
                json!({"steps": {"step": {"runtime": {"url": here}}}}),
            )]),
            400,
            "which is this server itself",
        ),
        // The program has a function of this id.
        (
            app(vec![function("f", json!({}))]),
            400,
            "two functions have the id `f`",
        ),
    ] {
        let answer = register(&server, &[], &body).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(part), "{}", answer.body);
        assert_eq!(answer.json()["status"], status);
    }
    assert!(server.apps().directory().apps().is_empty());
    let nonsense = server.post("/fn/register", &[], "<html>").await;
    assert_eq!(nonsense.status, 400);
    let large = server
        .post("/fn/register", &[], vec![b' '; (8 << 20) + 1])
        .await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn an_app_that_takes_the_server_for_something_else_is_told_so() {
    let (dev, cloud) = (server().await, production(AppsOptions::default()).await);
    let body = app(vec![function("shop-a", json!({}))]);
    let expects = |kind| {
        [
            ("x-inngest-expected-server-kind", kind),
            ("authorization", KEY),
        ]
    };
    for (server, kind, part) in [
        (&dev, "cloud", "INNGEST_DEV=1"),
        (&cloud, "dev", "INNGEST_SIGNING_KEY"),
    ] {
        let answer = register(server, &expects(kind), &body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains(part), "{}", answer.body);
        let other = if kind == "dev" { "cloud" } else { "dev" };
        assert_eq!(register(server, &expects(other), &body).await.status, 200);
    }
    assert_eq!(register(&cloud, &[], &body).await.status, 401);
}

#[tokio::test]
async fn options_that_are_not_done_are_marked_for_development_and_refused_in_production() {
    let body = app(vec![function(
        "shop-a",
        json!({"throttle": {"limit": 1, "period": "1s"}}),
    )]);
    let dev = server().await;
    assert_eq!(register(&dev, &[], &body).await.status, 200);
    let shown = dev.get("/v1/apps/shop/functions", &[]).await;
    assert_eq!(
        shown.json()["data"]["functions"][0]["ignored"],
        json!(["throttle"])
    );
    let apps = dev.get("/v1/apps", &[]).await.json()["data"].clone();
    assert_eq!(apps["apps"][0]["name"], "shop");
    assert_eq!(apps["apps"][0]["functions"][0]["ignored"][0], "throttle");
    assert_eq!(apps["handlers"], json!([]), "it has registered itself");
    let sent = dev
        .post("/e/k", &[], r#"{"name":"shop-a/go"}"#)
        .await
        .json();
    let (run, event) = (&sent["runs"][0][0], &sent["ids"][0]);
    let (run, event) = (run.as_str().unwrap(), event.as_str().unwrap());
    for path in [
        "/v1/runs".to_owned(),
        format!("/v1/runs/{run}"),
        format!("/v1/events/{event}/runs"),
    ] {
        let shown = dev.get(&path, &[]).await.json()["data"].clone();
        let shown = shown.get(0).cloned().unwrap_or(shown);
        assert_eq!(shown["ignored"], json!(["throttle"]), "{path}");
    }

    let key = [("authorization", KEY)];
    let strict = production(AppsOptions::default()).await;
    let answer = register(&strict, &key, &body).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("--ignore-unsupported throttle"),
        "{}",
        answer.body
    );
    let lenient = AppsOptions::default().with_ignored(["throttle".to_owned()]);
    let lenient = production(lenient).await;
    assert_eq!(register(&lenient, &key, &body).await.status, 200);
}

#[tokio::test]
async fn apps_are_known_after_a_restart_until_they_are_removed() {
    let server = server().await;
    let body = app(vec![function("shop-a", json!({}))]);
    register(&server, &[], &body).await;
    let server = server.restart().await;
    assert!(is_known(&server, "shop-a"));
    assert_eq!(
        register(&server, &[], &body).await.json()["modified"],
        false
    );
    let run = server.post("/e/k", &[], r#"{"name":"shop-a/go"}"#).await;
    assert_eq!(run.json()["runs"][0].as_array().unwrap().len(), 1);
    let path = "/fn/remove?url=http%3A%2F%2F127.0.0.1%3A1%2Fapi%2Finngest";
    for modified in [true, false] {
        let answer = server.request("DELETE", path, &[], "").await;
        assert_eq!(answer.json(), json!({"ok": true, "modified": modified}));
    }
    let server = server.restart().await;
    assert!(!is_known(&server, "shop-a"));
}

#[tokio::test]
async fn an_app_of_another_name_at_the_same_url_replaces_the_one_before() {
    let server = server().await;
    register(&server, &[], &app(vec![function("shop-a", json!({}))])).await;
    let mut renamed = app(vec![function("store-a", json!({}))]);
    renamed["appName"] = json!("store");
    assert_eq!(register(&server, &[], &renamed).await.status, 200);
    assert!(is_known(&server, "store-a") && !is_known(&server, "shop-a"));
    assert_eq!(server.get("/v1/apps/shop/functions", &[]).await.status, 404);
}

#[tokio::test]
async fn there_are_only_so_many_apps() {
    let server = server().await;
    let named = |n: usize| {
        let mut named = app(vec![]);
        named["appName"] = json!(format!("app-{n}"));
        named["url"] = json!(format!("http://127.0.0.1:1/{n}"));
        named
    };
    for n in 0..limits::APPS {
        assert_eq!(register(&server, &[], &named(n)).await.status, 200);
    }
    let answer = register(&server, &[], &named(limits::APPS)).await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert!(
        answer.body.contains("256 apps are registered"),
        "{}",
        answer.body
    );
    let mut changed = named(0);
    changed["functions"] = json!([function("app-0-f", json!({}))]);
    assert_eq!(register(&server, &[], &changed).await.status, 200);
}

#[tokio::test]
async fn a_server_without_apps_says_so() {
    let server = TestServer::start().await;
    for path in ["/dev", "/v1/apps", "/v1/apps/shop/functions"] {
        let answer = server.get(path, &[]).await;
        assert_eq!(answer.status, 404);
        assert!(answer.body.contains("takes no apps"), "{}", answer.body);
    }
    assert_eq!(register(&server, &[], &app(vec![])).await.status, 404);
}

//! What only operators may do: events, tokens, runs.

use serde_json::json;
use stepcast_http::{GatewayOptions, Keys};

use crate::server::TestServer;

#[tokio::test]
async fn events_are_accepted_together_and_a_seed_repeats_their_ids() {
    let server = TestServer::start().await;
    let body = json!([{ "name": "a", "data": { "n": 1 } }, { "name": "b" }]).to_string();
    let seed = [("X-Inngest-Event-Id-Seed", "1795462441203,qPwnWJCz9xtPug==")];
    let first = server
        .post("/e/NO_EVENT_KEY_SET", &seed, body.clone())
        .await;
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(first.json()["status"], 200);
    assert_eq!(first.json()["ids"].as_array().unwrap().len(), 2);
    let second = server.post("/e/NO_EVENT_KEY_SET", &seed, body).await;
    assert_eq!(second.json(), first.json());
    let one = server.post("/e/x", &[], r#"{"name":"a"}"#).await;
    assert_eq!(one.json()["ids"].as_array().unwrap().len(), 1);
    assert_eq!(one.json()["runs"], json!([[]]));
    let go = server.post("/e/x", &[], r#"{"name":"go"}"#).await;
    let run = go.json()["runs"][0][0].clone();
    let runs = server.get("/v1/runs", &[]).await;
    assert_eq!(runs.json()["data"][0]["run_id"], run, "{}", go.body);
    assert_eq!(
        server.post("/e/x", &[], "[]").await.json(),
        json!({ "ids": [], "runs": [], "status": 200 })
    );
}

#[tokio::test]
async fn wrong_events_are_refused_with_the_rest_of_their_request() {
    let server = TestServer::start().await;
    let long = json!({ "name": "x".repeat(257) }).to_string();
    let large = json!({ "name": "a", "data": { "x": "x".repeat(3 << 20) } }).to_string();
    let many = format!("[{}]", vec![r#"{"name":"a"}"#; 5_001].join(","));
    for (body, status, code, part) in [
        ("{", 400, "bad_json", "body must be an event"),
        ("[{\"name\":1}]", 400, "bad_json", "line 1"),
        (
            "[{\"name\":\"a\"},{}]",
            400,
            "bad_event",
            "event 2 of 2: event name is empty",
        ),
        (
            "{\"name\":\"a\",\"data\":[]}",
            400,
            "bad_event",
            "not a JSON object",
        ),
        (&*long, 400, "bad_event", "257 bytes"),
        (&*large, 413, "too_large", "3145728"),
        (&*many, 413, "too_large", "5001 events"),
    ] {
        let answer = server.post("/e/x", &[], body.to_owned()).await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (status, code),
            "{}",
            answer.body
        );
        assert!(answer.body.contains(part), "{}", answer.body);
    }
    let seed = [("X-Inngest-Event-Id-Seed", "nonsense")];
    assert_eq!(
        server.post("/e/x", &seed, r#"{"name":"a"}"#).await.status,
        400
    );
}

#[tokio::test]
async fn token_requests_are_checked() {
    let server = TestServer::start().await;
    let topics = |count: usize| {
        let topics: Vec<_> = (0..count)
            .map(|n| json!({ "channel": "c", "name": format!("t{n}") }))
            .collect();
        json!(topics).to_string()
    };
    for (body, status, part) in [
        (topics(1), 201, "jwt"),
        (topics(64), 201, "jwt"),
        (topics(65), 400, "at most 64"),
        ("[]".to_owned(), 400, "name at least one"),
        ("{".to_owned(), 400, "list of topics"),
        (
            r#"[{"channel":"","name":"t"}]"#.to_owned(),
            400,
            "channel is empty",
        ),
        (
            r#"[{"channel":"c","name":""}]"#.to_owned(),
            400,
            "topic is empty",
        ),
        (
            r#"[{"channel":"a","name":"t"},{"channel":"b","name":"t"}]"#.to_owned(),
            400,
            "`a` and `b`",
        ),
        (r#"{"channel":"c","topics":["t"]}"#.to_owned(), 201, "jwt"),
        (
            r#"{"channel":"c","topics":["t"],"lifetime":3600,"history":false}"#.to_owned(),
            201,
            "jwt",
        ),
        (
            r#"{"channel":"c","topics":["t"],"lifetime":86401}"#.to_owned(),
            400,
            "1 to 86400",
        ),
    ] {
        let answer = server.post("/v1/realtime/token", &[], body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(answer.body.contains(part), "{body}: {}", answer.body);
    }
}

#[tokio::test]
async fn runs_are_read_and_cancelled_by_id() {
    let server = TestServer::start().await;
    let unknown = "/v1/runs/01KASE7J6K0000000000000000";
    for (method, path, status, code) in [
        ("GET", unknown, 404, "unknown_run"),
        ("DELETE", unknown, 404, "unknown_run"),
        ("GET", "/v1/runs/r1", 400, "bad_request"),
        ("DELETE", "/v1/runs/r1", 400, "bad_request"),
        ("GET", "/v1/runs?limit=0", 400, "bad_request"),
        ("GET", "/v1/runs?cursor=r1", 400, "bad_request"),
        ("GET", "/nowhere", 404, "not_found"),
    ] {
        let answer = server.request(method, path, &[], "").await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (status, code),
            "{method} {path}: {}",
            answer.body
        );
        assert!(answer.head.contains("x-inngest-server-kind: dev"));
    }
    let list = server.get("/v1/runs?limit=5", &[]).await.json();
    assert_eq!(list["data"], json!([]));
    assert!(list["metadata"]["fetched_at"].is_string());
    assert_eq!(server.get("/health", &[]).await.status, 200);
}

#[tokio::test]
async fn dev_mode_refuses_foreign_hosts_and_origins() {
    let server = TestServer::start().await;
    let event = r#"{"name":"a"}"#;
    let own = format!("http://{}", server.address);
    for (method, path, body, header, status) in [
        ("POST", "/e/dev", event, ("Origin", own.as_str()), 200),
        (
            "POST",
            "/e/dev",
            event,
            ("Origin", "https://evil.example"),
            403,
        ),
        ("POST", "/e/dev", event, ("Origin", "null"), 403),
        ("POST", "/e/dev", event, ("Host", "evil.example"), 403),
        ("GET", "/v1/runs", "", ("Host", "evil.example"), 403),
        ("GET", "/health", "", ("Host", "evil.example"), 200),
        (
            "POST",
            "/v1/realtime/token",
            "[]",
            ("Origin", "http://127.0.0.1:1"),
            403,
        ),
        (
            "POST",
            "/v1/realtime/publish?channel=c&topic=t",
            "1",
            ("Origin", "https://evil.example"),
            403,
        ),
        (
            "POST",
            "/v1/runs/r1/rerun",
            "",
            ("Origin", "https://evil.example"),
            403,
        ),
        (
            "DELETE",
            "/v1/runs/r1",
            "",
            ("Origin", "https://evil.example"),
            403,
        ),
    ] {
        let answer = server.request(method, path, &[header], body).await;
        assert_eq!(
            answer.status, status,
            "{method} {path} {header:?}: {}",
            answer.body
        );
        if status == 403 {
            assert_eq!(answer.code(), "foreign_origin");
            assert!(answer.body.contains(header.1), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn production_needs_keys() {
    let keys = Keys::Production {
        event_keys: vec!["event-key".to_owned()],
        signing_keys: vec!["signkey-prod-00ff00ff00ff00ff00ff00ff00ff00ff".to_owned()],
    };
    let server = TestServer::with(GatewayOptions::default(), keys).await;
    let event = r#"{"name":"a"}"#;
    assert_eq!(server.post("/e/event-key", &[], event).await.status, 200);
    assert_eq!(server.post("/e/wrong", &[], event).await.status, 401);
    let good = [(
        "Authorization",
        "Bearer signkey-prod-00ff00ff00ff00ff00ff00ff00ff00ff",
    )];
    assert_eq!(server.get("/v1/runs", &good).await.status, 200);
    assert_eq!(server.get("/v1/runs", &[]).await.status, 401);
    assert_eq!(
        server
            .get("/v1/runs", &[("Authorization", "Bearer event-key")])
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn both_routers_fit_into_one_application() {
    let server = TestServer::start().await;
    let gateway = &server.gateway;
    let app: axum::Router = gateway.router().merge(gateway.operator_router(Keys::Dev));
    drop(app);
}

#[tokio::test]
async fn tokens_outlive_the_gateway_and_one_rotation() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let next = stepcast_http::Gateway::new(server.engine.clone(), GatewayOptions::default())
        .await
        .unwrap();
    let now = server.engine.clock().now();
    assert!(next.tokens().verify(&token, now).is_ok());
    next.rotate_token_secret().await.unwrap();
    assert!(next.tokens().verify(&token, now).is_ok());
    let third = stepcast_http::Gateway::new(server.engine.clone(), GatewayOptions::default())
        .await
        .unwrap();
    assert!(third.tokens().verify(&token, now).is_ok());
    third.rotate_token_secret().await.unwrap();
    assert!(third.tokens().verify(&token, now).is_err());
}

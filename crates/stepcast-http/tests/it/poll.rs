//! Long polls.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepcast_protocol::Keep;

use crate::{
    clients::within,
    model::Model,
    server::{TestServer, text},
};

async fn poll(server: &TestServer, token: &str, query: &str) -> Value {
    let path = format!("/v1/realtime/messages?token={token}{query}");
    let answer = server.get(&path, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.head.contains("access-control-allow-origin: *"));
    answer.json()
}

#[tokio::test]
async fn a_client_that_polls_gets_everything_once() {
    let server = TestServer::start().await;
    server.declare(
        "c",
        vec![
            ("tokens", text()),
            ("status", Keep::Latest),
            ("log", Keep::Log),
        ],
    );
    for number in 0..25 {
        server
            .publish(
                "c",
                "tokens",
                json!({ "token": format!("{number} ") }).to_string(),
            )
            .await;
        server.publish("c", "status", number.to_string()).await;
        server.publish("c", "log", number.to_string()).await;
    }
    let token = server.token("c", &["tokens", "status", "log"]).await;
    let mut model = Model::default();
    // What a client knows before its first answer.
    model.on_frame(&json!({
        "kind": "hello", "protocol": 1, "epoch": 1, "keepalive_ms": 1, "channel": "c",
        "topics": ["tokens", "status", "log"], "cursor": "0-0", "session": 1,
    }));
    let (mut from, mut polls) = ("start".to_owned(), 0);
    while model.data("log").len() < 25 {
        let answer = poll(&server, &token, &format!("&from={from}&limit=7&wait=5")).await;
        let frames = answer["frames"].as_array().expect("a list").clone();
        assert!((1..=10).contains(&frames.len()), "{}", frames.len());
        frames.iter().for_each(|frame| model.on_frame(frame));
        from = answer["cursor"].as_str().expect("a cursor").to_owned();
        polls += 1;
    }
    assert!(polls >= 4, "{polls} polls of 7 frames");
    let numbers: Vec<_> = (0..25).map(|number| json!(number)).collect();
    assert_eq!(model.data("log"), numbers);
    assert_eq!(model.data("status"), [json!(24)]);
    assert_eq!(model.text("tokens").split(' ').count(), 26);
}

#[tokio::test]
async fn an_answer_comes_as_soon_as_there_is_something_or_empty_when_the_time_is_over() {
    let server = TestServer::start().await;
    let minted = server.publish("c", "t", "0").await;
    let token = server.token("c", &["t"]).await;
    let empty = poll(&server, &token, "&wait=0").await;
    assert_eq!(empty, json!({ "cursor": minted.to_string(), "frames": [] }));
    let began = Instant::now();
    assert_eq!(poll(&server, &token, "&wait=1").await, empty);
    assert!(began.elapsed() >= Duration::from_secs(1));
    let (answer, last) = tokio::join!(poll(&server, &token, "&wait=20"), async {
        server.publish("c", "other", "1").await;
        server.publish("c", "t", "2").await
    });
    assert_eq!(answer["cursor"], last.to_string());
    assert_eq!(answer["frames"][0]["data"], 2);
    // Numbers of other topics bring it forward too.
    let other = server.publish("c", "other", "3").await;
    let from = format!("&wait=0&from={last}");
    let passed = poll(&server, &token, &from).await;
    assert_eq!(passed, json!({ "cursor": other.to_string(), "frames": [] }));
}

#[tokio::test]
async fn a_gap_is_told_to_a_client_that_polls() {
    let server = TestServer::start().await;
    server.publish("c", "t", "0").await;
    let token = server.token("c", &["t"]).await;
    let answer = poll(&server, &token, "&from=7-1&limit=1").await;
    assert_eq!(answer["frames"][0]["kind"], "gap");
    assert_eq!(answer["frames"][0]["reason"], "unknown_epoch");
    assert_eq!(answer["frames"][1]["data"], 0);
}

#[tokio::test]
async fn what_a_run_has_come_to_does_not_answer_every_poll() {
    let server = TestServer::start().await;
    let run = server.run().await;
    let channel = run.id.to_string();
    let token = server.token(&channel, &["$run"]).await;
    let first = poll(&server, &token, "&wait=5").await;
    assert_eq!(first["frames"][0]["kind"], "snapshot", "{first}");
    let began = Instant::now();
    let from = format!(
        "&wait=1&from={}",
        first["cursor"].as_str().expect("a cursor")
    );
    let second = poll(&server, &token, &from).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{second}");
}

#[tokio::test]
async fn wrong_polls_are_refused() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    for (query, part) in [
        ("&wait=31", "wait is `31`, 0 to 30 are allowed"),
        ("&wait=x", "wait is `x`"),
        ("&limit=0", "limit is `0`, 1 to 1000 are allowed"),
        ("&limit=1001", "limit is `1001`"),
    ] {
        let path = format!("/v1/realtime/messages?token={token}{query}");
        let answer = server.get(&path, &[]).await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (400, "bad_request"),
            "{}",
            answer.body
        );
        assert!(answer.body.contains(part), "{}", answer.body);
    }
    let answer = server.get("/v1/realtime/messages", &[]).await;
    assert_eq!((answer.status, &*answer.code()), (401, "bad_token"));
    let preflight = server
        .request("OPTIONS", "/v1/realtime/messages", &[], "")
        .await;
    assert_eq!(preflight.status, 204);
}

#[tokio::test]
async fn a_poll_ends_with_the_server() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let gateway = server.gateway.clone();
    let (answer, ()) = within(async {
        tokio::join!(poll(&server, &token, "&wait=30"), async {
            gateway.shutdown().await;
        })
    })
    .await;
    assert_eq!(answer["frames"], json!([]));
}

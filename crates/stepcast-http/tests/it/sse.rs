//! Server-sent events.

use serde_json::json;
use stepcast_http::History;
use stepcast_protocol::{ChannelName, Keep, TopicName, limits};

use crate::server::TestServer;

#[tokio::test]
async fn a_stream_starts_at_its_token_and_resumes_at_an_id() {
    let server = TestServer::start().await;
    server.publish("c", "t", "0").await;
    let token = server.token("c", &["t"]).await;
    server.publish("c", "t", "{\n \"one\": 1\r\n}").await;
    let mut events = server.events(&token, &[]).await;
    server.publish("c", "other", "-1").await;
    server.publish("c", "t", "2").await;
    let (first, frame) = events.next().await;
    assert_eq!(frame["data"], json!({ "one": 1 }));
    assert_eq!(frame["id"], json!(first));
    let (second, frame) = events.next().await;
    assert_eq!(frame["data"], json!(2));
    let mut resumed = server.events(&token, &[("Last-Event-ID", &first)]).await;
    assert_eq!(resumed.next().await.0, second);
    for head in [
        "content-type: text/event-stream",
        "cache-control: no-cache",
        "access-control-allow-origin: *",
        "x-inngest-server-kind: dev",
    ] {
        assert!(
            events.1.iter().any(|line| line == head),
            "{head} is missing in {:?}",
            events.1
        );
    }
}

#[tokio::test]
async fn a_cursor_that_cannot_be_is_refused() {
    let server = TestServer::start().await;
    let cursor = server.publish("c", "t", "0").await;
    let token = server.token("c", &["t"]).await;
    let path = format!("/v1/realtime/sse?token={token}");
    let ahead = format!("{}-{}", cursor.epoch.0, cursor.offset.0 + 1);
    for id in ["nonsense", &ahead] {
        let answer = server.get(&path, &[("Last-Event-ID", id)]).await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (400, "bad_cursor"),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn a_token_without_history_reads_nothing_older() {
    let server = TestServer::start().await;
    let first = server.publish("c", "t", "0").await;
    let last = server.publish("c", "t", "1").await;
    let channel = ChannelName::parse("c").unwrap();
    let topics = vec![TopicName::parse("t").unwrap()];
    let mint = |history| {
        let (channel, topics) = (channel.clone(), topics.clone());
        server
            .gateway
            .tokens()
            .mint_read(channel, topics, last, history, limits::TOKEN_LIFETIME)
    };
    let older = first.to_string();
    let path = format!("/v1/realtime/sse?token={}", mint(History::Refused));
    let answer = server.get(&path, &[("Last-Event-ID", &older)]).await;
    assert_eq!(
        (answer.status, &*answer.code()),
        (403, "forbidden"),
        "{}",
        answer.body
    );
    let mut events = server
        .events(&mint(History::Allowed), &[("Last-Event-ID", &older)])
        .await;
    assert_eq!(events.next().await.1["data"], json!(1));
}

#[tokio::test]
async fn a_stream_begins_where_it_is_asked_to_and_names_what_is_no_message() {
    let server = TestServer::start().await;
    server.declare("c", vec![("status", Keep::Latest), ("log", Keep::Log)]);
    for number in 0..3 {
        server.publish("c", "status", number.to_string()).await;
        server.publish("c", "log", number.to_string()).await;
    }
    let token = server.token("c", &["status", "log"]).await;
    let mut events = server.events(&format!("{token}&from=start"), &[]).await;
    let (name, snapshot) = events.next_named().await;
    assert_eq!(
        (name.as_str(), &snapshot["data"][0]["data"]),
        ("snapshot", &json!(2))
    );
    for number in 0..3 {
        let (name, frame) = events.next_named().await;
        assert_eq!((name.as_str(), &frame["data"]), ("", &json!(number)));
    }
    let mut newest = server.events(&format!("{token}&from=last:2"), &[]).await;
    assert_eq!(newest.next().await.1["topic"], "status");
    assert_eq!(newest.next().await.1["data"], json!(2));
    let mut lost = server.events(&token, &[("Last-Event-ID", "7-1")]).await;
    let (name, gap) = lost.next_named().await;
    assert_eq!(
        (name.as_str(), &gap["reason"]),
        ("gap", &json!("unknown_epoch"))
    );
    // What `EventSource` remembers goes before what its address says.
    let from = server.publish("c", "log", "3").await.to_string();
    let mut resumed = server
        .events(&format!("{token}&from=start"), &[("Last-Event-ID", &from)])
        .await;
    server.publish("c", "log", "4").await;
    assert_eq!(resumed.next().await.1["data"], json!(4));
}

#[tokio::test]
async fn a_failed_attempt_is_taken_back_from_a_stream() {
    let server = TestServer::start().await;
    let token = server.token("c", &["log"]).await;
    let mut events = server.events(&token, &[]).await;
    let run = server.run().await;
    let said = server.say(&run, 1, ("c", "log"), "1").await;
    assert_eq!(events.next().await.0, said.to_string());
    TestServer::fail(&run);
    let (name, rollback) = events.next_named().await;
    assert_eq!(
        (name.as_str(), &rollback["attempt"]),
        ("rollback", &json!(1))
    );
    assert_eq!(rollback["run_id"], run.id.to_string());
}

#[tokio::test]
async fn a_browser_may_ask_beforehand() {
    let server = TestServer::start().await;
    let answer = server.request("OPTIONS", "/v1/realtime/sse", &[], "").await;
    assert_eq!(answer.status, 204);
    assert!(
        answer
            .head
            .contains("access-control-allow-headers: authorization, last-event-id")
    );
    assert!(answer.head.contains("access-control-allow-origin: *"));
}

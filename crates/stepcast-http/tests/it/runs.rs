//! What connections are told of runs.

use bytes::Bytes;
use serde_json::{Value, json};
use stepcast_engine::runs::LeasedRun;

use crate::{clients::Socket, server::TestServer};

fn returns(run: &LeasedRun) {
    run.lease.returned(Bytes::from_static(b"1"));
}

/// A connection of npm `inngest` that the server has.
async fn plain(server: &TestServer, channel: &str, topics: &[&str]) -> Socket {
    let token = server.token(channel, topics).await;
    let connections = server.gateway.stats().await.connections;
    let socket = server.connect(&token).await;
    server.connections(connections + 1).await;
    socket
}

fn says(frame: &Value, kind: &str, status: &str) {
    let said = (&frame["kind"], &frame["topic"], &frame["data"]["status"]);
    assert_eq!(said, (&json!(kind), &json!("$run"), &json!(status)));
}

#[tokio::test]
async fn npm_inngest_is_told_with_frames_of_its_kind() {
    let server = TestServer::start().await;
    let run = server.run().await;
    let channel = run.id.to_string();
    let mut asks = plain(&server, &channel, &["$run"]).await;
    let mut reads = plain(&server, &channel, &["t"]).await;
    let token = server.token(&channel, &["$run", "t"]).await;
    let mut native = server.native(&token, "").await;
    assert_eq!(native.next().await["kind"], "hello");
    returns(&run);
    for (socket, result) in [(&mut asks, Some(&json!(1))), (&mut reads, None)] {
        let frame = socket.next().await;
        says(&frame, "run", "completed");
        assert_eq!(frame["run_id"], json!(run.id));
        let shown = frame["data"].get("result");
        assert_eq!(
            shown, result,
            "it is not exposed, so only who asks is shown it"
        );
    }
    loop {
        let frame = native.next().await;
        if frame["kind"] == "data" {
            says(&frame, "data", "completed");
            break;
        }
        assert_eq!(frame["kind"], "snapshot");
    }
    // Each was told once.
    server.publish(&channel, "t", "2").await;
    assert_eq!(reads.data(1).await, [json!(2)]);
    let frame = native.next().await;
    assert_eq!(
        (&frame["kind"], &frame["topic"]),
        (&json!("data"), &json!("t"))
    );
}

#[tokio::test]
async fn a_native_reader_of_a_channel_that_is_named_after_a_run_is_told_its_end() {
    let server = TestServer::start().await;
    let run = server.run().await;
    let channel = format!("job:{}", run.id);
    let token = server.token(&channel, &["t"]).await;
    let (mut own, mut other) = (
        server.native(&token, "").await,
        server.native(&server.token("c", &["t"]).await, "").await,
    );
    for socket in [&mut own, &mut other] {
        assert_eq!(socket.next().await["kind"], "hello");
    }
    server.publish(&channel, "t", "1").await;
    server.publish("c", "t", "1").await;
    returns(&run);
    assert_eq!(own.next().await["data"], json!(1));
    says(&own.next().await, "run", "completed");
    server.publish("c", "t", "2").await;
    assert_eq!(other.next().await["data"], json!(1));
    assert_eq!(other.next().await["data"], json!(2));
}

#[tokio::test]
async fn runs_of_a_channel_are_told_to_those_whose_token_names_them() {
    let server = TestServer::start().await;
    let run = server.run().await;
    let mut asks = plain(&server, "c", &["$run", "t"]).await;
    let mut reads = plain(&server, "c", &["t"]).await;
    server.say(&run, 1, ("c", "t"), "1").await;
    assert_eq!(asks.next().await["data"], json!(1));
    says(&asks.next().await, "run", "running");
    returns(&run);
    says(&asks.next().await, "run", "completed");
    server.publish("c", "t", "2").await;
    assert_eq!(asks.data(1).await, [json!(2)]);
    assert_eq!(reads.data(2).await, [json!(1), json!(2)]);
}

#[tokio::test]
async fn a_run_that_ends_before_its_pages_have_connected_is_told_to_them() {
    let server = TestServer::start().await;
    let run = server.run().await;
    let channel = run.id.to_string();
    let asks = server.token(&channel, &["$run", "t"]).await;
    let reads = server.token(&channel, &["t"]).await;
    server.publish(&channel, "t", "1").await;
    let said = server.visible(&channel).await;
    returns(&run);
    // Native readers were told, those who ask, and all others.
    let is_told =
        async |server: &TestServer| server.visible(&channel).await.offset.0 >= said.offset.0 + 3;
    server.until(is_told).await;
    let late = server.token(&channel, &["$run", "t"]).await;
    for token in [asks, reads] {
        let mut socket = server.connect(&token).await;
        assert_eq!(socket.next().await["data"], json!(1));
        says(&socket.next().await, "run", "completed");
    }
    // The end is older than this token.
    let mut socket = server.connect(&late).await;
    server.publish(&channel, "t", "2").await;
    assert_eq!(socket.next().await["data"], json!(2));
}

#[tokio::test]
async fn a_topic_that_is_added_or_taken_away_counts() {
    let server = TestServer::start().await;
    let run = server.run().await;
    let mut socket = plain(&server, "c", &["t"]).await;
    let token = server.token("c", &["$run"]).await;
    socket.send(json!({ "kind": "sub", "data": token })).await;
    // What it is sent says that the frame before was understood.
    let added = async |socket: &mut Socket, topic: &str| {
        let token = server.token("c", &[topic]).await;
        socket.send(json!({ "kind": "sub", "data": token })).await;
        loop {
            server.publish("c", topic, "0").await;
            let frame = tokio::time::timeout(std::time::Duration::from_millis(50), socket.next());
            if frame.await.is_ok_and(|frame| frame["topic"] == topic) {
                return;
            }
        }
    };
    added(&mut socket, "u").await;
    server.say(&run, 1, ("c", "v"), "1").await;
    let frame = loop {
        let frame = socket.next().await;
        if frame["topic"] != "u" {
            break frame;
        }
    };
    says(&frame, "run", "running");
    let topic = json!([{ "channel": "c", "name": "$run" }]);
    socket.send(json!({ "kind": "unsub", "data": topic })).await;
    added(&mut socket, "w").await;
    let mut asks = plain(&server, "c", &["$run"]).await;
    returns(&run);
    says(&asks.next().await, "run", "completed");
    server.publish("c", "t", "9").await;
    loop {
        let frame = socket.next().await;
        assert_eq!(frame["kind"], "data", "{frame}");
        if frame["topic"] == "t" {
            return;
        }
    }
}

#[tokio::test]
async fn an_end_that_is_older_than_the_token_is_not_told() {
    let server = TestServer::start().await;
    let run = server.run().await;
    let channel = format!("job:{}", run.id);
    let before = server.token(&channel, &["t", "$run"]).await;
    let mut first = plain(&server, &channel, &["t"]).await;
    returns(&run);
    says(&first.next().await, "run", "completed");
    let after = server.token(&channel, &["t", "$run"]).await;
    let (mut older, mut newer) = (server.connect(&before).await, server.connect(&after).await);
    says(&older.next().await, "run", "completed");
    server.publish(&channel, "t", "1").await;
    for socket in [&mut older, &mut newer] {
        let frame = socket.next().await;
        assert_eq!(
            (&frame["kind"], &frame["data"]),
            (&json!("data"), &json!(1))
        );
    }
}

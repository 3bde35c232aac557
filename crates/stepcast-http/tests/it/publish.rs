//! Publishing over HTTP.

use std::time::Duration;

use serde_json::json;
use stepcast_http::{GatewayOptions, Keys};
use stepcast_protocol::{ChannelSpec, Keep, TopicName, TopicSpec, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{clients::within, server::TestServer};

const PATH: &str = "/v1/realtime/publish?channel=c&topic=t";

#[tokio::test]
async fn json_is_kept_and_everything_else_becomes_a_string() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t", "u"]).await;
    let mut socket = server.connect(&token).await;
    for body in [r#"{"n":1.50}"#, "plain", ""] {
        let answer = server
            .post(PATH, &[("Authorization", "Bearer")], body)
            .await;
        assert_eq!((answer.status, &*answer.body), (200, ""), "{body}");
    }
    assert_eq!(
        socket.data(3).await,
        [json!({ "n": 1.50 }), json!("plain"), json!("")]
    );
    let run = "01KASE7J6K0000000000000000";
    server
        .post(&format!("{PATH}&topic=u&run_id={run}"), &[], "1")
        .await;
    for topic in ["t", "u"] {
        let frame = socket.next().await;
        assert_eq!(
            (&frame["topic"], &frame["run_id"]),
            (&json!(topic), &json!(run))
        );
    }
    server
        .post(&format!("{PATH}&run_id=nonsense"), &[], "2")
        .await;
    assert_eq!(socket.next().await.get("run_id"), None);
}

#[tokio::test]
async fn a_native_publisher_is_told_where_its_message_is() {
    let server = TestServer::start().await;
    let path = format!("{PATH}&topic=u&v=1&durable=true");
    let key = [("idempotency-key", "schlüssel")];
    let first = server.post(&path, &key, "1").await;
    assert_eq!(first.status, 200, "{}", first.body);
    let last = server.visible("c").await;
    assert_eq!(first.json()["ids"][1], json!(last.to_string()));
    // A key stands for one message, also one of letters that are not ASCII.
    let again = server.post(&path, &key, "1").await;
    assert_eq!(again.json(), first.json());
    let wrong = server.post(&format!("{PATH}&durable=1"), &[], "1").await;
    assert_eq!((wrong.status, &*wrong.code()), (400, "bad_request"));
}

#[tokio::test]
async fn each_refusal_has_its_status() {
    let server = TestServer::start().await;
    let schema = json!({ "type": "object", "properties": { "age": { "type": "integer" } } });
    let spec = ChannelSpec {
        template: "person:{id}".parse().unwrap(),
        topics: vec![TopicSpec {
            name: TopicName::parse("t").unwrap(),
            keep: Keep::Log,
            retention: stepcast_protocol::Retention::default(),
            schema: Some(schema),
            doc: String::new(),
        }],
        rust_type: String::new(),
        doc: String::new(),
    };
    server.engine.catalog().declare(&spec).unwrap();
    let long = "x".repeat(257);
    let path = |query: &str| format!("/v1/realtime/publish?{query}");
    let large = "x".repeat(limits::MESSAGE_BYTES + 1);
    for (query, body, status, code, part) in [
        ("topic=t", "1", 400, "bad_channel", "channel is empty"),
        (
            "channel=&topic=t",
            "1",
            400,
            "bad_channel",
            "channel is empty",
        ),
        (
            &format!("channel={long}&topic=t"),
            "1",
            400,
            "bad_channel",
            "at most 256",
        ),
        ("channel=c", "1", 400, "bad_topic", "topic is empty"),
        (
            "channel=c&topic=t&topic=",
            "1",
            400,
            "bad_topic",
            "topic is empty",
        ),
        (
            "channel=c&topic=$run",
            "1",
            400,
            "bad_topic",
            "starts with `$`",
        ),
        ("channel=c&topic=t", &large, 413, "too_large", "524288"),
        (
            "channel=person:1&topic=t",
            r#"{"age":"x"}"#,
            422,
            "schema_violation",
            "/age",
        ),
        (
            "channel=person:1&topic=u",
            "1",
            400,
            "bad_topic",
            "declares no topic `u`",
        ),
    ] {
        let answer = server.post(&path(query), &[], body.to_owned()).await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (status, code),
            "{query}: {}",
            answer.body
        );
        assert!(answer.body.contains(part), "{query}: {}", answer.body);
    }
    let answer = server
        .post(&path("channel=person:1&topic=t"), &[], r#"{"age":"x"}"#)
        .await;
    assert_eq!(answer.json()["data"]["pointer"], "/age");
}

#[tokio::test]
async fn a_publish_token_or_a_key_is_needed() {
    let keys = Keys::Production {
        event_keys: vec!["event-key".to_owned()],
        signing_keys: vec!["signkey-prod-00ff00ff00ff00ff00ff00ff00ff00ff".to_owned()],
    };
    let server = TestServer::with(GatewayOptions::default(), keys).await;
    let tokens = server.gateway.tokens().clone();
    let publish = tokens.mint_publish(Duration::from_secs(60));
    let read = tokens.mint_read(
        stepcast_protocol::ChannelName::parse("c").unwrap(),
        vec![],
        stepcast_protocol::Cursor::START,
        stepcast_http::History::Allowed,
        Duration::from_secs(60),
    );
    for (credential, status, code) in [
        ("", 401, "bad_token"),
        ("event-key", 401, "bad_token"),
        ("00ff00ff00ff00ff00ff00ff00ff00ff", 200, ""),
        (&publish, 200, ""),
        (&read, 403, "forbidden"),
        ("a.b.c", 401, "bad_token"),
    ] {
        let header = format!("Bearer {credential}");
        let answer = server.post(PATH, &[("Authorization", &header)], "1").await;
        assert_eq!(answer.status, status, "{credential}: {}", answer.body);
        if status != 200 {
            assert_eq!(answer.code(), code, "{credential}");
        }
    }
}

#[tokio::test]
async fn a_stream_of_text_becomes_messages_of_whole_characters() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let mut socket = server.connect(&token).await;
    let text = "aé漢🦀".repeat(5_000);
    let head = [("Content-Type", "text/stream; charset=utf-8")];
    let mut stream = server.send_head("POST", PATH, &head, None).await;
    for chunk in text.as_bytes().chunks(777) {
        let size = format!("{:x}\r\n", chunk.len());
        stream
            .write_all(&[size.as_bytes(), chunk, b"\r\n"].concat())
            .await
            .unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut received = String::new();
    while received.len() < text.len() {
        let frame = socket.next().await;
        assert_eq!(frame["kind"], "data");
        received.push_str(frame["data"].as_str().unwrap());
    }
    assert_eq!(received, text);
}

#[tokio::test]
async fn a_key_publishes_once() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let mut socket = server.connect(&token).await;
    for _ in 0..2 {
        server.post(PATH, &[("Idempotency-Key", "k1")], "1").await;
    }
    server.post(PATH, &[], "2").await;
    assert_eq!(socket.data(2).await, [json!(1), json!(2)]);
}

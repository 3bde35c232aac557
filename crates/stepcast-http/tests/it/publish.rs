//! Publishing over HTTP.

use std::time::Duration;

use serde_json::json;
use stepcast_http::{GatewayOptions, Keys};
use stepcast_protocol::{ChannelSpec, Cursor, Keep, TopicName, TopicSpec, limits};

use crate::server::{TestServer, grant};

const PATH: &str = "/v1/realtime/publish?channel=c&topic=t";
const TEE: &str = "/v1/realtime/publish/tee?channel=c";

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
    let schema = json!({ "type": "object", "properties": {
        "age": { "type": "integer" },
        "ids": { "type": "array", "items": { "anyOf": [
            { "type": "integer", "format": "uint64", "minimum": 0 },
            { "type": "null" },
        ] } },
    } });
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
    // Pages read numbers as floats.
    let ids = r#"{"ids":[9007199254740991,9007199254740992]}"#;
    let answer = server
        .post(&path("channel=person:1&topic=t"), &[], ids)
        .await;
    assert_eq!((answer.status, &*answer.code()), (422, "schema_violation"));
    assert_eq!(answer.json()["data"]["pointer"], "/ids/1");
    assert!(
        answer.body.contains("publish it as a string"),
        "{}",
        answer.body
    );
    let undeclared = server.post(PATH, &[], "9007199254740993").await;
    assert_eq!(undeclared.status, 200, "{}", undeclared.body);
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
        for path in [PATH, TEE] {
            let answer = server.post(path, &[("Authorization", &header)], "1").await;
            assert_eq!(answer.status, status, "{credential}: {}", answer.body);
            if status != 200 {
                assert_eq!(answer.code(), code, "{credential}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_published_with_a_token_is_no_runs() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let mut socket = server.connect(&token).await;
    let run = stepcast_protocol::RunId::from_parts(1, 1).to_string();
    let path = format!("{PATH}&run_id={run}&step_id=s&attempt=1");
    let publish = server
        .gateway
        .tokens()
        .mint_publish(Duration::from_secs(60));
    let bearer = format!("Bearer {publish}");
    for (headers, of) in [
        (vec![], Some(&*run)),
        (vec![("Authorization", &*bearer)], None),
    ] {
        let answer = server.post(&path, &headers, "1").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(socket.next().await["run_id"].as_str(), of);
    }
}

#[tokio::test]
async fn a_stream_of_text_becomes_messages_of_whole_characters() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let mut socket = server.connect(&token).await;
    let text = "aé漢🦀".repeat(5_000);
    let head = [("Content-Type", "text/stream; charset=utf-8")];
    let answer = server
        .post_pieces((PATH, &head), text.as_bytes(), 777)
        .await;
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
async fn what_is_passed_on_comes_in_order_and_in_whole_characters() {
    let server = TestServer::start().await;
    let mut plain = server.connect(&server.token("c", &["$stream"]).await).await;
    let grant = grant("c", &["$stream", "t"], Cursor::START);
    let mut native = server.native(&server.grant(grant), "").await;
    let mut other = server.connect(&server.token("c", &["t"]).await).await;
    assert_eq!(native.next().await["kind"], "hello");
    let text = "event: inngest.stream\ndata: aé漢🦀\n\n".repeat(2_000);
    let answer = server.post_pieces((TEE, &[]), text.as_bytes(), 777).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for socket in [&mut plain, &mut native] {
        let mut received = String::new();
        while received.len() < text.len() {
            let frame = socket.next().await;
            assert_eq!(
                (&frame["kind"], &frame["topic"]),
                (&json!("data"), &json!("$stream"))
            );
            received.push_str(frame["data"].as_str().unwrap());
        }
        assert_eq!(received, text);
    }
    // Who does not read the topic gets nothing of it.
    server.post(PATH, &[], "1").await;
    assert_eq!(other.next().await["data"], json!(1));
    // It is kept, so that who comes late loses nothing.
    server.post(TEE, &[], vec![b'"', 0xff]).await;
    let shown = plain.next().await;
    assert_eq!(shown["data"], "\"\u{fffd}");
    server
        .until(async |server| server.kept_of("c", "$stream").await > 1)
        .await;
}

#[tokio::test]
async fn what_is_passed_on_has_a_limit_and_a_channel() {
    let server = TestServer::start().await;
    let missing = server.post("/v1/realtime/publish/tee", &[], "x").await;
    assert_eq!(
        (missing.status, &*missing.body),
        (400, "channel is empty; give it 1 to 256 bytes")
    );
    let large = "x".repeat(limits::TEE_BYTES + 1);
    let refused = server.post(TEE, &[], large.clone()).await;
    assert_eq!((refused.status, &*refused.code()), (413, "too_large"));
    assert!(refused.body.contains("1024000"), "{}", refused.body);
    assert_eq!(server.visible("c").await.offset.0, 0);
    let exact = server.post(TEE, &[], large[1..].to_owned()).await;
    assert_eq!(exact.status, 200, "{}", exact.body);
    // What has no announced length is passed on until it is too long.
    let answer = server
        .post_pieces((TEE, &[]), large.as_bytes(), 64 * 1024)
        .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("bytes that were published"), "{answer}");
    let named = server
        .post("/v1/realtime/publish?channel=c&topic=$stream", &[], "1")
        .await;
    assert_eq!((named.status, &*named.code()), (400, "bad_topic"));
}

#[tokio::test]
async fn several_topics_are_one_commit() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t", "u"]).await;
    let mut socket = server.connect(&token).await;
    let batches = || server.engine.stats().store.batches;
    let before = batches();
    let path = format!("{PATH}&topic=u&topic=t&v=1");
    let answer = server.post(&path, &[], "1").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(batches() - before, 1);
    for topic in ["t", "u"] {
        let frame = socket.next().await;
        assert_eq!(
            (&frame["topic"], &frame["data"]),
            (&json!(topic), &json!(1))
        );
    }
    assert_eq!(answer.json()["ids"].as_array().unwrap().len(), 2);
    assert_eq!(server.kept("c").await, [1, 1]);
    assert_eq!(server.visible("c").await.offset.0, 2);
}

#[tokio::test]
async fn nothing_is_published_when_one_of_the_topics_is_refused() {
    let server = TestServer::start().await;
    server.declare("d", vec![("t", Keep::Log), ("u", Keep::Latest)]);
    let path = "/v1/realtime/publish?channel=d&topic=t&topic=u";
    let refused = server.post(&format!("{path}&topic=w"), &[], "1").await;
    assert_eq!((refused.status, &*refused.code()), (400, "bad_topic"));
    assert_eq!(server.kept("d").await, [0, 0]);
    server.post(path, &[], "2").await;
    assert_eq!(server.kept("d").await, [1, 1]);
}

#[tokio::test]
async fn a_key_stands_for_a_message_on_each_topic() {
    let server = TestServer::start().await;
    let key = [("Idempotency-Key", "k")];
    let ids = async |topics: &str| {
        let path = format!("/v1/realtime/publish?channel=c&v=1&{topics}");
        server.post(&path, &key, "1").await.json()["ids"].clone()
    };
    let first = ids("topic=u").await;
    let all = ids("topic=t&topic=u&topic=w").await;
    assert_eq!(all[1], first[0]);
    assert_eq!(
        ids("topic=w&topic=u&topic=t").await,
        json!([all[2], all[1], all[0]])
    );
    assert_eq!(server.kept("c").await, [1, 1, 1]);
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

const LINES: (&str, &str) = ("content-type", "application/x-ndjson; charset=utf-8");

#[tokio::test]
async fn each_line_is_a_message_and_says_where_it_is() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t", "u"]).await;
    let mut socket = server.connect(&token).await;
    let body = "{\"n\":1.50}\n\n\"two\"\r\n3";
    let answer = server.post(&format!("{PATH}&v=1"), &[LINES], body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut frames = Vec::new();
    for _ in 0..3 {
        frames.push(socket.next().await);
    }
    let of = |key: &str| {
        frames
            .iter()
            .map(|frame| frame[key].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("data"), [json!({ "n": 1.50 }), json!("two"), json!(3)]);
    assert_eq!(answer.json()["ids"], json!(of("id")));

    // For several topics: all of a line, then those of the next.
    let path = format!("{PATH}&topic=u&v=1");
    let answer = server.post(&path, &[LINES], "4\n5").await;
    assert_eq!(answer.json()["ids"].as_array().unwrap().len(), 4);
    let mut told = Vec::new();
    for _ in 0..4 {
        let frame = socket.next().await;
        told.push((frame["topic"].clone(), frame["data"].clone()));
    }
    let expected = [("t", 4), ("u", 4), ("t", 5), ("u", 5)];
    assert_eq!(
        told,
        expected.map(|(topic, data)| (json!(topic), json!(data)))
    );
}

#[tokio::test]
async fn lines_with_a_key_are_published_once() {
    let server = TestServer::start().await;
    let key = ("idempotency-key", "k");
    let path = format!("{PATH}&v=1");
    let first = server.post(&path, &[LINES, key], "1\n2").await;
    let again = server.post(&path, &[LINES, key], "1\n2\n3").await;
    let ids = |answer: &crate::clients::Answer| {
        let ids = answer.json()["ids"].clone();
        ids.as_array().unwrap().clone()
    };
    assert_eq!(ids(&again)[..2], ids(&first)[..]);
    assert_eq!(ids(&again).len(), 3);
    let last = server.visible("c").await;
    assert_eq!(ids(&again)[2], json!(last.to_string()));
}

#[tokio::test]
async fn one_line_that_may_not_be_published_refuses_all() {
    let server = TestServer::start().await;
    let large = format!("1\n\"{}\"", "x".repeat(limits::MESSAGE_BYTES));
    for (path, body, status, part) in [
        (PATH, "1\n\n{cut\n4", 400, "line 3: "),
        (PATH, &*large, 413, "line 2: "),
        (PATH, " \n", 400, "no lines"),
    ] {
        let answer = server.post(path, &[LINES], body.to_owned()).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(part), "{}", answer.body);
    }
    let many = "1\n".repeat(limits::LINES + 1);
    assert_eq!(server.post(PATH, &[LINES], many).await.status, 413);
    let half = "1\n".repeat(limits::LINES / 2 + 1);
    let path = format!("{PATH}&topic=u");
    let refused = server.post(&path, &[LINES], half).await;
    assert_eq!(refused.status, 413, "{}", refused.body);
    let topics: String = (0..limits::TOPICS_PER_PUBLISH)
        .map(|n| format!("&topic=t{n}"))
        .collect();
    let refused = server.post(&format!("{PATH}{topics}"), &[], "1").await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_eq!(
        server.visible("c").await.offset.0,
        0,
        "nothing was published"
    );
}

#[tokio::test]
async fn a_text_is_bounded_however_it_is_published() {
    let server = TestServer::start().await;
    let field = "token".to_owned();
    let spec = ChannelSpec {
        template: "c".parse().unwrap(),
        topics: vec![TopicSpec {
            name: TopicName::parse("t").unwrap(),
            keep: Keep::Text { field },
            retention: stepcast_protocol::Retention::default(),
            schema: None,
            doc: String::new(),
        }],
        rust_type: String::new(),
        doc: String::new(),
    };
    server.engine.catalog().declare(&spec).unwrap();
    let token = json!({ "token": "x".repeat(400 * 1024) }).to_string();
    let path = format!("{PATH}&durable=true");
    let three = format!("{token}\n{token}\n{token}");
    let refused = server.post(&path, &[LINES], three).await;
    assert_eq!((refused.status, &*refused.code()), (413, "too_large"));
    assert_eq!(server.visible("c").await.offset.0, 0);
    let two = format!("{token}\n{token}");
    assert_eq!(server.post(&path, &[LINES], two).await.status, 200);
    assert_eq!(server.post(&path, &[], token).await.status, 413);
}

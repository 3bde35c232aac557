//! Native connections: what is said, and in which order.

use std::time::Duration;

use serde_json::{Value, json};
use stepcast_http::{GatewayOptions, Keys};
use stepcast_protocol::{ChannelGrant, Cursor, Keep};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    clients::{Socket, within},
    server::{TestServer, grant, text},
};

/// Kinds of the next frames, with their topic or what they carry.
async fn kinds(socket: &mut Socket, count: usize) -> Vec<String> {
    let mut kinds = Vec::new();
    for _ in 0..count {
        let frame = socket.next().await;
        kinds.push(format!("{} {}", frame["kind"], frame["data"]).replace('"', ""));
    }
    kinds
}

#[tokio::test]
async fn hello_says_what_is_read_and_from_where() {
    let server = TestServer::start().await;
    let minted = server.publish("c", "t", "0").await;
    let token = server.token("c", &["t", "a"]).await;
    let mut socket = server.native(&token, "").await;
    let hello = socket.next().await;
    assert_eq!(
        hello,
        json!({
            "kind": "hello", "protocol": 1, "epoch": minted.epoch.0, "keepalive_ms": 15_000,
            "channel": "c", "topics": ["a", "t"], "cursor": minted.to_string(), "session": 3600,
        })
    );
    server.publish("c", "t", "1").await;
    assert_eq!(socket.data(1).await, [json!(1)]);
}

#[tokio::test]
async fn each_spelling_of_from_begins_where_it_says() {
    let server = TestServer::start().await;
    let mut cursors = Vec::new();
    for number in 0..5 {
        cursors.push(server.publish("c", "t", number.to_string()).await);
    }
    let token = server.token("c", &["t"]).await;
    for (from, first) in [
        ("&from=start".to_owned(), 0),
        (format!("&from={}", cursors[1]), 2),
        ("&from=last:2".to_owned(), 3),
        ("&from=last:1000".to_owned(), 0),
        ("&from=now".to_owned(), 5),
        (String::new(), 5),
    ] {
        let mut socket = server.native(&token, &from).await;
        assert_eq!(socket.next().await["kind"], "hello");
        for number in first..5 {
            assert_eq!(socket.next().await["data"], json!(number), "{from}");
        }
        // Nothing else comes before the answer to a ping.
        socket.send(json!({ "kind": "ping", "data": from })).await;
        assert_eq!(socket.next().await["data"], json!(from));
    }
}

#[tokio::test]
async fn a_beginning_that_cannot_be_is_refused_before_the_connection_opens() {
    let server = TestServer::start().await;
    let first = server.publish("c", "t", "0").await;
    let last = server.publish("c", "t", "1").await;
    let ahead = format!("{}-{}", last.epoch.0, last.offset.0 + 1);
    let token = server.token("c", &["t"]).await;
    let without_history = server.grant(ChannelGrant {
        history: false,
        ..grant("c", &["t"], last)
    });
    for (token, from, status, code, part) in [
        (&token, "nonsense", 400, "bad_cursor", "`last:<n>`"),
        (&token, "last:x", 400, "bad_cursor", "`last:<n>`"),
        (&token, "last:0", 400, "bad_request", "`now`"),
        (&token, "last:1001", 400, "bad_request", "1 and 1000"),
        (&token, &*ahead, 400, "bad_cursor", "ahead of channel `c`"),
        (
            &without_history,
            "start",
            403,
            "forbidden",
            "`start` begins earlier",
        ),
        (
            &without_history,
            "last:2",
            403,
            "forbidden",
            "begins earlier",
        ),
        (
            &without_history,
            &*first.to_string(),
            403,
            "forbidden",
            "begins earlier",
        ),
    ] {
        for route in ["connect", "sse", "messages"] {
            let path = format!("/v1/realtime/{route}?token={token}&from={from}&v=1");
            let upgrade = [
                ("Connection", "upgrade"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ];
            let headers = if route == "connect" {
                &upgrade[..]
            } else {
                &[]
            };
            let answer = server.get(&path, headers).await;
            let seen = (answer.status, answer.code());
            assert_eq!(
                seen,
                (status, code.to_owned()),
                "{route} {from}: {}",
                answer.body
            );
            assert!(
                answer.body.contains(part),
                "{route} {from}: {}",
                answer.body
            );
        }
    }
    // What is no earlier than the token is allowed.
    for from in ["now", &*last.to_string()] {
        let from = format!("&from={from}");
        let mut socket = server.native(&without_history, &from).await;
        assert_eq!(socket.next().await["cursor"], last.to_string());
    }
}

#[tokio::test]
async fn a_cursor_of_an_unknown_life_is_a_gap_and_no_error() {
    let server = TestServer::start().await;
    server.publish("c", "t", "0").await;
    let token = server.token("c", &["t"]).await;
    let mut socket = server.native(&token, "&from=7-9").await;
    assert_eq!(socket.next().await["cursor"], "7-9");
    assert_eq!(
        socket.next().await,
        json!({ "kind": "gap", "channel": "c", "topic": "t", "keep_to": "0-0", "reason": "unknown_epoch" })
    );
    assert_eq!(socket.data(1).await, [json!(0)], "what is kept comes again");
}

#[tokio::test]
async fn a_late_reader_gets_snapshots_and_the_kept_messages_then_what_comes() {
    let server = TestServer::start().await;
    server.declare(
        "c",
        vec![
            ("tokens", text()),
            ("status", Keep::Latest),
            ("log", Keep::Log),
        ],
    );
    let token = server.token("c", &["tokens", "status", "log"]).await;
    for (topic, payload) in [
        ("tokens", r#"{"token":"Hel"}"#),
        ("status", r#""first""#),
        ("log", "1"),
        ("tokens", r#"{"token":"lo"}"#),
        ("status", r#""second""#),
        ("log", "2"),
    ] {
        server.publish("c", topic, payload).await;
    }
    let mut late = server.native(&token, "&from=start").await;
    assert_eq!(late.next().await["cursor"], "0-0");
    let status = late.next().await;
    assert_eq!(
        (&status["kind"], &status["topic"]),
        (&json!("snapshot"), &json!("status"))
    );
    assert_eq!(status["data"].as_array().unwrap().len(), 1);
    assert_eq!(status["data"][0]["data"], "second");
    let tokens = late.next().await;
    assert_eq!(tokens["data"][0]["data"], json!({ "token": "Hello" }));
    assert_eq!(late.data(2).await, [json!(1), json!(2)]);
    server.publish("c", "tokens", r#"{"token":"!"}"#).await;
    assert_eq!(late.data(1).await, [json!({ "token": "!" })]);
    // A reader in the plain dialect gets what is kept, from its token on.
    let mut plain = server.connect(&format!("{token}&from=start")).await;
    assert_eq!(
        kinds(&mut plain, 3).await[..2],
        ["data {token:Hel}", "data first"]
    );
}

#[tokio::test]
async fn channels_are_added_and_left_on_one_connection() {
    let server = TestServer::start().await;
    let token = server.token("c", &["a"]).await;
    for number in 0..3 {
        server.publish("d", "x", number.to_string()).await;
        server.publish("d", "y", (number + 10).to_string()).await;
    }
    let more = server.token("d", &["x", "y"]).await;
    let mut socket = server.native(&token, "").await;
    socket.next().await;
    socket
        .send(json!({ "kind": "sub", "ref": "one", "token": more, "from": "last:2", "topics": ["x"] }))
        .await;
    let subscribed = socket.next().await;
    let cursor = subscribed["cursor"].as_str().unwrap().to_owned();
    assert_eq!(
        subscribed,
        json!({ "kind": "subscribed", "ref": "one", "channel": "d", "topics": ["x"], "cursor": cursor, "session": 3600 })
    );
    assert_eq!(socket.data(2).await, [json!(1), json!(2)]);
    // More topics of the same channel: those that are read keep their place.
    socket
        .send(json!({ "kind": "sub", "ref": 2, "token": more, "from": "start" }))
        .await;
    let subscribed = socket.next().await;
    assert_eq!(
        (&subscribed["ref"], &subscribed["topics"]),
        (&json!(2), &json!(["y"]))
    );
    assert_eq!(subscribed["cursor"], "0-0");
    assert_eq!(socket.data(3).await, [json!(10), json!(11), json!(12)]);
    server.publish("d", "x", "3").await;
    server.publish("d", "y", "13").await;
    server.publish("c", "a", "100").await;
    let mut data = socket.data(3).await;
    data.sort_by_key(|number| number.as_u64());
    assert_eq!(data, [json!(3), json!(13), json!(100)]);
    socket
        .send(json!({ "kind": "unsub", "ref": 3, "channel": "d", "topics": ["x"] }))
        .await;
    assert_eq!(
        socket.next().await,
        json!({ "kind": "unsubscribed", "ref": 3, "channel": "d", "topics": ["y"] })
    );
    for (channel, left) in [("d", json!([])), ("d", json!([])), ("nobody", json!([]))] {
        socket
            .send(json!({ "kind": "unsub", "channel": channel }))
            .await;
        let answer = socket.next().await;
        assert_eq!(
            (&answer["kind"], &answer["topics"]),
            (&json!("unsubscribed"), &left)
        );
    }
    server.publish("d", "y", "14").await;
    server.publish("c", "a", "101").await;
    assert_eq!(socket.data(1).await, [json!(101)]);
    // It can be read again, from where the client was.
    let from = json!({ "kind": "sub", "token": more, "from": "last:1", "topics": ["y"] });
    socket.send(from).await;
    assert_eq!(socket.next().await["kind"], "subscribed");
    assert_eq!(socket.data(1).await, [json!(14)]);
}

#[tokio::test]
async fn what_cannot_be_served_is_answered_and_the_connection_goes_on() {
    let server = TestServer::start().await;
    let cursor = server.publish("c", "t", "0").await;
    let token = server.token("c", &["t"]).await;
    let other = server.token("d", &["t", "u"]).await;
    let fewer = server.token("c", &["u"]).await;
    let refused = server.grant(ChannelGrant {
        history: false,
        ..grant("d", &["t"], cursor)
    });
    let publish = server
        .gateway
        .tokens()
        .mint_publish(Duration::from_secs(60));
    server.publish("d", "t", "0").await;
    let mut socket = server.native(&token, "").await;
    socket.next().await;
    for (frame, code, part) in [
        (json!("text"), "bad_request", "clients send `sub`"),
        (
            json!({ "kind": "nonsense" }),
            "bad_request",
            "kind `nonsense`",
        ),
        (
            json!({ "kind": "sub", "data": token }),
            "bad_request",
            "token",
        ),
        (
            json!({ "kind": "sub", "token": "nonsense" }),
            "bad_token",
            "malformed",
        ),
        (
            json!({ "kind": "sub", "token": publish }),
            "forbidden",
            "does not allow to read",
        ),
        (
            json!({ "kind": "sub", "token": other, "from": "nonsense" }),
            "bad_cursor",
            "`last:<n>`",
        ),
        (
            json!({ "kind": "sub", "token": other, "from": 7 }),
            "bad_cursor",
            "`7`",
        ),
        (
            json!({ "kind": "sub", "token": other, "from": "last:0" }),
            "bad_request",
            "`now`",
        ),
        (
            json!({ "kind": "sub", "token": other, "from": "last:1001" }),
            "bad_request",
            "`now`",
        ),
        (
            json!({ "kind": "sub", "token": other, "from": format!("{}-99", cursor.epoch.0) }),
            "bad_cursor",
            "ahead of channel `d`",
        ),
        (
            json!({ "kind": "sub", "token": other, "topics": ["v"] }),
            "forbidden",
            "`t`, `u`",
        ),
        (
            json!({ "kind": "sub", "token": other, "topics": [] }),
            "bad_topic",
            "at least one",
        ),
        (
            json!({ "kind": "sub", "token": other, "topics": [""] }),
            "bad_request",
            "empty",
        ),
        (
            json!({ "kind": "sub", "token": refused, "from": "start" }),
            "forbidden",
            "begins earlier",
        ),
        (json!({ "kind": "unsub" }), "bad_request", "channel"),
        (
            json!({ "kind": "auth", "token": other }),
            "forbidden",
            "channel `d`",
        ),
        (
            json!({ "kind": "auth", "token": fewer }),
            "forbidden",
            "topic `t`",
        ),
        (
            json!({ "kind": "ping", "data": "x".repeat(300) }),
            "too_large",
            "256",
        ),
    ] {
        let mut with_ref = frame.clone();
        if let Some(fields) = with_ref.as_object_mut() {
            fields.insert("ref".to_owned(), json!("r"));
        }
        socket.send(with_ref.clone()).await;
        let answer = socket.next().await;
        assert_eq!(
            (&answer["kind"], &answer["code"]),
            (&json!("error"), &json!(code)),
            "{frame}: {answer}"
        );
        assert!(
            answer["error"].as_str().unwrap().contains(part),
            "{frame}: {answer}"
        );
        assert_eq!(
            answer["ref"],
            with_ref.get("ref").cloned().unwrap_or(Value::Null)
        );
    }
    for wrong in ["{", "[1]"] {
        use futures_util::SinkExt;
        socket.0.send(Message::text(wrong)).await.unwrap();
        assert_eq!(socket.next().await["kind"], "error");
    }
    socket
        .send(json!({ "kind": "ping", "ref": { "a": 1 } }))
        .await;
    let answer = socket.next().await;
    assert!(
        answer["error"].as_str().unwrap().contains("ref is neither"),
        "{answer}"
    );
    use futures_util::SinkExt;
    socket.0.send(Message::binary(vec![1])).await.unwrap();
    assert!(
        socket.next().await["error"]
            .as_str()
            .unwrap()
            .contains("binary")
    );
    server.publish("c", "t", "1").await;
    assert_eq!(socket.data(1).await, [json!(1)]);
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_the_connection() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let mut socket = server.native(&token, "").await;
    socket.next().await;
    socket
        .send(json!({ "kind": "ping", "data": "x".repeat(33_000) }))
        .await;
    assert_eq!(u16::from(socket.close_frame().await.unwrap().code), 1009);
}

#[tokio::test]
async fn a_connection_reads_only_so_many_channels() {
    let server = TestServer::start().await;
    let token = server.token("c0", &["t"]).await;
    let mut socket = server.native(&token, "").await;
    socket.next().await;
    for number in 1..=256 {
        let token = server.grant(grant(&format!("c{number}"), &["t"], Cursor::START));
        socket
            .send(json!({ "kind": "sub", "ref": number, "token": token, "from": "now" }))
            .await;
    }
    for number in 1..256 {
        let answer = socket.next().await;
        assert_eq!(
            (&answer["kind"], &answer["ref"]),
            (&json!("subscribed"), &json!(number))
        );
    }
    let answer = socket.next().await;
    assert_eq!(
        (&answer["code"], &answer["ref"]),
        (&json!("too_many"), &json!(256))
    );
    assert!(
        answer["error"].as_str().unwrap().contains("256 channels"),
        "{answer}"
    );
    server.publish("c255", "t", "1").await;
    assert_eq!(socket.data(1).await, [json!(1)]);
}

#[tokio::test]
async fn the_first_frame_is_hello_even_when_a_ping_is_due_before_the_socket_takes_anything() {
    // A tick each millisecond: it meets connections between their arrival and the first look at their sockets.
    let options = GatewayOptions::default().with_keepalive(Duration::from_millis(15));
    let server = TestServer::with(options, Keys::Dev).await;
    server.declare("c", vec![("t", Keep::Latest)]);
    server.publish("c", "t", "1").await;
    let token = server.token("c", &["t"]).await;
    for _ in 0..40 {
        let arrivals = (0..16).map(|_| server.native(&token, "&from=start"));
        for mut socket in futures_util::future::join_all(arrivals).await {
            assert_eq!(socket.next().await["kind"], "hello");
            assert_eq!(socket.next().await["kind"], "snapshot");
        }
    }
}

#[tokio::test]
async fn a_session_ends_the_connection_unless_it_is_refreshed() {
    let server = TestServer::with(
        GatewayOptions::default().with_keepalive(Duration::from_millis(750)),
        Keys::Dev,
    )
    .await;
    let cursor = server.publish("c", "t", "0").await;
    let short = server.grant(ChannelGrant {
        session: Some(1),
        ..grant("c", &["t"], cursor)
    });
    let long = server.grant(grant("c", &["t", "u"], cursor));
    let mut refreshed = server.native(&short, "").await;
    assert_eq!(refreshed.next().await["session"], 1);
    refreshed
        .send(json!({ "kind": "auth", "ref": 1, "token": long }))
        .await;
    assert_eq!(
        refreshed.next().await,
        json!({ "kind": "authenticated", "ref": 1, "channel": "c", "session": 3600 })
    );
    let mut plain = server.connect(&short).await;
    let mut left = server.native(&short, "").await;
    left.next().await;
    let last = server.publish("c", "t", "1").await;
    assert_eq!(left.data(1).await, [json!(1)]);
    let close = left.close_frame().await.unwrap();
    assert_eq!(
        (u16::from(close.code), close.reason.parse()),
        (4401, Ok(last))
    );
    // Those who came before it go on: one has kept its place, the other has no session.
    server.publish("c", "t", "2").await;
    assert_eq!(refreshed.data(2).await, [json!(1), json!(2)]);
    assert_eq!(plain.data(2).await, [json!(1), json!(2)]);
}

#[tokio::test]
async fn a_shutdown_tells_native_readers_when_to_come_back() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let mut sockets = Vec::new();
    for _ in 0..8 {
        let mut socket = server.native(&token, "").await;
        socket.next().await;
        sockets.push(socket);
    }
    let mut plain = server.connect(&token).await;
    let mut events = server.events(&token, &[]).await;
    let shutdown = tokio::spawn({
        let gateway = server.gateway.clone();
        async move { gateway.shutdown().await }
    });
    let mut waits = std::collections::BTreeSet::new();
    for socket in &mut sockets {
        let closing = socket.next().await;
        assert_eq!(closing["kind"], "closing");
        let wait = closing["reconnect_ms"].as_u64().unwrap();
        assert!(wait <= 5_000, "{wait}");
        waits.insert(wait);
        assert_eq!(u16::from(socket.close_frame().await.unwrap().code), 1001);
    }
    assert!(waits.len() > 4, "{waits:?} are not spread");
    match plain.message().await {
        Message::Close(Some(close)) => assert_eq!(u16::from(close.code), 1001),
        other => panic!("{other:?}"),
    }
    let (name, closing) = events.next_named().await;
    assert_eq!(
        (name.as_str(), &closing["kind"]),
        ("closing", &json!("closing"))
    );
    drop((sockets, plain));
    within(shutdown).await.unwrap();
}

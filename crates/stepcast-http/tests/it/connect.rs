//! WebSocket connections that keep up.

use std::time::Duration;

use serde_json::{Value, json};
use stepcast_http::{GatewayOptions, Keys};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::{clients::within, server::TestServer};

fn numbers(range: std::ops::Range<u32>) -> Vec<Value> {
    range.map(|number| json!(number)).collect()
}

#[tokio::test]
async fn nothing_is_lost_between_the_token_and_the_connection() {
    let server = TestServer::start().await;
    server.publish("c", "t", "\"before\"").await;
    let token = server.token("c", &["t"]).await;
    for number in 0..50 {
        server.publish("c", "t", number.to_string()).await;
    }
    let mut socket = server.connect(&token).await;
    for number in 50..100 {
        server.publish("c", "t", number.to_string()).await;
    }
    assert_eq!(socket.data(100).await, numbers(0..100));
}

#[tokio::test]
async fn a_publisher_at_work_while_readers_come_loses_nothing() {
    let server = std::sync::Arc::new(TestServer::start().await);
    let token = server.token("c", &["t"]).await;
    let publisher = tokio::spawn({
        let server = std::sync::Arc::clone(&server);
        async move {
            for number in 0..2_000 {
                server.publish("c", "t", number.to_string()).await;
                tokio::task::yield_now().await;
            }
        }
    });
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(server.connect(&token).await);
    }
    for socket in &mut sockets {
        assert_eq!(socket.data(2_000).await, numbers(0..2_000));
    }
    publisher.await.unwrap();
}

#[tokio::test]
async fn topics_arrive_in_the_order_of_the_channel_and_others_do_not() {
    let server = TestServer::start().await;
    let token = server.token("c", &["a", "b"]).await;
    let mut socket = server.connect(&token).await;
    for number in 0..300 {
        let topic = ["a", "b", "hidden"][number % 3];
        server.publish("c", topic, number.to_string()).await;
    }
    server.publish("other", "a", "-1").await;
    for number in (0..300).filter(|number| number % 3 < 2) {
        let frame = socket.next().await;
        assert_eq!(frame["data"], json!(number));
        assert_eq!(frame["topic"], ["a", "b"][number % 3]);
        assert_eq!(frame["channel"], "c");
    }
}

#[tokio::test]
async fn the_first_frame_is_a_ping_and_pings_are_answered() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let mut socket = server.connect(&token).await;
    use futures_util::{SinkExt, StreamExt};
    let first = within(socket.0.next()).await.unwrap().unwrap();
    assert!(matches!(first, Message::Ping(_)), "{first:?}");
    socket.0.send(Message::Ping("hello".into())).await.unwrap();
    assert_eq!(socket.message().await, Message::Pong("hello".into()));
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    let options = GatewayOptions::default().with_keepalive(Duration::from_millis(45));
    let server = TestServer::with(options, Keys::Dev).await;
    let token = server.token("c", &["t"]).await;
    let head = [
        ("Connection", "upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let path = format!("/v1/realtime/connect?token={token}");
    let mut stream = server.send_head("GET", &path, &head, Some(0)).await;
    let mut bytes = Vec::new();
    within(stream.read_to_end(&mut bytes)).await.unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("3 pings were not answered"), "{text}");
    assert!(
        text.to_ascii_lowercase()
            .contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=")
    );
    server.connections(0).await;
}

#[tokio::test]
async fn sub_adds_topics_from_where_its_token_was_minted_and_unsub_takes_them_away() {
    let server = TestServer::start().await;
    let token = server.token("c", &["a"]).await;
    let more = server.token("c", &["b"]).await;
    let other = server.token("d", &["a"]).await;
    let mut socket = server.connect(&token).await;
    server.publish("c", "a", "1").await;
    server.publish("c", "b", "2").await;
    assert_eq!(socket.data(1).await, numbers(1..2));
    socket.send(json!({ "kind": "sub", "data": more })).await;
    assert_eq!(
        socket.data(1).await,
        numbers(2..3),
        "what was published since the token"
    );
    server.publish("c", "a", "3").await;
    server.publish("c", "b", "4").await;
    assert_eq!(socket.data(2).await, numbers(3..5));
    socket.send(json!({ "kind": "sub", "data": other })).await;
    server.publish("d", "a", "5").await;
    assert_eq!(socket.data(1).await, numbers(5..6));
    socket.send(json!({ "kind": "unsub", "data": [{ "channel": "c", "name": "b" }, { "channel": "d", "name": "a" }] })).await;
    socket.send(json!({ "kind": "nonsense" })).await;
    // The pong comes after `unsub` was done.
    use futures_util::SinkExt;
    socket.0.send(Message::Ping("done".into())).await.unwrap();
    assert_eq!(socket.message().await, Message::Pong("done".into()));
    server.publish("d", "a", "6").await;
    server.publish("c", "b", "7").await;
    server.publish("c", "a", "8").await;
    assert_eq!(socket.data(1).await, numbers(8..9));
}

#[tokio::test]
async fn bytes_behind_the_handshake_are_read() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let head = [
        ("Connection", "upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let mut request = format!(
        "GET /v1/realtime/connect?token={token} HTTP/1.1\r\nHost: {}\r\n",
        server.address
    );
    for (name, value) in head {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut request = format!("{request}\r\n").into_bytes();
    // A masked ping that carries "abc", in the same packet.
    request.extend_from_slice(&[0x89, 0x83, 0, 0, 0, 0, b'a', b'b', b'c']);
    let mut stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    stream.write_all(&request).await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(&[0x8A, 0x03, b'a', b'b', b'c']) {
        assert_ne!(within(stream.read_buf(&mut bytes)).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn wrong_frames_get_their_close_code() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let mut socket = server.connect(&token).await;
    socket
        .send(json!({ "kind": "sub", "data": "x".repeat(33_000) }))
        .await;
    assert_eq!(u16::from(socket.close_frame().await.unwrap().code), 1009);
    server.connections(0).await;
}

#[tokio::test]
async fn a_client_that_closes_is_answered_and_forgotten() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let mut socket = server.connect(&token).await;
    server.connections(1).await;
    socket.0.close(None).await.unwrap();
    socket.close_frame().await;
    server.connections(0).await;
}

#[tokio::test]
async fn a_shutdown_is_said_to_every_client() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(server.connect(&token).await);
    }
    let mut events = server.events(&token, &[]).await;
    server.publish("c", "t", "1").await;
    assert_eq!(events.next().await.1["data"], json!(1));
    let shutdown = tokio::spawn({
        let gateway = server.gateway.clone();
        async move { gateway.shutdown().await }
    });
    for socket in &mut sockets {
        assert_eq!(u16::from(socket.close_frame().await.unwrap().code), 1001);
    }
    drop(sockets);
    within(shutdown).await.unwrap();
}

#[tokio::test]
async fn a_gateway_that_is_dropped_leaves_no_connection_open() {
    use futures_util::StreamExt;
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let mut socket = server.connect(&token).await;
    server.connections(1).await;
    drop(server);
    while let Some(Ok(_)) = within(socket.0.next()).await {}
}

#[tokio::test]
async fn an_address_has_only_so_many_connections() {
    let options = GatewayOptions::default().with_connections_per_address(2);
    let server = TestServer::with(options, Keys::Dev).await;
    let token = server.token("c", &["t"]).await;
    let first = server.connect(&token).await;
    let _second = server.connect(&token).await;
    let path = format!("/v1/realtime/sse?token={token}");
    let refused = server.get(&path, &[]).await;
    assert_eq!(
        (refused.status, refused.code()),
        (429, "too_many".to_owned())
    );
    assert!(
        refused.body.contains("has 2 connections"),
        "{}",
        refused.body
    );
    drop(first);
    server.connections(1).await;
    server.events(&token, &[]).await;
}

#[tokio::test]
async fn who_may_not_connect_is_told_why() {
    let server = TestServer::start().await;
    let read = server.token("c", &["t"]).await;
    let publish = server
        .gateway
        .tokens()
        .mint_publish(Duration::from_secs(60));
    for (query, status, code) in [
        (String::new(), 401, "bad_token"),
        ("?token=nonsense".to_owned(), 401, "bad_token"),
        (format!("?token={publish}"), 403, "forbidden"),
        (format!("?token={read}"), 400, "bad_request"),
    ] {
        let answer = server
            .get(&format!("/v1/realtime/connect{query}"), &[])
            .await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (status, code),
            "{}",
            answer.body
        );
        assert!(answer.head.contains("access-control-allow-origin: *"));
    }
}

#[tokio::test]
async fn a_transport_that_is_no_socket_is_bridged() {
    let server = TestServer::start().await;
    let token = server.token("c", &["t"]).await;
    let (client, far) = tokio::io::duplex(4096);
    let service = hyper_util::service::TowerToHyperService::new(server.gateway.router());
    tokio::spawn(async move {
        let io = hyper_util::rt::TokioIo::new(far);
        hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .with_upgrades()
            .await
    });
    let url = format!("ws://localhost/v1/realtime/connect?token={token}");
    let (mut socket, _) = tokio_tungstenite::client_async(url, client).await.unwrap();
    server.publish("c", "t", "1").await;
    use futures_util::StreamExt;
    loop {
        if let Message::Text(text) = within(socket.next()).await.unwrap().unwrap() {
            assert!(text.contains("\"data\":1"), "{text}");
            return;
        }
    }
}

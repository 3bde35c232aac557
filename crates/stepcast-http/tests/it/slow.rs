//! Readers that lag, and what they cost the others.

use std::time::Duration;

use serde_json::json;
use stepcast_http::{GatewayOptions, Keys, Stats};
use stepcast_protocol::{Cursor, Keep};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use crate::{clients::within, server::TestServer};

/// More than the buffers of a stalled connection and the channel's tail hold together.
const MESSAGES: usize = 100;
const PAYLOAD: usize = 20_000;

fn payload(number: usize) -> String {
    json!({ "n": number, "pad": "x".repeat(PAYLOAD) }).to_string()
}

/// A client whose kernel takes little.
pub(crate) async fn narrow(server: &TestServer) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(server.address).await.expect("a connection")
}

#[tokio::test]
async fn a_slow_reader_costs_one_frame_disturbs_nobody_and_gets_everything() {
    let server = TestServer::with(GatewayOptions::default().with_shards(1), Keys::Dev).await;
    let token = server.token("c", &["t"]).await;
    let mut slow = server.connect_on(narrow(&server).await, &token).await;
    let mut fast = server.connect(&token).await;
    for number in 0..MESSAGES {
        server.publish("c", "t", payload(number)).await;
        assert_eq!(fast.next().await["data"]["n"], json!(number));
    }
    let stats = server.gateway.stats().await;
    assert_eq!(stats.connections, 2);
    assert!(stats.unsent_bytes > 0, "the slow socket is full");
    assert!(
        stats.unsent_bytes <= PAYLOAD + 1_000,
        "{stats:?} is more than one frame"
    );
    for number in 0..MESSAGES {
        assert_eq!(slow.next().await["data"]["n"], json!(number));
    }
    // It keeps up again.
    server.publish("c", "t", payload(MESSAGES)).await;
    assert_eq!(slow.next().await["data"]["n"], json!(MESSAGES));
    within(async {
        while server.gateway.stats().await.unsent_bytes > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_closed_with_its_cursor() {
    let stalled = Duration::from_millis(1_500);
    let options = GatewayOptions::default()
        .with_shards(1)
        .with_stalled_after(stalled);
    let server = TestServer::with(options, Keys::Dev).await;
    let token = server.token("c", &["t"]).await;
    let mut slow = server.connect_on(narrow(&server).await, &token).await;
    let mut fast = server.connect(&token).await;
    let mut last = Cursor::START;
    while server.gateway.stats().await.unsent_bytes == 0 {
        last = server.publish("c", "t", payload(0)).await;
        fast.next().await;
    }
    within(async {
        while server.gateway.stats().await.closing == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The reader comes back while the close frame still waits for it.
    let mut seen = Cursor::START;
    let close = loop {
        match slow.message().await {
            Message::Text(text) => {
                let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
                seen = frame["id"].as_str().unwrap().parse().unwrap();
            }
            Message::Close(close) => break close.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(u16::from(close.code), 4008);
    assert_eq!(close.reason.parse(), Ok(seen), "the last frame it was sent");
    assert!(seen <= last);
    server.connections(1).await;
}

/// Waits until so many sockets are full.
async fn until_full(server: &TestServer, count: usize) -> Stats {
    within(async {
        loop {
            let stats = server.gateway.stats().await;
            if stats.full >= count {
                return stats;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn one_that_never_reads_changes_nothing_for_a_thousand() {
    const READERS: usize = 999;
    let options = GatewayOptions::default().with_connections_per_address(READERS + 1);
    let server = TestServer::with(options, Keys::Dev).await;
    let token = server.token("c", &["t"]).await;
    let never = server
        .connect_on(narrow(&server).await, &format!("{token}&v=1"))
        .await;
    let mut readers = Vec::new();
    for number in 0..READERS {
        let mut reader = if number % 2 == 0 {
            server.connect(&token).await
        } else {
            server.native(&token, "").await
        };
        if number % 2 == 1 {
            assert_eq!(reader.next().await["kind"], "hello");
        }
        readers.push(reader);
    }
    let readers = tokio::spawn(async move {
        let read = readers.into_iter().map(|mut reader| async move {
            for number in 0..MESSAGES {
                assert_eq!(reader.next().await["data"]["n"], json!(number));
            }
            reader
        });
        futures_util::future::join_all(read).await
    });
    let small = |number: usize| json!({ "n": number, "pad": "x".repeat(3_000) }).to_string();
    for number in 0..MESSAGES {
        server.publish("c", "t", small(number)).await;
    }
    let readers = tokio::time::timeout(Duration::from_secs(120), readers)
        .await
        .expect("everybody else gets everything")
        .expect("in order");
    let stats = server.gateway.stats().await;
    let seen = (stats.connections, stats.closing, stats.full);
    assert_eq!(seen, (READERS + 1, 0, 1));
    drop((never, readers));
}

#[tokio::test]
async fn stalled_sockets_keep_one_frame_each_and_share_what_they_are_told() {
    const STALLED: usize = 300;
    let options = GatewayOptions::default().with_shards(1);
    let server = TestServer::with(options, Keys::Dev).await;
    let text = Keep::Text {
        field: "token".to_owned(),
    };
    server.declare("told", vec![("tokens", text)]);
    for _ in 0..9 {
        let piece = json!({ "token": "x".repeat(100_000) }).to_string();
        server.publish("told", "tokens", piece).await;
    }
    let token = server.token("told", &["tokens"]).await;
    let mut told = Vec::new();
    for _ in 0..STALLED {
        let query = format!("{token}&v=1&from=start");
        told.push(server.connect_on(narrow(&server).await, &query).await);
    }
    let stats = until_full(&server, STALLED).await;
    assert!(
        stats.unsent_bytes > 500_000,
        "{stats:?} is less than the text"
    );
    assert!(stats.unsent_bytes <= 2_000_000, "{stats:?}");
    drop(told);
    server.connections(0).await;
    // The same with messages, which each of them has begun somewhere else.
    let token = server.token("c", &["t"]).await;
    let mut full = Vec::new();
    for _ in 0..STALLED {
        let query = format!("{token}&v=1");
        full.push(server.connect_on(narrow(&server).await, &query).await);
    }
    server.connections(STALLED).await;
    let small = json!("x".repeat(5_000)).to_string();
    for _ in 0..100 {
        server.publish("c", "t", small.clone()).await;
    }
    let stats = until_full(&server, STALLED).await;
    assert!(stats.unsent_bytes > STALLED, "{stats:?} is nothing");
    assert!(stats.unsent_bytes <= 2_000_000, "{stats:?}");
}

#[tokio::test]
async fn who_asks_and_does_not_read_is_not_asked_for_more() {
    use futures_util::{SinkExt, StreamExt};
    const PINGS: usize = 20_000;
    let server = TestServer::with(GatewayOptions::default().with_shards(1), Keys::Dev).await;
    let token = server.token("c", &["t"]).await;
    let query = format!("{token}&v=1");
    let socket = server.connect_on(narrow(&server).await, &query).await;
    let (mut asking, mut reading) = socket.0.split();
    let asked = tokio::spawn(async move {
        for number in 0..PINGS {
            let ping = json!({ "kind": "ping", "ref": number, "data": "x".repeat(100) });
            let ping = Message::text(ping.to_string());
            asking.send(ping).await.expect("the connection is open");
        }
    });
    let mut most = 0;
    until_full(&server, 1).await;
    for _ in 0..1_000 {
        most = server.gateway.stats().await.unsent_bytes.max(most);
        tokio::task::yield_now().await;
    }
    assert!(
        most <= 64 * 1024,
        "{most} bytes wait, of some {}",
        PINGS * 150
    );
    let mut next = 0;
    while next < PINGS {
        let message = within(reading.next()).await.expect("it is open");
        if let Message::Text(text) = message.expect("it is open") {
            let frame: serde_json::Value = serde_json::from_str(&text).expect("a frame");
            if frame["kind"] == "pong" {
                assert_eq!(frame["ref"], json!(next));
                next += 1;
            }
        }
    }
    within(asked).await.expect("all were sent");
}

//! Readers that lag, and what they cost the others.

use std::time::Duration;

use serde_json::json;
use stepcast_http::{GatewayOptions, Keys};
use stepcast_protocol::Cursor;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use crate::server::{TestServer, within};

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

//! A server that says what its test tells it to, on a port of its own.

use std::{collections::HashMap, net::SocketAddr};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::CloseFrame,
    },
};

use crate::support::within;

pub(crate) struct Mock {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// A connection, and what was asked for with it.
pub(crate) struct Peer {
    socket: WebSocketStream<TcpStream>,
    pub(crate) query: HashMap<String, String>,
}

impl Mock {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets the next connection in.
    pub(crate) async fn accept(&self) -> Peer {
        let (socket, _) = within(self.listener.accept()).await.unwrap();
        let mut uri = None;
        #[expect(
            clippy::result_large_err,
            reason = "the library's callback is like this"
        )]
        let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            uri = Some(request.uri().clone());
            Ok(response)
        };
        let socket = within(accept_hdr_async(socket, look)).await.unwrap();
        let uri = uri.expect("a handshake has an address");
        assert_eq!(uri.path(), "/v1/realtime/connect");
        let pairs = uri.query().unwrap_or_default().split('&');
        let query: HashMap<_, _> = pairs
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), unescaped(value)))
            .collect();
        assert_eq!(query["v"], "1");
        Peer { socket, query }
    }

    /// Answers the next connection's request with a refusal.
    pub(crate) async fn refuse(&self, status: &str, code: &str) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let (mut socket, _) = within(self.listener.accept()).await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let read = within(socket.read_buf(&mut asked)).await.unwrap();
            assert!(read > 0, "a request has an end");
        }
        let number = &status[..3];
        let body = format!(r#"{{"code":"{code}","error":"no","data":null,"status":{number}}}"#);
        // In two writes: a refusal need not come at once.
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.flush().await.unwrap();
        socket.write_all(body.as_bytes()).await.unwrap();
    }
}

impl Peer {
    pub(crate) async fn say(&mut self, frame: &Value) {
        self.socket
            .send(Message::text(frame.to_string()))
            .await
            .unwrap();
    }

    /// The next frame of the client.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            let message = within(self.socket.next()).await;
            match message.expect("the client is there").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Pong(_) => {}
                other => panic!("{other} was not expected"),
            }
        }
    }

    /// Waits until the client has taken everything, and sees that it has said nothing. It answers pings in their place.
    pub(crate) async fn settle(&mut self) {
        self.socket
            .send(Message::Ping("settled?".into()))
            .await
            .unwrap();
        let message = within(self.socket.next()).await;
        match message.expect("the client is there").unwrap() {
            Message::Pong(_) => {}
            other => panic!("{other} was not expected"),
        }
    }

    /// Closes the connection, and waits until it is.
    pub(crate) async fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        self.socket.close(Some(frame)).await.unwrap();
        while let Some(Ok(_)) = within(self.socket.next()).await {}
    }

    /// Waits until the client has gone.
    pub(crate) async fn gone(&mut self) {
        while let Some(Ok(_)) = within(self.socket.next()).await {}
    }
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(&tail[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

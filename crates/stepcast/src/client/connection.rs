//! One WebSocket to the server.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::{
    StatusCode,
    header::{self, HeaderValue},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use stepcast_protocol::{Beginning, ErrorCode, frame, frame::ClientFrame, paths};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{
    remote::{Ask, Remote},
    server::with_query,
};
use crate::error::Error;

/// Bytes of a frame of the server. The largest are snapshots: a text of many runs, within its topic's bounds.
const FRAME_BYTES: usize = 64 * 1024 * 1024;
/// What is read at once. Small, as there is one for each subscription.
const READ_BYTES: usize = 4 * 1024;
/// How long the server may take to answer the handshake, and a socket to take a frame.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that was let in.
#[derive(Debug)]
pub(super) struct Connection(WebSocketStream<TokioIo<Upgraded>>);

/// What comes next on a connection.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A frame.
    Text(Utf8Bytes),
    /// The server is there.
    Sign,
    /// It is over; with a code, where the server has said why.
    Closed(Option<u16>),
}

impl Connection {
    /// Asks to be let in.
    ///
    /// # Errors
    /// What the server refuses with, and `unreachable`.
    pub(super) async fn open(
        remote: &Remote,
        token: &str,
        from: Option<Beginning>,
    ) -> Result<Self, Error> {
        let opening = Self::handshake(remote, token, from);
        let opened = tokio::time::timeout(PATIENCE, opening).await;
        opened.unwrap_or_else(|_| {
            let text = format!(
                "server {} has not answered a handshake for {PATIENCE:?}",
                remote.server
            );
            Err(Error::coded(ErrorCode::Unreachable, text))
        })
    }

    async fn handshake(
        remote: &Remote,
        token: &str,
        from: Option<Beginning>,
    ) -> Result<Self, Error> {
        let version = frame::VERSION.to_string();
        let from = from.map(|from| from.to_string());
        let mut query = vec![("v", &*version), ("token", token)];
        query.extend(from.as_deref().map(|from| ("from", from)));
        let key = generate_key();
        let accepted = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
        let ask = Ask::get(with_query(remote.server.url(paths::CONNECT, &[]), &query))
            .with_header(header::CONNECTION, "Upgrade")
            .with_header(header::UPGRADE, "websocket")
            .with_header(header::SEC_WEBSOCKET_VERSION, "13")
            .with_header(header::SEC_WEBSOCKET_KEY, key);
        let response = remote.exchange(ask).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(remote.refusal(response).await);
        }
        if response.headers().get(header::SEC_WEBSOCKET_ACCEPT) != accepted.ok().as_ref() {
            let text = format!(
                "server {} has not accepted the WebSocket it was asked for; is a proxy in between?",
                remote.server
            );
            return Err(Error::coded(ErrorCode::Unreachable, text));
        }
        let upgraded = TokioIo::new(hyper::upgrade::on(response).await?);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(FRAME_BYTES))
            .max_frame_size(Some(FRAME_BYTES));
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config));
        Ok(Self(socket.await))
    }

    /// What comes next. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Arrival {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Arrival::Text(text),
            Some(Ok(Message::Close(frame))) => {
                Arrival::Closed(frame.map(|frame| CloseCode::into(frame.code)))
            }
            // Pings are answered by the library.
            Some(Ok(
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_),
            )) => Arrival::Sign,
            Some(Err(error)) => {
                tracing::debug!(%error, "a connection broke");
                Arrival::Closed(None)
            }
            None => Arrival::Closed(None),
        }
    }

    /// Sends a frame; false when the connection is of no use any more.
    pub(super) async fn send(&mut self, frame: &ClientFrame) -> bool {
        let text = serde_json::to_string(frame).expect("a frame is strings and numbers");
        let sent = tokio::time::timeout(PATIENCE, self.0.send(Message::text(text))).await;
        matches!(sent, Ok(Ok(())))
    }
}

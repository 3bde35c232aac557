//! What clients send: `sub` and `unsub`, pongs, and their end.

use std::{io, rc::Rc};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use stepcast_protocol::{ChannelName, TopicName, limits};

use super::{
    connection::{Connection, Place},
    feed::topic_set,
    frame::{FrameReader, Incoming, Violation},
    shard::Shard,
    socket,
};

/// A frame with a meaning here. All others are ignored, as npm `inngest` expects.
#[derive(Deserialize)]
struct ClientFrame {
    kind: String,
    #[serde(default)]
    data: Value,
}

/// A topic as `unsub` names it. Clients add more keys, which mean nothing.
#[derive(Deserialize)]
struct TopicRef {
    channel: ChannelName,
    name: TopicName,
}

impl Shard {
    /// Reads a connection until its end.
    pub(super) async fn read(self: Rc<Self>, connection: Rc<Connection>, read_ahead: Bytes) {
        // A fresh socket is not known to be writable until the reactor has looked at it.
        if connection.stream.writable().await.is_err() {
            return self.remove(&connection);
        }
        self.ping(&connection);
        self.catch_up(&connection);
        let mut frames = FrameReader::default();
        let mut is_open = self.on_bytes(&connection, &mut frames, &read_ahead).await;
        drop(read_ahead);
        while is_open {
            if connection.stream.readable().await.is_err() {
                break;
            }
            is_open = match self.read_once(&connection) {
                Ok(bytes) if bytes.is_empty() => false,
                Ok(bytes) => self.on_bytes(&connection, &mut frames, &bytes).await,
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            };
        }
        self.remove(&connection);
    }

    /// Starts a pump when something has to be sent that the shard's turns will not send.
    fn catch_up(self: &Rc<Self>, connection: &Rc<Connection>) {
        {
            let mut state = connection.state.borrow_mut();
            if state.rest.is_empty() {
                for subscription in &mut state.subscriptions {
                    if matches!(subscription.place, Place::Behind(cursor) if cursor == subscription.feed.cursor.get())
                    {
                        connection.join(subscription);
                    }
                }
            }
            if !state.is_behind() {
                return;
            }
        }
        self.start_pump(connection);
    }

    fn read_once(&self, connection: &Connection) -> io::Result<Bytes> {
        let mut scratch = self.scratch.borrow_mut();
        let read = connection.stream.try_read(&mut scratch)?;
        Ok(Bytes::copy_from_slice(&scratch[..read]))
    }

    /// Says whether the connection goes on.
    async fn on_bytes(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        frames: &mut FrameReader,
        mut bytes: &[u8],
    ) -> bool {
        loop {
            match frames.next(&mut bytes) {
                Ok(None) => return true,
                Err(violation) => {
                    self.on_violation(connection, violation);
                    return connection.drain().await;
                }
                Ok(Some(Incoming::Close(code))) => {
                    let code = code.unwrap_or(1000);
                    self.close(connection, code, "", self.options.close_wait);
                    return false;
                }
                Ok(Some(incoming)) => self.on_incoming(connection, incoming).await,
            }
        }
    }

    fn on_violation(self: &Rc<Self>, connection: &Rc<Connection>, violation: Violation) {
        let reason = violation.to_string();
        self.close(
            connection,
            violation.close_code(),
            &reason,
            self.options.close_wait,
        );
    }

    async fn on_incoming(self: &Rc<Self>, connection: &Rc<Connection>, incoming: Incoming) {
        connection.state.borrow_mut().unheard_pings = 0;
        match incoming {
            Incoming::Text(text) => {
                // Boxed, because a connection that is idle should not hold room for it.
                Box::pin(self.on_text(connection, &text)).await;
            }
            Incoming::Ping(payload) => self.on_ping(connection, payload),
            Incoming::Binary | Incoming::Pong | Incoming::Close(_) => {}
        }
    }

    fn on_ping(self: &Rc<Self>, connection: &Rc<Connection>, payload: Vec<u8>) {
        {
            let mut state = connection.state.borrow_mut();
            if !state.rest.is_empty() {
                // Only the last one has to be answered (RFC 6455, 5.5.3).
                state.pong = Some(payload.into());
                return;
            }
        }
        self.send_control(connection, &super::frame::pong(&payload));
    }

    async fn on_text(self: &Rc<Self>, connection: &Rc<Connection>, text: &str) {
        let Ok(frame) = serde_json::from_str::<ClientFrame>(text) else {
            return;
        };
        match (&*frame.kind, frame.data) {
            ("sub", Value::String(token)) => self.on_sub(connection, &token).await,
            ("unsub", topics @ Value::Array(_)) => {
                if let Ok(topics) = serde_json::from_value::<Vec<TopicRef>>(topics) {
                    self.on_unsub(connection, &topics);
                }
            }
            _ => {}
        }
    }

    async fn on_sub(self: &Rc<Self>, connection: &Rc<Connection>, token: &str) {
        let grant = match self.tokens.verify_now(token) {
            Ok(claims) => claims.read,
            Err(error) => {
                tracing::debug!(%error, "a `sub` frame is ignored");
                None
            }
        };
        let Some(grant) = grant else { return };
        let channel = match self.hub.channel(&grant.channel).await {
            Ok(channel) => channel,
            Err(error) => {
                tracing::warn!(%error, channel = %grant.channel, "a channel cannot be read; its reader is closed");
                return self.close_unreadable(connection);
            }
        };
        let start = grant.cursor.min(channel.visible());
        {
            let mut state = connection.state.borrow_mut();
            if state.closing.is_some() {
                return;
            }
            let has_room = state.subscriptions.len() < limits::SUBSCRIPTIONS_PER_CONNECTION;
            let known = state
                .subscriptions
                .iter_mut()
                .find(|subscription| *subscription.feed.channel.name() == grant.channel);
            match known {
                Some(subscription) => subscription.add_topics(&grant.topics, start),
                None if !has_room => {
                    let limit = limits::SUBSCRIPTIONS_PER_CONNECTION;
                    tracing::debug!(limit, "a `sub` frame is ignored: too many subscriptions");
                    return;
                }
                None => {
                    drop(state);
                    self.subscribe(connection, &channel, topic_set(grant.topics), start);
                }
            }
        }
        self.catch_up(connection);
    }

    fn on_unsub(self: &Rc<Self>, connection: &Rc<Connection>, topics: &[TopicRef]) {
        for TopicRef { channel, name } in topics {
            let mut state = connection.state.borrow_mut();
            let found = state
                .subscriptions
                .iter_mut()
                .find(|subscription| subscription.feed.channel.name() == channel);
            let Some(subscription) = found else { continue };
            let feed = subscription.feed.id;
            if !subscription.remove_topics(std::slice::from_ref(name)) {
                self.unsubscribe(&mut state, feed);
            }
        }
        self.catch_up(connection);
    }
}

impl Connection {
    /// Reads and forgets, so that what was sent last is not lost to a reset; ends when the client does, or with the shard's patience.
    async fn drain(&self) -> bool {
        let mut scratch = [0; 256];
        while self.stream.readable().await.is_ok() {
            match self.stream.try_read(&mut scratch) {
                Ok(0) => break,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => {}
            }
        }
        socket::finish(&self.stream);
        false
    }
}

//! What clients send: frames, pongs, and their end.

use std::{io, rc::Rc};

use bytes::Bytes;

use super::{
    connection::Connection,
    dialect::Dialect,
    frame::{FrameReader, Incoming, Violation},
    shard::Shard,
    socket,
};

impl Shard {
    /// Greets a connection and reads it until its end.
    pub(super) async fn read(self: Rc<Self>, connection: Rc<Connection>, read_ahead: Bytes) {
        // A fresh socket is not known to be writable until the reactor has looked at it.
        let is_there = connection.stream.writable().await.is_ok();
        let greeted = connection.flush(&mut connection.state.borrow_mut());
        if !is_there || greeted.is_err() {
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
    pub(super) fn catch_up(self: &Rc<Self>, connection: &Rc<Connection>) {
        {
            let mut state = connection.state.borrow_mut();
            if state.rest.is_empty() {
                for subscription in &mut state.subscriptions {
                    if subscription.can_join() {
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
                match connection.dialect {
                    Dialect::Plain => Box::pin(self.on_plain(connection, &text)).await,
                    Dialect::Native => Box::pin(self.on_native(connection, &text)).await,
                }
            }
            Incoming::Ping(payload) => self.on_ping(connection, payload),
            Incoming::Binary => match connection.dialect {
                Dialect::Plain => {}
                Dialect::Native => self.on_native_binary(connection),
            },
            Incoming::Pong | Incoming::Close(_) => {}
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

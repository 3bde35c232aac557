//! How a native connection begins and ends: `hello`, the end of its sessions, `closing`.

use std::{rc::Rc, time::Duration};

use stepcast_protocol::frame::{self as wire, ControlFrame};
use tokio::time::Instant;

use super::{connection::Connection, dialect::Dialect, frame, shard::Shard};
use crate::entrance::Entrance;

/// Sent when nobody has shown another token in time.
const SESSION_OVER: u16 = 4401;

impl Shard {
    /// The first frame of a native connection.
    pub(super) fn hello(&self, entrance: &Entrance, session: Duration) -> Vec<u8> {
        let keepalive = self.options.keepalive.as_millis();
        let hello = ControlFrame::Hello {
            protocol: wire::VERSION,
            epoch: entrance.channel.visible().epoch,
            keepalive_ms: u64::try_from(keepalive).unwrap_or(u64::MAX),
            channel: entrance.channel.name().clone(),
            topics: entrance.topics.to_vec(),
            cursor: entrance.cursor,
            session: session.as_secs(),
            outdated: entrance.outdated.clone(),
        };
        frame::text(&hello.to_wire())
    }

    /// Sends a frame that belongs to this connection alone.
    pub(super) fn answer(self: &Rc<Self>, connection: &Rc<Connection>, answer: &ControlFrame) {
        self.send_control(connection, &frame::text(&answer.to_wire()));
    }

    /// Closes a connection that reads a channel whose session is over; says whether it does.
    pub(super) fn end_session(self: &Rc<Self>, connection: &Rc<Connection>, now: Instant) -> bool {
        let cursor = {
            let state = connection.state.borrow();
            let mut ends = state
                .subscriptions
                .iter()
                .filter_map(|one| one.session_ends);
            if !ends.any(|ends| ends <= now) {
                return false;
            }
            state.only_cursor()
        };
        let reason = cursor.map_or_else(String::new, |cursor| cursor.to_string());
        let patience = self.options.close_wait;
        self.close(connection, SESSION_OVER, &reason, patience);
        true
    }

    /// Says that the server goes, and when to come back: another time for each, so that they do not all come at once.
    pub(super) fn announce_end(self: &Rc<Self>, connection: &Rc<Connection>) {
        match connection.dialect {
            Dialect::Plain => {}
            Dialect::Native => {
                let closing = ControlFrame::closing(self.entropy.fraction());
                self.answer(connection, &closing);
            }
        }
    }
}

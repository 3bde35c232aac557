//! Publishing over one connection, as many messages in one write as are wanted.

use stepcast_protocol::paths;

use super::{
    connection::{self, Connection},
    subject::{Subject, TOPIC},
};
use crate::exit::Failure;

/// What an answer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    AtOnce,
    Durable,
}

/// One connection that publishes.
#[derive(Debug)]
pub(super) struct Publisher {
    connection: Connection,
    /// From the method to the channel's name.
    before: String,
    /// From there to the length of the body.
    after: String,
    requests: Vec<u8>,
}

impl Publisher {
    pub(super) fn connect(subject: &Subject, promise: Promise) -> Result<Self, Failure> {
        let durable = match promise {
            Promise::AtOnce => "",
            Promise::Durable => "&durable=true",
        };
        let target = format!("{}?topic={TOPIC}{durable}&channel=", paths::PUBLISH);
        let (before, after) = connection::head(subject, "POST", &target);
        Ok(Self {
            connection: Connection::open(subject)?,
            before,
            after,
            requests: Vec::new(),
        })
    }

    /// One more message for the next [`Self::send`].
    pub(super) fn add(&mut self, channel: &str, payload: &str) {
        let (before, after, len) = (&*self.before, &*self.after, payload.len().to_string());
        for part in [before, channel, after, &len, "\r\n\r\n", payload] {
            self.requests.extend_from_slice(part.as_bytes());
        }
    }

    /// Sends what was added, in one write.
    pub(super) fn send(&mut self) -> Result<(), Failure> {
        let sent = self.connection.send(&self.requests);
        self.requests.clear();
        sent
    }

    /// Waits until so many messages are accepted.
    pub(super) fn accepted(&mut self, messages: usize) -> Result<(), Failure> {
        self.connection.accepted(messages)
    }
}

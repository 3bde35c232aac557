//! Who is at the other end of a socket, and what it understands.

use stepcast_protocol::{Kind, Message, TopicName};

/// How a connection is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Dialect {
    /// As npm `inngest` v4 expects: messages, and nothing else. What such a reader loses is counted.
    Plain,
    /// With everything a reader can be told.
    Native,
}

impl Dialect {
    /// Whether this item of a channel's log is sent to a reader of these topics.
    pub(super) fn wants(self, message: &Message, topics: &[TopicName]) -> bool {
        let is_read = || topics.contains(&message.topic);
        match (message.kind, self) {
            (Kind::Data, Self::Plain | Self::Native) | (Kind::Rollback { .. }, Self::Native) => {
                is_read()
            }
            // Such a page shows a run's status without reading a topic for it; native readers read `$run`.
            (Kind::Ended, Self::Plain) => true,
            (Kind::Rollback { .. }, Self::Plain) | (Kind::Ended, Self::Native) => false,
        }
    }
}

//! Who is at the other end of a socket, and what it understands.

use stepcast_protocol::Message;

/// How a connection is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Dialect {
    /// As npm `inngest` v4 expects: messages, and nothing else. What such a reader loses is counted.
    Plain,
    /// With everything a reader can be told.
    Native,
}

impl Dialect {
    /// Whether this item of a channel's log is sent at all.
    pub(super) fn takes(self, message: &Message) -> bool {
        match self {
            Self::Plain => message.is_data(),
            Self::Native => true,
        }
    }
}

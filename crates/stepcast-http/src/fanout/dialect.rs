//! Who is at the other end of a socket, and what it understands.

use stepcast_protocol::{ChannelName, Kind, Message, Told, TopicName, run::RUN_TOPIC};

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
    pub(super) fn wants(
        self,
        channel: &ChannelName,
        message: &Message,
        topics: &[TopicName],
    ) -> bool {
        let is_read = || topics.contains(&message.topic);
        let is_read_run = || topics.iter().any(|topic| topic.as_str() == RUN_TOPIC);
        match (message.kind, self) {
            (Kind::Data | Kind::Rollback { .. }, Self::Native) | (Kind::Status, Self::Plain) => {
                is_read()
            }
            // What native readers get on `$run`, such a page understands as frames of kind `run` only.
            (Kind::Data, Self::Plain) => is_read() && message.topic.as_str() != RUN_TOPIC,
            // Pages show that a run has ended without reading a topic for it.
            (Kind::Ended { told }, Self::Plain) => is_read_run() == (told == Told::Followers),
            // Where the run has its topics, these say more.
            (Kind::Ended { told }, Self::Native) => {
                told == Told::Others && !(is_read() && is_of_run(channel, message))
            }
            (Kind::Rollback { .. }, Self::Plain) | (Kind::Status, Self::Native) => false,
        }
    }
}

/// Whether it is the channel that is named by the message's run, and nothing else.
fn is_of_run(channel: &ChannelName, message: &Message) -> bool {
    let origin = message.origin.as_ref();
    origin.is_some_and(|origin| origin.run.to_string() == channel.as_str())
}

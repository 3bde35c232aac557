//! Why a payload cannot be written or read.

use stepcast_protocol::{ErrorCode, TopicName};

/// A message that cannot be turned into its payload, or a payload that is no message of its topic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The channel does not declare the topic.
    #[error("channel `{channel}` has no topic `{topic}`")]
    UnknownTopic {
        /// The channel's template.
        channel: &'static str,
        /// The topic.
        topic: TopicName,
    },
    /// A value that JSON cannot hold.
    #[error("message of topic `{topic}` cannot be written as JSON: {cause}")]
    Encode {
        /// The topic.
        topic: TopicName,
        /// Which value, and why.
        #[source]
        cause: serde_json::Error,
    },
    /// JSON that is not a payload of the topic.
    #[error("payload of topic `{topic}` cannot be read: {cause}")]
    Decode {
        /// The topic.
        topic: TopicName,
        /// Where, and why.
        #[source]
        cause: serde_json::Error,
    },
}

impl PayloadError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopic { .. } => ErrorCode::BadTopic,
            Self::Encode { .. } | Self::Decode { .. } => ErrorCode::SchemaViolation,
        }
    }
}

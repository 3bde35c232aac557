//! What is published: an enum whose variants are the topics of one channel.
//!
//! A variant is the one value that says topic and payload, so a payload of another topic cannot be written down, and a
//! subscriber matches exhaustively. On the wire the topic's name stands beside the payload, which is the variant's content
//! alone:
//!
//! | variant | payload |
//! |---|---|
//! | `Status { message: String, step: Option<String> }` | an object; fields that are `None` are left out |
//! | `Line(String)` | that value |
//! | `Pair(u32, u32)` | an array |
//! | `Done` | `null` |
//!
//! Attributes of serde on fields count as usual. NaN and infinity are refused, as JSON has no such numbers.
//!
//! Files: `at` (a channel by name), `declaration` (what the derive says), `encode` and `decode` (the payload),
//! `finite` and `none` (what encoding looks for in values), `schema` (what a payload may be),
//! `untyped` (payloads without a type).

mod at;
pub(crate) mod declaration;
mod decode;
mod encode;
mod error;
mod finite;
mod none;
pub(crate) mod schema;
#[cfg(test)]
mod tests;
#[cfg(any(feature = "client", feature = "embedded"))]
pub(crate) mod untyped;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
pub use stepcast_protocol::{
    ChannelName, ChannelSpec, Keep, TopicName, TopicSpec, template::ParameterError,
};

pub use self::{at::ChannelAt, error::PayloadError, schema::says_more_than_type};

/// An enum whose variants are the topics of a channel. Derive it: see the [derive](derive@crate::Channel).
///
/// ```
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use stepcast::Channel;
///
/// #[derive(Channel, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
/// #[channel("pipeline:{job}")]
/// enum Pipeline {
///     #[topic(keep = "latest")]
///     Status { message: String, step: Option<String> },
/// }
///
/// let status = Pipeline::Status { message: "Starting…".into(), step: None };
/// let payload = status.encode()?;
/// assert_eq!(payload, r#"{"message":"Starting…"}"#);
/// assert_eq!(Pipeline::decode(&status.topic().name, &payload)?, status);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub trait Channel: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The channel's name or template and its topics, made once.
    fn spec() -> &'static ChannelSpec;

    /// The topic that this message belongs to.
    fn topic(&self) -> &'static TopicSpec;

    /// The message's payload as JSON, without its topic.
    ///
    /// # Errors
    /// [`PayloadError::Encode`] if a value cannot be JSON: NaN, infinity, a map whose keys are not texts, or what the
    /// user's own `Serialize` refuses.
    fn encode(&self) -> Result<Bytes, PayloadError>;

    /// The message that [`Self::encode`] made this payload of.
    ///
    /// A field of type `Option` that is absent reads as `None`.
    ///
    /// # Errors
    /// [`PayloadError::UnknownTopic`] if the channel declares no such topic, [`PayloadError::Decode`] if the payload is
    /// not one of this topic.
    fn decode(topic: &TopicName, payload: &[u8]) -> Result<Self, PayloadError>;
}

//! What a token permits.

use serde::{Deserialize, Serialize};

use crate::{
    cursor::Cursor,
    names::{ChannelName, TopicName},
};

/// The claims of a signed token. Clients treat the token as opaque.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Seconds since 1970 after which no connection can be opened with it.
    pub exp: i64,
    /// Seconds since 1970 at which it was minted; informative.
    pub iat: i64,
    /// A ULID that names the token in logs.
    pub jti: String,
    /// Where the server is for those who read, if it knows that: an origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What may be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<ChannelGrant>,
    /// Whether messages may be published, to any channel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub publish: bool,
}

/// Permission to read topics of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelGrant {
    /// The channel.
    pub channel: ChannelName,
    /// The topics.
    pub topics: Vec<TopicName>,
    /// Where the channel was when the token was minted: a subscription starts there.
    pub cursor: Cursor,
    /// Whether older messages than `cursor` may be read as well.
    pub history: bool,
    /// Seconds that a native connection may read on after it has shown the token; [`crate::limits::SESSION`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u64>,
}

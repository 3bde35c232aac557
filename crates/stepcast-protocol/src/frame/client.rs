//! What a client of the native protocol says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    beginning::Beginning,
    names::{ChannelName, TopicName},
    schema_hash::SchemaHash,
};

/// Names a frame, so that its answer can be told from others. The client chooses it, the answer repeats it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ref {
    /// A number.
    Number(u64),
    /// A text of at most [`crate::limits::NAME_BYTES`].
    Text(String),
}

/// A frame of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ClientFrame {
    /// Reads topics of one more channel, or more topics of one that is read already. Answered with `subscribed`.
    Sub {
        /// Names the frame.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Ref>,
        /// Permits it, and names the channel.
        token: String,
        /// Where to begin; where the token was minted, when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Beginning>,
        /// Which of the token's topics; all, when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topics: Option<Vec<TopicName>>,
        /// What the client was built against: hashes of schemas, by topic.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        schemas: BTreeMap<TopicName, SchemaHash>,
    },
    /// Stops reading a channel, or some of its topics. Answered with `unsubscribed`.
    Unsub {
        /// Names the frame.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Ref>,
        /// The channel.
        channel: ChannelName,
        /// Which topics; all, when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topics: Option<Vec<TopicName>>,
    },
    /// Lets a channel be read on under another token. Answered with `authenticated`.
    Auth {
        /// Names the frame.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Ref>,
        /// Names the channel, and at least the topics that are read.
        token: String,
    },
    /// Asks whether the server is there. Answered with `pong`.
    Ping {
        /// Names the frame.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Ref>,
        /// Comes back; at most [`crate::limits::PING_BYTES`] of JSON.
        #[serde(default)]
        data: Value,
    },
}

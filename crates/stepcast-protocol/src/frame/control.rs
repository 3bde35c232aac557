//! Answers of the server, and what it says of the connection itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Ref;
use crate::{
    cursor::{Cursor, Epoch},
    limits,
    names::{ChannelName, TopicName},
};

/// A frame that belongs to one connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ControlFrame {
    /// The first frame of every native connection.
    Hello {
        /// The version of the protocol that is spoken.
        protocol: u32,
        /// This life of the server's store.
        epoch: Epoch,
        /// How often the server pings, in milliseconds. A connection that is silent for three times as long is gone.
        keepalive_ms: u64,
        /// The channel that the connection's token names.
        channel: ChannelName,
        /// Its topics that are read.
        topics: Vec<TopicName>,
        /// Where the reading begins: a client that gets no more than this frame resumes here.
        cursor: Cursor,
        /// Seconds until the channel's session is over, unless it is refreshed by `auth`.
        session: u64,
        /// Topics that are not read, as the client was built against other schemas of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        outdated: Vec<TopicName>,
    },
    /// The answer to `sub`.
    Subscribed {
        /// As in the client's frame.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Ref>,
        /// The channel.
        channel: ChannelName,
        /// The topics that were added.
        topics: Vec<TopicName>,
        /// Where the reading of these begins.
        cursor: Cursor,
        /// Seconds until the channel's session is over.
        session: u64,
        /// As in `hello`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        outdated: Vec<TopicName>,
    },
    /// The answer to `unsub`.
    Unsubscribed {
        /// As in the client's frame.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Ref>,
        /// The channel.
        channel: ChannelName,
        /// The topics that are still read.
        topics: Vec<TopicName>,
    },
    /// The answer to `auth`.
    Authenticated {
        /// As in the client's frame.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Ref>,
        /// The channel.
        channel: ChannelName,
        /// Seconds until the channel's session is over.
        session: u64,
    },
    /// The answer to `ping`.
    Pong {
        /// As in the client's frame.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Ref>,
        /// As in the client's frame.
        data: Value,
    },
    /// A client's frame was not served. The connection goes on.
    Error {
        /// As in the client's frame, where it could be read.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Ref>,
        /// The code's name; see [`crate::ErrorCode`].
        code: String,
        /// A sentence for people.
        error: String,
    },
    /// What `outdated` of `hello` says, where there is no `hello`: on event streams.
    Outdated {
        /// The channel.
        channel: ChannelName,
        /// The topics that are not read.
        topics: Vec<TopicName>,
    },
    /// The server is about to close the connection.
    Closing {
        /// How long to wait before connecting again; another number for each connection, so that they do not all come at once.
        reconnect_ms: u64,
    },
}

impl ControlFrame {
    /// Says that the server goes. `chance`, between 0 and 1, spreads those who come back.
    #[must_use]
    pub fn closing(chance: f64) -> Self {
        let wait = limits::RECONNECT_SPREAD.mul_f64(chance);
        let reconnect_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self::Closing { reconnect_ms }
    }

    /// Its JSON.
    #[must_use]
    pub fn to_wire(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .expect("a frame of strings and numbers can always be written as JSON")
    }
}

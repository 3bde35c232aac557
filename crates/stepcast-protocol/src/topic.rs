//! What a channel declares: its topics, how each is kept and what its payloads look like.

use std::time::Duration;

use serde_json::Value;

use crate::{limits, names::TopicName, template::ChannelTemplate};

/// How a topic's messages are kept for those who join late.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Keep {
    /// In memory only, as long as the tail holds them. Not written to the store.
    Live,
    /// The last message.
    Latest,
    /// Every delta of the named string field while the run is open, one text per run afterwards.
    Text {
        /// The field whose values are joined.
        field: String,
    },
    /// Every message, until count, bytes or age trims it.
    #[default]
    Log,
}

/// How much of a topic is kept. What is not set is the server's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Messages of a `log` topic at most.
    pub messages: Option<u64>,
    /// Bytes of payload of a `log` topic at most.
    pub bytes: Option<u64>,
    /// How long a message stays after its run's end, or after it was accepted when no run published it.
    pub age: Option<Duration>,
}

/// A [`Retention`] with everything set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Messages of a `log` topic at most.
    pub messages: u64,
    /// Bytes of payload of a `log` topic at most.
    pub bytes: u64,
    /// How long a message stays after its run's end, or after it was accepted when no run published it.
    pub age: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            messages: limits::LOG_MESSAGES,
            bytes: limits::LOG_BYTES,
            age: limits::LOG_AGE,
        }
    }
}

impl Retention {
    /// These bounds, and the default's where none is set.
    #[must_use]
    pub fn or(self, default: Bounds) -> Bounds {
        Bounds {
            messages: self.messages.unwrap_or(default.messages),
            bytes: self.bytes.unwrap_or(default.bytes),
            age: self.age.unwrap_or(default.age),
        }
    }
}

impl Keep {
    /// Its name, as `#[topic(keep = "..")]` and the API have it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Latest => "latest",
            Self::Text { .. } => "text",
            Self::Log => "log",
        }
    }

    /// Whether a late joiner gets a snapshot instead of messages.
    #[must_use]
    pub fn folds(&self) -> bool {
        match self {
            Self::Latest | Self::Text { .. } => true,
            Self::Live | Self::Log => false,
        }
    }

    /// Whether messages are written to the store.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        match self {
            Self::Live => false,
            Self::Latest | Self::Text { .. } | Self::Log => true,
        }
    }
}

/// One topic as its channel declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicSpec {
    /// Its name on the wire.
    pub name: TopicName,
    /// How it is kept.
    pub keep: Keep,
    /// How much of it is kept.
    pub retention: Retention,
    /// The JSON Schema (draft 2020-12) of its payload; nothing when the topic is `unchecked`.
    pub schema: Option<Value>,
    /// What is said about it to people.
    pub doc: String,
}

/// One channel type: its name or template, and its topics.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelSpec {
    /// The names it can have.
    pub template: ChannelTemplate,
    /// Its topics, in the order they were declared.
    pub topics: Vec<TopicSpec>,
    /// The path of its Rust type, e.g. `app::Pipeline`; empty where there is none.
    pub rust_type: String,
    /// What is said about it to people.
    pub doc: String,
}

impl ChannelSpec {
    /// The topic of that name.
    #[must_use]
    pub fn topic(&self, name: &TopicName) -> Option<&TopicSpec> {
        self.topics.iter().find(|topic| topic.name == *name)
    }
}

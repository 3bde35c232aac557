//! What a channel declares: its topics, how each is kept and what its payloads look like.

use serde_json::Value;

use crate::{names::TopicName, template::ChannelTemplate};

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

impl Keep {
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
    /// The JSON Schema (draft 2020-12) of its payload; nothing when the topic is `unchecked`.
    pub schema: Option<Value>,
}

/// One channel type: its name or template, and its topics.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelSpec {
    /// The names it can have.
    pub template: ChannelTemplate,
    /// Its topics, in the order they were declared.
    pub topics: Vec<TopicSpec>,
}

impl ChannelSpec {
    /// The topic of that name.
    #[must_use]
    pub fn topic(&self, name: &TopicName) -> Option<&TopicSpec> {
        self.topics.iter().find(|topic| topic.name == *name)
    }
}

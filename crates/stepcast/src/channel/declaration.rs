//! What the derive says about a channel, and the calls it makes.

use std::sync::OnceLock;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use stepcast_protocol::{self as protocol, ChannelSpec, Retention, TopicName, TopicSpec};

use super::{PayloadError, decode, encode, schema::Schemas};

/// A channel as the derive read it. It lives in one static per channel type.
#[derive(Debug)]
pub struct Declaration {
    template: &'static str,
    rust_type: &'static str,
    doc: &'static str,
    topics: &'static [Topic],
    schemas: Option<fn() -> Schemas>,
    spec: OnceLock<ChannelSpec>,
}

/// One variant.
#[derive(Debug)]
pub struct Topic {
    /// The variant, as serde knows it.
    pub variant: &'static str,
    /// The topic's name.
    pub name: &'static str,
    /// How it is kept.
    pub keep: Keep,
    /// How much of it is kept.
    pub retention: Retention,
    /// Whether it has no schema.
    pub is_unchecked: bool,
    /// Whether fields that are `None` are left out.
    pub omits_none: bool,
    /// What is said about it.
    pub doc: &'static str,
}

/// [`protocol::Keep`] as a constant.
#[derive(Debug)]
pub enum Keep {
    /// In memory only.
    Live,
    /// The last message.
    Latest,
    /// The field's values, joined.
    Text(&'static str),
    /// Every message.
    Log,
}

impl Declaration {
    /// `rust_type` is the enum's path. `schemas` is absent if every topic is unchecked.
    #[must_use]
    pub const fn new(
        template: &'static str,
        rust_type: &'static str,
        doc: &'static str,
        topics: &'static [Topic],
        schemas: Option<fn() -> Schemas>,
    ) -> Self {
        Self {
            template,
            rust_type,
            doc,
            topics,
            schemas,
            spec: OnceLock::new(),
        }
    }

    /// The channel for the engine and its clients.
    pub fn spec(&self) -> &ChannelSpec {
        self.spec.get_or_init(|| {
            let schemas = self.schemas.map(|schemas| schemas());
            ChannelSpec {
                template: self.template.parse().expect("the derive checks templates"),
                topics: self
                    .topics
                    .iter()
                    .map(|topic| topic.spec(schemas.as_ref()))
                    .collect(),
                rust_type: self.rust_type.to_owned(),
                doc: self.doc.to_owned(),
            }
        })
    }

    /// The topic of the variant at `index`.
    pub fn topic(&self, index: usize) -> &TopicSpec {
        &self.spec().topics[index]
    }

    /// The payload of a message whose variant is at `index`.
    ///
    /// # Errors
    /// [`PayloadError::Encode`].
    pub fn encode(&self, message: &impl Serialize, index: usize) -> Result<Bytes, PayloadError> {
        encode::content(message, self.topics[index].omits_none).map_err(|cause| {
            PayloadError::Encode {
                topic: self.topic(index).name.clone(),
                cause,
            }
        })
    }

    /// The message of a payload.
    ///
    /// # Errors
    /// [`PayloadError::UnknownTopic`] and [`PayloadError::Decode`].
    pub fn decode<C: DeserializeOwned>(
        &self,
        topic: &TopicName,
        payload: &[u8],
    ) -> Result<C, PayloadError> {
        let Some(declared) = self.topics.iter().find(|declared| *topic == declared.name) else {
            return Err(PayloadError::UnknownTopic {
                channel: self.template,
                topic: topic.clone(),
            });
        };
        decode::content(declared.variant, payload).map_err(|cause| PayloadError::Decode {
            topic: topic.clone(),
            cause,
        })
    }
}

impl Topic {
    fn spec(&self, schemas: Option<&Schemas>) -> TopicSpec {
        let schemas = schemas.filter(|_| !self.is_unchecked);
        TopicSpec {
            name: TopicName::parse(self.name).expect("the derive checks topics' names"),
            keep: self.keep.to_protocol(),
            retention: self.retention,
            schema: schemas.map(|schemas| schemas.of_variant(self.variant, self.omits_none)),
            doc: self.doc.to_owned(),
        }
    }
}

impl Keep {
    fn to_protocol(&self) -> protocol::Keep {
        match *self {
            Self::Live => protocol::Keep::Live,
            Self::Latest => protocol::Keep::Latest,
            Self::Text(field) => protocol::Keep::Text {
                field: field.to_owned(),
            },
            Self::Log => protocol::Keep::Log,
        }
    }
}

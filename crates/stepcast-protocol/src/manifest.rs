//! The channels of an app, as code generators read them.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    names::TopicName,
    schema_hash::SchemaHash,
    template::{ChannelTemplate, TemplateError},
    topic::{ChannelSpec, Keep, Retention, TopicSpec},
};

/// The version of the manifest that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// The keyword under which a definition in a topic's schema has the path of its Rust type, e.g. `app::Page<string>`.
pub const RUST_TYPE: &str = "x-rust-type";

/// Every channel that an app declares, sorted. What it prints is indented JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// By template.
    pub channels: Vec<ChannelManifest>,
}

/// One channel type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelManifest {
    /// Its name, with parameters in braces.
    pub template: String,
    /// The path of its Rust type; empty where there is none.
    #[serde(default)]
    pub rust_type: String,
    /// The template's parameters, in their order.
    #[serde(default)]
    pub parameters: Vec<String>,
    /// What is said about it to people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// By name.
    pub topics: Vec<TopicManifest>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicManifest {
    /// Its name on the wire.
    pub name: TopicName,
    /// `live`, `latest`, `text` or `log`, which is meant where nothing is said.
    #[serde(default = "log")]
    pub keep: String,
    /// The field that a `text` topic joins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Messages that are kept of a `log` topic at most; the server's default where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// Bytes of payload that are kept of a `log` topic at most; the server's default where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Seconds that a message is kept, where it is kept at all; the server's default where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// What is said about it to people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// Whether payloads are not held against a schema; then there is none.
    #[serde(default)]
    pub unchecked: bool,
    /// The JSON Schema (draft 2020-12) of what is published, with its definitions under `$defs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// What a reader sees of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_hash: Option<SchemaHash>,
}

impl Manifest {
    /// The manifest of these channels.
    pub fn of<'a>(channels: impl IntoIterator<Item = &'a ChannelSpec>) -> Self {
        let mut channels: Vec<_> = channels.into_iter().map(ChannelManifest::of).collect();
        channels.sort_by(|one, other| one.template.cmp(&other.template));
        Self {
            version: VERSION,
            channels,
        }
    }
}

impl ChannelManifest {
    fn of(spec: &ChannelSpec) -> Self {
        let ChannelSpec {
            template,
            topics,
            rust_type,
            doc,
        } = spec;
        let mut topics: Vec<_> = topics.iter().map(TopicManifest::of).collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            template: template.to_string(),
            rust_type: rust_type.clone(),
            parameters: template.parameters().map(str::to_owned).collect(),
            doc: doc.clone(),
            topics,
        }
    }

    /// Its name as text and parameters.
    ///
    /// # Errors
    /// When a manifest that was written by others has a template that is none.
    pub fn template(&self) -> Result<ChannelTemplate, TemplateError> {
        self.template.parse()
    }

    /// What it declares.
    ///
    /// # Errors
    /// [`ManifestError`], when a manifest that was written by others declares nothing that can be.
    pub fn spec(&self) -> Result<ChannelSpec, ManifestError> {
        let topics = self.topics.iter().map(TopicManifest::spec);
        Ok(ChannelSpec {
            template: self.template()?,
            topics: topics.collect::<Result<_, _>>()?,
            rust_type: self.rust_type.clone(),
            doc: self.doc.clone(),
        })
    }
}

/// Why a manifest declares no channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// A name that is none.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A topic of the engine.
    #[error("topic `{0}` is reserved, as all names that begin with `$`; choose another name")]
    Reserved(TopicName),
    /// A way to be kept that does not exist.
    #[error("topic `{topic}` keeps `{keep}`; it can keep `live`, `latest`, `text` or `log`")]
    Keep {
        /// The topic.
        topic: TopicName,
        /// What is said.
        keep: String,
    },
    /// Nothing at all.
    #[error("`{bound}` of topic `{topic}` is 0, which is no bound; give a number from 1 on")]
    NoBound {
        /// The topic.
        topic: TopicName,
        /// Which bound.
        bound: &'static str,
    },
    /// A bound of what is not there.
    #[error("`{bound}` does not bound topic `{topic}`, which keeps `{keep}`; remove it")]
    Unbounded {
        /// The topic.
        topic: TopicName,
        /// Which bound.
        bound: &'static str,
        /// How the topic is kept.
        keep: &'static str,
    },
    /// Text of no field.
    #[error("topic `{0}` keeps text and does not say of which field; add `\"text\": \"<field>\"`")]
    NoField(TopicName),
}

/// How a topic is kept that does not say it.
fn log() -> String {
    Keep::Log.as_str().to_owned()
}

impl TopicManifest {
    fn of(spec: &TopicSpec) -> Self {
        let TopicSpec {
            name,
            keep,
            retention,
            schema,
            doc,
        } = spec;
        Self {
            name: name.clone(),
            keep: keep.as_str().to_owned(),
            text: match keep {
                Keep::Text { field } => Some(field.clone()),
                Keep::Live | Keep::Latest | Keep::Log => None,
            },
            messages: retention.messages,
            bytes: retention.bytes,
            age_seconds: retention.age.map(|age| age.as_secs()),
            doc: doc.clone(),
            unchecked: schema.is_none(),
            schema: schema.clone(),
            schema_hash: schema.as_ref().map(SchemaHash::of),
        }
    }

    fn spec(&self) -> Result<TopicSpec, ManifestError> {
        let topic = self.name.clone();
        if topic.is_reserved() {
            return Err(ManifestError::Reserved(topic));
        }
        let keep = match (&*self.keep, &self.text) {
            ("live", _) => Keep::Live,
            ("latest", _) => Keep::Latest,
            ("log", _) => Keep::Log,
            ("text", Some(field)) => Keep::Text {
                field: field.clone(),
            },
            ("text", None) => return Err(ManifestError::NoField(topic)),
            (other, _) => {
                let keep = other.chars().take(64).collect();
                return Err(ManifestError::Keep { topic, keep });
            }
        };
        let retention = self.retention(&keep)?;
        Ok(TopicSpec {
            name: topic,
            keep,
            retention,
            schema: self.schema.clone(),
            doc: self.doc.clone(),
        })
    }

    /// The bounds, if they go with how the topic is kept.
    fn retention(&self, keep: &Keep) -> Result<Retention, ManifestError> {
        let is_log = *keep == Keep::Log;
        for (bound, given, is_kept) in [
            ("messages", self.messages, is_log),
            ("bytes", self.bytes, is_log),
            ("age_seconds", self.age_seconds, keep.is_stored()),
        ] {
            let topic = self.name.clone();
            match given {
                Some(0) => return Err(ManifestError::NoBound { topic, bound }),
                Some(_) if !is_kept => {
                    let keep = keep.as_str();
                    return Err(ManifestError::Unbounded { topic, bound, keep });
                }
                Some(_) | None => {}
            }
        }
        Ok(Retention {
            messages: self.messages,
            bytes: self.bytes,
            age: self.age_seconds.map(Duration::from_secs),
        })
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Retention;

    fn topic(name: &str, keep: Keep, schema: Option<Value>) -> TopicSpec {
        TopicSpec {
            name: TopicName::parse(name).unwrap(),
            keep,
            retention: Retention::default(),
            schema,
            doc: String::new(),
        }
    }

    #[test]
    fn it_is_sorted_and_reads_back() {
        let text = Keep::Text { field: "t".into() };
        let spec = |template: &str| ChannelSpec {
            template: template.parse().unwrap(),
            topics: vec![
                topic("tokens", text.clone(), Some(json!({ "type": "object" }))),
                TopicSpec {
                    retention: Retention {
                        messages: Some(3),
                        bytes: None,
                        age: Some(Duration::from_secs(60)),
                    },
                    ..topic("said", Keep::Log, None)
                },
                topic("raw", Keep::Live, None),
            ],
            rust_type: "app::Pipeline".into(),
            doc: "Progress.".into(),
        };
        let manifest = Manifest::of(&[spec("pipeline:{org}:{job}"), spec("a")]);
        let templates: Vec<_> = manifest
            .channels
            .iter()
            .map(|channel| &*channel.template)
            .collect();
        assert_eq!(templates, ["a", "pipeline:{org}:{job}"]);
        assert_eq!(manifest.channels[1].parameters, ["org", "job"]);
        let printed = manifest.to_string();
        assert_eq!(
            serde_json::from_str::<Manifest>(&printed).unwrap(),
            manifest
        );
        let specs: Vec<_> = manifest
            .channels
            .iter()
            .map(ChannelManifest::spec)
            .collect();
        assert_eq!(
            Manifest::of(&specs.into_iter().collect::<Result<Vec<_>, _>>().unwrap()),
            manifest
        );
        let raw = json!({ "name": "raw", "keep": "live", "unchecked": true });
        let read: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(read["channels"][0]["topics"][0], raw);
        let said = json!({ "name": "said", "keep": "log", "messages": 3, "age_seconds": 60, "unchecked": true });
        assert_eq!(read["channels"][0]["topics"][1], said);
        assert_eq!(read["channels"][0]["topics"][2]["text"], "t");
    }
}

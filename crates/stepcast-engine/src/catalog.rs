//! What is known of channels: which topics they declare, how each is kept, and what its payloads must look like.
//!
//! A channel that nobody declares takes every topic, kept as `log`, as publishers of npm `inngest` declare nothing.

mod integers;

use std::{collections::HashMap, fmt, sync::Arc};

use jsonschema::Validator;
use parking_lot::RwLock;
use stepcast_protocol::{Bounds, ChannelName, ChannelSpec, Keep, SchemaHash, TopicName, TopicSpec};

pub use self::integers::{has_wide_integers, may_hold_unsafe_integer};
use crate::error::EngineError;

/// The channels an app declares. A cheap handle.
#[derive(Clone, Default)]
pub struct Catalog(Arc<RwLock<State>>);

#[derive(Default)]
struct State {
    bounds: Bounds,
    channels: Vec<Arc<Declared>>,
    by_template: HashMap<String, Arc<Declared>>,
}

/// One declared channel, with its schemas compiled.
struct Declared {
    spec: ChannelSpec,
    validators: Vec<Option<Validator>>,
    hashes: Vec<Option<SchemaHash>>,
}

impl Catalog {
    /// Declares a channel. Declaring the same one again changes nothing.
    ///
    /// # Errors
    /// [`EngineError::ChannelsOverlap`] when another one can have the same name, [`EngineError::BadSchema`] when a schema cannot be compiled.
    pub fn declare(&self, spec: &ChannelSpec) -> Result<(), EngineError> {
        if self
            .0
            .read()
            .by_template
            .get(spec.template.as_str())
            .is_some_and(|known| known.spec == *spec)
        {
            return Ok(());
        }
        let declared = Arc::new(Declared::compile(spec)?);
        let mut state = self.0.write();
        if let Some(known) = state.by_template.get(spec.template.as_str())
            && known.spec == *spec
        {
            return Ok(());
        }
        if let Some(other) = state
            .channels
            .iter()
            .find(|known| known.spec.template.overlaps(&spec.template))
        {
            let (other, this) = (other.spec.template.to_string(), spec.template.to_string());
            return Err(EngineError::ChannelsOverlap(other, this));
        }
        state
            .by_template
            .insert(spec.template.as_str().to_owned(), Arc::clone(&declared));
        state.channels.push(declared);
        Ok(())
    }

    /// How a topic of a channel is kept, once its payload has been found to fit. Integers that the schema gives 64 bits must be ones that
    /// pages can read.
    ///
    /// # Errors
    /// [`EngineError::UnknownTopic`] and [`EngineError::SchemaViolation`].
    pub fn check(
        &self,
        channel: &ChannelName,
        topic: &TopicName,
        payload: &[u8],
    ) -> Result<Keep, EngineError> {
        let Some(declared) = self.of(channel) else {
            return Ok(Keep::Log);
        };
        let (index, spec) = declared.topic(channel, topic)?;
        if let Some(validator) = &declared.validators[index] {
            check_schema(validator, spec, payload)?;
        }
        Ok(spec.keep.clone())
    }

    /// How a topic of a channel is kept. Topics that nobody declares are logs, and so is `$stream`; those that
    /// the engine makes are not kept.
    #[must_use]
    pub fn keep(&self, channel: &ChannelName, topic: &TopicName) -> Keep {
        if topic.is_stream() {
            return Keep::Log;
        }
        if topic.is_reserved() {
            return Keep::Live;
        }
        self.of(channel)
            .and_then(|declared| declared.spec.topic(topic).map(|spec| spec.keep.clone()))
            .unwrap_or_default()
    }

    /// How much of a topic is kept.
    #[must_use]
    pub fn bounds(&self, channel: &ChannelName, topic: &TopicName) -> Bounds {
        let default = self.0.read().bounds;
        self.of(channel)
            .and_then(|declared| {
                declared
                    .spec
                    .topic(topic)
                    .map(|spec| spec.retention.or(default))
            })
            .unwrap_or(default)
    }

    /// The topics that a channel declares.
    #[must_use]
    pub fn topics(&self, channel: &ChannelName) -> Vec<TopicName> {
        self.of(channel).map_or_else(Vec::new, |declared| {
            let names = declared.spec.topics.iter().map(|topic| topic.name.clone());
            names.collect()
        })
    }

    /// Every channel that is declared, in the order in which they were.
    #[must_use]
    pub fn specs(&self) -> Vec<ChannelSpec> {
        let state = self.0.read();
        let specs = state.channels.iter();
        specs.map(|declared| declared.spec.clone()).collect()
    }

    /// Whether who was built against a schema of this hash can no longer read a topic of a channel. Where nothing is declared, or the topic
    /// is `unchecked`, everybody can.
    #[must_use]
    pub fn is_outdated(&self, channel: &ChannelName, topic: &TopicName, hash: &SchemaHash) -> bool {
        let Some(declared) = self.of(channel) else {
            return false;
        };
        let mut topics = declared.spec.topics.iter();
        match topics.position(|spec| spec.name == *topic) {
            Some(index) => declared.hashes[index]
                .as_ref()
                .is_some_and(|now| !now.is_compatible(hash)),
            None => !topic.is_reserved(),
        }
    }

    /// Sets how much is kept of topics that do not say it themselves.
    pub fn set_default_bounds(&self, bounds: Bounds) {
        self.0.write().bounds = bounds;
    }

    fn of(&self, channel: &ChannelName) -> Option<Arc<Declared>> {
        self.0
            .read()
            .channels
            .iter()
            .find(|declared| declared.spec.template.matches(channel))
            .map(Arc::clone)
    }
}

impl Declared {
    fn compile(spec: &ChannelSpec) -> Result<Self, EngineError> {
        let compile = |topic: &TopicSpec| {
            let Some(schema) = &topic.schema else {
                return Ok(None);
            };
            let validator = jsonschema::options()
                .should_validate_formats(true)
                .build(&integers::bounded(schema));
            validator.map(Some).map_err(|error| EngineError::BadSchema {
                channel: spec.template.to_string(),
                topic: topic.name.clone(),
                cause: error.to_string(),
            })
        };
        let validators = spec.topics.iter().map(compile).collect::<Result<_, _>>()?;
        let hash = |topic: &TopicSpec| topic.schema.as_ref().map(SchemaHash::of);
        Ok(Self {
            spec: spec.clone(),
            validators,
            hashes: spec.topics.iter().map(hash).collect(),
        })
    }

    fn topic(
        &self,
        channel: &ChannelName,
        topic: &TopicName,
    ) -> Result<(usize, &TopicSpec), EngineError> {
        let found = self
            .spec
            .topics
            .iter()
            .enumerate()
            .find(|(_, spec)| spec.name == *topic);
        found.ok_or_else(|| {
            let names: Vec<_> = self
                .spec
                .topics
                .iter()
                .map(|spec| format!("`{}`", spec.name))
                .collect();
            let declared = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            EngineError::UnknownTopic {
                channel: channel.to_string(),
                topic: topic.clone(),
                declared,
            }
        })
    }
}

fn check_schema(
    validator: &Validator,
    topic: &TopicSpec,
    payload: &[u8],
) -> Result<(), EngineError> {
    let value = serde_json::from_slice(payload).map_err(|error| EngineError::PayloadNotJson {
        topic: topic.name.clone(),
        cause: error.to_string(),
    })?;
    let Err(error) = validator.validate(&value) else {
        return Ok(());
    };
    let (error, advice) = match integers::unsafe_integer(&error) {
        Some(integer) => (integer, integers::ADVICE),
        None => (&error, ""),
    };
    Err(EngineError::SchemaViolation {
        topic: topic.name.clone(),
        pointer: error.instance_path().to_string(),
        problem: format!("{error}{advice}"),
    })
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let templates: Vec<_> = self
            .0
            .read()
            .channels
            .iter()
            .map(|known| known.spec.template.to_string())
            .collect();
        f.debug_tuple("Catalog").field(&templates).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name(text: &str) -> ChannelName {
        ChannelName::parse(text).unwrap()
    }

    fn spec(template: &str) -> ChannelSpec {
        let schema =
            json!({"type": "object", "properties": {"age": {"type": "integer", "maximum": 150}}});
        let topic = TopicSpec {
            name: TopicName::parse("person").unwrap(),
            keep: Keep::Latest,
            retention: Default::default(),
            schema: Some(schema),
            doc: String::new(),
        };
        ChannelSpec {
            template: template.parse().unwrap(),
            topics: vec![topic],
            rust_type: String::new(),
            doc: String::new(),
        }
    }

    #[test]
    fn a_payload_that_does_not_fit_is_pointed_at() {
        let catalog = Catalog::default();
        catalog.declare(&spec("people:{team}")).unwrap();
        let person = TopicName::parse("person").unwrap();
        assert_eq!(
            catalog
                .check(&name("people:a"), &person, br#"{"age":7}"#)
                .unwrap(),
            Keep::Latest
        );
        let error = catalog
            .check(&name("people:a"), &person, br#"{"age":151}"#)
            .unwrap_err();
        assert!(
            matches!(&error, EngineError::SchemaViolation { pointer, .. } if pointer == "/age"),
            "{error}"
        );
        let other = TopicName::parse("pets").unwrap();
        let error = catalog
            .check(&name("people:a"), &other, b"{}")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "channel `people:a` declares no topic `pets`; it has `person`"
        );
        assert_eq!(
            catalog.check(&name("other"), &other, b"{}").unwrap(),
            Keep::Log
        );
    }

    #[test]
    fn templates_that_can_meet_are_refused() {
        let catalog = Catalog::default();
        catalog.declare(&spec("chat:{room}")).unwrap();
        catalog.declare(&spec("chat:{room}")).unwrap();
        let error = catalog
            .declare(&spec("chat:lobby"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "channels `chat:{room}` and `chat:lobby` can have the same name; give one another prefix"
        );
    }
}

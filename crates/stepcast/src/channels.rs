//! Channels as an app uses them: declared when first seen, payloads made and checked.

use std::{any::TypeId, collections::HashMap, sync::Arc};

use bytes::Bytes;
use parking_lot::RwLock;
use stepcast_engine::{
    EngineError,
    catalog::{Catalog, has_wide_integers, may_hold_unsafe_integer},
};
use stepcast_protocol::{ChannelName, ChannelSpec, Keep, Manifest, TopicName, limits};

use crate::{
    channel::{Channel, says_more_than_type},
    error::Error,
};

/// The channel types of an app. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Channels {
    catalog: Catalog,
    seen: Arc<RwLock<HashMap<TypeId, Arc<Checked>>>>,
}

/// Topics of a channel type whose payloads are held against their schema although their type is right.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// Their schema says more than their type.
    always: Vec<TopicName>,
    /// They have integers of 64 bits: only payloads that may hold one that pages cannot read.
    long_integers: Vec<TopicName>,
}

/// A message as the engine takes it.
pub(crate) struct Encoded {
    pub(crate) topic: TopicName,
    pub(crate) payload: Bytes,
    pub(crate) keep: Keep,
}

impl Channels {
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What code generators read of them.
    pub(crate) fn manifest(&self) -> Manifest {
        Manifest::of(&self.catalog.specs())
    }

    /// Makes a channel type known; cheap when it is.
    pub(crate) fn declare<C: Channel>(&self) -> Result<Arc<Checked>, Error> {
        if let Some(checked) = self.seen.read().get(&TypeId::of::<C>()) {
            return Ok(Arc::clone(checked));
        }
        let spec = C::spec();
        self.catalog.declare(spec).map_err(Error::engine)?;
        let checked = Arc::new(Checked::of(spec));
        self.seen
            .write()
            .insert(TypeId::of::<C>(), Arc::clone(&checked));
        Ok(checked)
    }

    /// A message's topic and payload, checked.
    pub(crate) fn encode<C: Channel>(
        &self,
        channel: &ChannelName,
        message: &C,
    ) -> Result<Encoded, Error> {
        let checked = self.declare::<C>()?;
        let topic = message.topic();
        let payload = message
            .encode()
            .map_err(|error| Error::coded(error.code(), error))?;
        if payload.len() > limits::MESSAGE_BYTES {
            let error = EngineError::PayloadTooLarge {
                topic: topic.name.clone(),
                bytes: payload.len(),
            };
            return Err(Error::engine(error));
        }
        if checked.concerns(&topic.name, &payload) {
            self.catalog
                .check(channel, &topic.name, &payload)
                .map_err(Error::engine)?;
        }
        Ok(Encoded {
            topic: topic.name.clone(),
            payload,
            keep: topic.keep.clone(),
        })
    }
}

impl Checked {
    fn of(spec: &ChannelSpec) -> Self {
        let mut checked = Self::default();
        for topic in &spec.topics {
            let Some(schema) = &topic.schema else {
                continue;
            };
            if says_more_than_type(schema) {
                checked.always.push(topic.name.clone());
            } else if has_wide_integers(schema) {
                checked.long_integers.push(topic.name.clone());
            }
        }
        checked
    }

    fn concerns(&self, topic: &TopicName, payload: &[u8]) -> bool {
        self.always.contains(topic)
            || (self.long_integers.contains(topic) && may_hold_unsafe_integer(payload))
    }
}

impl Error {
    /// An error of the engine keeps its code.
    pub(crate) fn engine(error: EngineError) -> Self {
        Self::coded(error.code(), error)
    }
}

//! Channels as an app uses them: declared when first seen, payloads made and checked.

use std::{any::TypeId, collections::HashMap, sync::Arc};

use bytes::Bytes;
use parking_lot::RwLock;
use stepcast_engine::{EngineError, catalog::Catalog};
use stepcast_protocol::{ChannelName, Keep, Manifest, TopicName, limits};

use crate::{
    channel::{Channel, says_more_than_type},
    error::Error,
};

/// The channel types of an app. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Channels {
    catalog: Catalog,
    /// Per type, the topics whose payloads are held against their schema although their type is right.
    seen: Arc<RwLock<HashMap<TypeId, Arc<[TopicName]>>>>,
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
    pub(crate) fn declare<C: Channel>(&self) -> Result<Arc<[TopicName]>, Error> {
        if let Some(checked) = self.seen.read().get(&TypeId::of::<C>()) {
            return Ok(Arc::clone(checked));
        }
        let spec = C::spec();
        self.catalog.declare(spec).map_err(Error::engine)?;
        let says_more =
            |schema: &Option<serde_json::Value>| schema.as_ref().is_some_and(says_more_than_type);
        let checked: Arc<[TopicName]> = spec
            .topics
            .iter()
            .filter(|topic| says_more(&topic.schema))
            .map(|topic| topic.name.clone())
            .collect();
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
        if checked.contains(&topic.name) {
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

impl Error {
    /// An error of the engine keeps its code.
    pub(crate) fn engine(error: EngineError) -> Self {
        Self::coded(error.code(), error)
    }
}

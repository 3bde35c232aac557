//! Topics that are not kept but made: from what the store knows of runs. The hub knows no runs, so somebody who does makes them.

use std::sync::Arc;

use bytes::Bytes;
use stepcast_protocol::{ChannelName, Cursor, Kind, Message, Origin, Timestamp, TopicName};

use crate::store::{BoxFuture, StoreError};

/// One part of what a derived topic has come to.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) payload: Bytes,
    pub(crate) at: Timestamp,
    pub(crate) origin: Option<Arc<Origin>>,
}

impl Piece {
    pub(super) fn into_message(self, topic: &TopicName, cursor: Cursor) -> Message {
        let Self {
            payload,
            at,
            origin,
        } = self;
        Message {
            cursor,
            topic: topic.clone(),
            kind: Kind::Data,
            payload,
            created_at: at,
            origin,
        }
    }
}

/// Makes the topics of runs.
pub(crate) trait Derive: Send + Sync + 'static {
    /// What the topic of that channel has come to; nothing when the channel is no run's.
    fn derive(
        &self,
        channel: &ChannelName,
        topic: &TopicName,
    ) -> BoxFuture<'static, Result<Option<Vec<Piece>>, StoreError>>;
}

//! One item on a topic, and its form on the wire.

use std::{borrow::Cow, fmt::Display, sync::Arc};

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{
    cursor::Cursor,
    ids::RunId,
    names::{ChannelName, StepId, TopicName},
    timestamp::Timestamp,
};

/// Who published a message, when a function did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The run.
    pub run: RunId,
    /// The step; nothing when the function's body published.
    pub step: Option<StepId>,
    /// Which try of the step (or of the body) this was, from 1; 0 when somebody outside published in the run's name.
    pub attempt: u32,
}

/// What an item of a channel's log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something was published.
    Data,
    /// An attempt failed: what it published to this topic after `after` and before this record is void. The attempt is the
    /// record's [`Origin`]; a record has no payload.
    Rollback {
        /// Earlier messages of the attempt stand.
        after: Cursor,
    },
    /// The run that counts for the channel has ended. Only npm `inngest` is told so, as a frame of kind `run`; it is not kept.
    Ended {
        /// Which of its connections are.
        told: Told,
    },
    /// Where a run is that the channel belongs to, or that has published there. Only npm `inngest` connections that read the topic `$run`
    /// are told so, as a frame of kind `run`; it is not kept.
    Status,
}

/// Which connections of npm `inngest` are told of a run's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Those whose token names the topic `$run`: with the run's result.
    Followers,
    /// All others: with the result where the function exposes it.
    Others,
}

/// One item of a channel's log: a published message, or the record that some are void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its place in the channel.
    pub cursor: Cursor,
    /// Its topic.
    pub topic: TopicName,
    /// What it says.
    pub kind: Kind,
    /// Its payload: one JSON text, kept byte for byte. Empty for a record.
    pub payload: Bytes,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Who published it; nothing when it came from outside a function.
    pub origin: Option<Arc<Origin>>,
}

/// The environment that unmodified `inngest` clients expect in `env_id`; Stepcast has one.
pub const ENVIRONMENT: &str = "00000000-0000-4000-b000-000000000000";

impl Message {
    /// Whether it was published, rather than being a record about others.
    #[must_use]
    pub fn is_data(&self) -> bool {
        match self.kind {
            Kind::Data => true,
            Kind::Rollback { .. } | Kind::Ended { .. } | Kind::Status => false,
        }
    }

    /// Whether this record makes the other message void.
    #[must_use]
    pub fn voids(&self, other: &Self) -> bool {
        match self.kind {
            Kind::Data | Kind::Ended { .. } | Kind::Status => false,
            Kind::Rollback { after } => {
                other.is_data()
                    && other.topic == self.topic
                    && other.cursor > after
                    && other.cursor < self.cursor
                    && other.origin == self.origin
            }
        }
    }

    /// The frame of kind `data` that both npm `inngest` and native readers understand, or that of kind `run` for npm `inngest` alone.
    ///
    /// It contains nothing that belongs to one connection, so that one encoding serves every reader. Absent values are left
    /// out, as `inngest` drops a frame with `null` in an optional field. A payload that is not JSON is sent as a string; no
    /// publisher can cause that.
    #[must_use]
    pub fn to_wire(&self, channel: &ChannelName) -> Vec<u8> {
        let origin = self.origin.as_deref();
        let data = raw_payload(&self.payload);
        let frame = DataFrame {
            kind: match self.kind {
                Kind::Data | Kind::Rollback { .. } => "data",
                Kind::Ended { .. } | Kind::Status => "run",
            },
            data: &data,
            created_at: self.created_at,
            channel,
            env_id: ENVIRONMENT,
            topic: &self.topic,
            run_id: origin.map(|origin| origin.run),
            step_id: origin.and_then(|origin| origin.step.as_ref()),
            attempt: origin
                .map(|origin| origin.attempt)
                .filter(|attempt| *attempt > 0),
            id: self.cursor,
        };
        serde_json::to_vec(&frame)
            .expect("a frame of strings and numbers can always be written as JSON")
    }
}

/// A payload as raw JSON.
pub(crate) fn raw_payload(payload: &[u8]) -> Cow<'_, RawValue> {
    match serde_json::from_slice(payload) {
        Ok(json) => Cow::Borrowed(json),
        Err(_) => {
            let text = serde_json::value::to_raw_value(&String::from_utf8_lossy(payload));
            Cow::Owned(text.expect("a string can always be written as JSON"))
        }
    }
}

fn shown<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[derive(Serialize)]
struct DataFrame<'a> {
    kind: &'static str,
    data: &'a RawValue,
    #[serde(serialize_with = "shown")]
    created_at: Timestamp,
    channel: &'a ChannelName,
    env_id: &'static str,
    topic: &'a TopicName,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_id: Option<&'a StepId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    id: Cursor,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::{Epoch, Offset};

    #[test]
    fn the_frame_keeps_the_payload_and_leaves_absent_values_out() {
        let message = Message {
            cursor: Cursor::new(Epoch(7), Offset(3)),
            topic: TopicName::parse("status").unwrap(),
            kind: Kind::Data,
            payload: Bytes::from_static(br#"{"n":1.50}"#),
            created_at: Timestamp::from_millis(0),
            origin: None,
        };
        let channel = ChannelName::parse("pipeline:r1").unwrap();
        let frame = String::from_utf8(message.to_wire(&channel)).unwrap();
        assert_eq!(
            frame,
            r#"{"kind":"data","data":{"n":1.50},"created_at":"1970-01-01T00:00:00.000Z","channel":"pipeline:r1","#.to_owned()
                + r#""env_id":"00000000-0000-4000-b000-000000000000","topic":"status","id":"7-3"}"#
        );
    }
}

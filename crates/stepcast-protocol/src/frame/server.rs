//! Every frame of the server, as a client reads it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{control::ControlFrame, notice::GapReason};
use crate::{
    cursor::Cursor,
    ids::RunId,
    names::{ChannelName, StepId, TopicName},
};

/// A message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DataFrame {
    /// Its channel.
    pub channel: ChannelName,
    /// Its topic.
    pub topic: TopicName,
    /// Its place in the channel.
    pub id: Cursor,
    /// Its payload, byte for byte.
    pub data: Box<RawValue>,
    /// When it was accepted (RFC 3339).
    pub created_at: String,
    /// The run that published it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The step of the run; absent when its body published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_id: Option<StepId>,
    /// Which try of the step (or of the body) it was, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// One part of a snapshot: a message, or what one attempt has said on a `text` topic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PieceFrame {
    /// The payload; of a text, that of its last message with the whole text in its field.
    pub data: Box<RawValue>,
    /// When its last message was accepted (RFC 3339).
    pub created_at: String,
    /// The run that published it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The step of the run; absent when its body published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_id: Option<StepId>,
    /// Which try it was, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Its last message.
    pub id: Cursor,
}

/// What a topic has come to; takes the place of everything the client holds of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SnapshotFrame {
    /// The channel.
    pub channel: ChannelName,
    /// The topic.
    pub topic: TopicName,
    /// Up to and with this cursor, the topic's messages are in it.
    pub id: Cursor,
    /// Its parts, in order.
    pub data: Vec<PieceFrame>,
}

/// An attempt failed: what it has published to the topic after `after` and before `id` is void.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RollbackFrame {
    /// The channel.
    pub channel: ChannelName,
    /// The topic.
    pub topic: TopicName,
    /// When the failure was recorded (RFC 3339).
    pub created_at: String,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The step; absent when the body failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_id: Option<StepId>,
    /// The attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Earlier messages of the attempt stand.
    pub after: Cursor,
    /// What the topic comes to now, where it folds; takes the place of everything the client holds of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<PieceFrame>>,
    /// Its place in the channel.
    pub id: Cursor,
}

/// Something the client would have got is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapFrame {
    /// The channel.
    pub channel: ChannelName,
    /// The topic.
    pub topic: TopicName,
    /// What the client holds of the topic after this cursor does not count any more.
    pub keep_to: Cursor,
    /// Why.
    pub reason: GapReason,
}

/// A frame of the server.
#[derive(Debug, Clone)]
pub enum ServerFrame {
    /// A message.
    Data(DataFrame),
    /// What a topic has come to.
    Snapshot(SnapshotFrame),
    /// Some messages are void.
    Rollback(RollbackFrame),
    /// Something is gone.
    Gap(GapFrame),
    /// An answer, or something about the connection.
    Control(ControlFrame),
    /// A kind that this version does not know; to be ignored.
    Unknown(String),
}

/// A text that is no frame.
#[derive(Debug, thiserror::Error)]
#[error("frame cannot be read: {0}")]
pub struct FrameError(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

impl ServerFrame {
    /// Reads a frame.
    ///
    /// ```
    /// use stepcast_protocol::frame::ServerFrame;
    ///
    /// let text = r#"{"kind":"gap","channel":"c","topic":"t","keep_to":"7-2","reason":"trimmed"}"#;
    /// assert!(matches!(ServerFrame::parse(text)?, ServerFrame::Gap(gap) if gap.topic == "t"));
    /// # Ok::<_, stepcast_protocol::frame::FrameError>(())
    /// ```
    ///
    /// # Errors
    /// [`FrameError`] when the text is not JSON, or lacks what its kind needs.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        // Raw payloads cannot be read through serde's own tagged enums, which take a value apart first.
        let Kind { kind } = serde_json::from_str(text)?;
        Ok(match &*kind {
            "data" => Self::Data(serde_json::from_str(text)?),
            "snapshot" => Self::Snapshot(serde_json::from_str(text)?),
            "rollback" => Self::Rollback(serde_json::from_str(text)?),
            "gap" => Self::Gap(serde_json::from_str(text)?),
            "hello" | "subscribed" | "unsubscribed" | "authenticated" | "pong" | "error"
            | "outdated" | "closing" => Self::Control(serde_json::from_str(text)?),
            _ => Self::Unknown(kind),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::{Epoch, Kind, Message, Offset, Origin, Snapshot, Timestamp, frame};

    fn message(kind: Kind) -> Message {
        Message {
            cursor: Cursor::new(Epoch(7), Offset(3)),
            topic: TopicName::parse("t").unwrap(),
            kind,
            payload: Bytes::from_static(br#"{"n": 1.50}"#),
            created_at: Timestamp::from_millis(0),
            origin: Some(Arc::new(Origin {
                run: RunId::from_parts(1, 1),
                step: Some(StepId::parse("s").unwrap()),
                attempt: 2,
            })),
        }
    }

    fn parse(wire: Vec<u8>) -> ServerFrame {
        ServerFrame::parse(&String::from_utf8(wire).unwrap()).unwrap()
    }

    #[test]
    fn what_the_server_writes_a_client_reads() {
        let channel = ChannelName::parse("c").unwrap();
        let ServerFrame::Data(data) = parse(message(Kind::Data).to_wire(&channel)) else {
            panic!("a message is a data frame");
        };
        assert_eq!(data.data.get(), r#"{"n": 1.50}"#);
        assert_eq!((data.attempt, data.id.to_string()), (Some(2), "7-3".into()));
        let snapshot = Snapshot {
            topic: data.topic,
            cursor: data.id,
            pieces: vec![message(Kind::Data)],
        };
        let ServerFrame::Snapshot(read) = parse(snapshot.to_wire(&channel)) else {
            panic!("a snapshot is one");
        };
        assert_eq!(read.data[0].data.get(), r#"{"n": 1.50}"#);
        let record = message(Kind::Rollback {
            after: Cursor::START,
        });
        let wire = frame::rollback_to_wire(&record, Some(&snapshot), &channel);
        let ServerFrame::Rollback(read) = parse(wire) else {
            panic!("a rollback is one");
        };
        assert_eq!(
            (read.after, read.data.map(|data| data.len())),
            (Cursor::START, Some(1))
        );
        let closing = ControlFrame::Closing { reconnect_ms: 7 };
        assert!(matches!(parse(closing.to_wire()), ServerFrame::Control(read) if read == closing));
        assert!(matches!(
            parse(br#"{"kind":"later"}"#.to_vec()),
            ServerFrame::Unknown(_)
        ));
        assert!(ServerFrame::parse(r#"{"kind":"data"}"#).is_err());
    }
}

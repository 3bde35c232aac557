//! Snapshots, rollbacks and gaps: what they are, and how the server writes them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    cursor::Cursor,
    ids::RunId,
    message::{Kind, Message, raw_payload},
    names::{ChannelName, StepId, TopicName},
};

/// What a topic folds to at some cursor: its last message, or its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The topic.
    pub topic: TopicName,
    /// Up to and with this cursor everything is in it; later messages of the topic come by themselves.
    pub cursor: Cursor,
    /// Its parts, in order. A part of a `text` topic is what one attempt has said; the other fields of its payload are those of
    /// its last message.
    pub pieces: Vec<Message>,
}

/// Something a reader would have got is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The topic that lost something.
    pub topic: TopicName,
    /// What the reader holds of the topic after this cursor does not count any more: what is left of it comes again.
    pub keep_to: Cursor,
    /// Why.
    pub reason: GapReason,
}

/// Why something is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The topic's bounds (messages, bytes, age) have taken it.
    Trimmed,
    /// A crash took the last messages that were not durable, or may have.
    Crashed,
    /// The cursor is of a life that this store does not know, e.g. because a backup was restored.
    UnknownEpoch,
    /// The topic is `live`, and memory does not reach back that far.
    NotKept,
}

impl GapReason {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trimmed => "trimmed",
            Self::Crashed => "crashed",
            Self::UnknownEpoch => "unknown_epoch",
            Self::NotKept => "not_kept",
        }
    }
}

#[derive(Serialize)]
struct PieceFrame<'a> {
    data: &'a RawValue,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_id: Option<&'a StepId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    id: Cursor,
}

#[derive(Serialize)]
struct SnapshotFrame<'a> {
    kind: &'static str,
    channel: &'a ChannelName,
    topic: &'a TopicName,
    id: Cursor,
    data: Vec<PieceFrame<'a>>,
}

#[derive(Serialize)]
struct RollbackFrame<'a> {
    kind: &'static str,
    channel: &'a ChannelName,
    topic: &'a TopicName,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_id: Option<&'a StepId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    after: Cursor,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Vec<PieceFrame<'a>>>,
    id: Cursor,
}

#[derive(Serialize)]
struct GapFrame<'a> {
    kind: &'static str,
    channel: &'a ChannelName,
    topic: &'a TopicName,
    keep_to: Cursor,
    reason: GapReason,
}

/// Payloads as raw JSON, which the frames borrow.
fn raw(pieces: &[Message]) -> Vec<Box<RawValue>> {
    pieces
        .iter()
        .map(|piece| raw_payload(&piece.payload).into_owned())
        .collect()
}

fn frames<'a>(pieces: &'a [Message], payloads: &'a [Box<RawValue>]) -> Vec<PieceFrame<'a>> {
    let pairs = pieces.iter().zip(payloads);
    pairs
        .map(|(piece, data)| {
            let origin = piece.origin.as_deref();
            PieceFrame {
                data,
                created_at: piece.created_at.to_string(),
                run_id: origin.map(|origin| origin.run),
                step_id: origin.and_then(|origin| origin.step.as_ref()),
                attempt: origin
                    .map(|origin| origin.attempt)
                    .filter(|attempt| *attempt > 0),
                id: piece.cursor,
            }
        })
        .collect()
}

fn write(frame: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(frame).expect("a frame of strings and numbers can always be written as JSON")
}

impl Snapshot {
    /// The frame of kind `snapshot`.
    #[must_use]
    pub fn to_wire(&self, channel: &ChannelName) -> Vec<u8> {
        let payloads = raw(&self.pieces);
        write(&SnapshotFrame {
            kind: "snapshot",
            channel,
            topic: &self.topic,
            id: self.cursor,
            data: frames(&self.pieces, &payloads),
        })
    }
}

impl Gap {
    /// The frame of kind `gap`.
    #[must_use]
    pub fn to_wire(&self, channel: &ChannelName) -> Vec<u8> {
        write(&GapFrame {
            kind: "gap",
            channel,
            topic: &self.topic,
            keep_to: self.keep_to,
            reason: self.reason,
        })
    }
}

/// The frame of kind `rollback`; `fold` is what the topic folds to from here on, where it folds.
///
/// # Panics
/// When `record` is no rollback.
#[must_use]
pub fn rollback_to_wire(
    record: &Message,
    fold: Option<&Snapshot>,
    channel: &ChannelName,
) -> Vec<u8> {
    let Kind::Rollback { after } = record.kind else {
        panic!("only a rollback has such a frame");
    };
    let origin = record.origin.as_deref();
    let payloads = fold.map(|fold| raw(&fold.pieces));
    let pieces = fold
        .zip(payloads.as_deref())
        .map(|(fold, payloads)| frames(&fold.pieces, payloads));
    write(&RollbackFrame {
        kind: "rollback",
        channel,
        topic: &record.topic,
        created_at: record.created_at.to_string(),
        run_id: origin.map(|origin| origin.run),
        step_id: origin.and_then(|origin| origin.step.as_ref()),
        attempt: origin
            .map(|origin| origin.attempt)
            .filter(|attempt| *attempt > 0),
        after,
        data: pieces,
        id: record.cursor,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::{Epoch, Offset, Origin, Timestamp};

    fn at(offset: u64) -> Cursor {
        Cursor::new(Epoch(7), Offset(offset))
    }

    fn piece(kind: Kind) -> Message {
        Message {
            cursor: at(3),
            topic: TopicName::parse("tokens").unwrap(),
            kind,
            payload: Bytes::from_static(br#"{"token":"Hel"}"#),
            created_at: Timestamp::from_millis(0),
            origin: Some(Arc::new(Origin {
                run: RunId::from_parts(1, 1),
                step: Some(StepId::parse("s").unwrap()),
                attempt: 2,
            })),
        }
    }

    fn text(frame: Vec<u8>) -> String {
        String::from_utf8(frame).unwrap()
    }

    #[test]
    fn frames_are_these() {
        let channel = ChannelName::parse("c").unwrap();
        let snapshot = Snapshot {
            topic: TopicName::parse("tokens").unwrap(),
            cursor: at(9),
            pieces: vec![piece(Kind::Data)],
        };
        let run = RunId::from_parts(1, 1);
        let part = format!(
            r#"[{{"data":{{"token":"Hel"}},"created_at":"1970-01-01T00:00:00.000Z","run_id":"{run}","step_id":"s","attempt":2,"id":"7-3"}}]"#
        );
        assert_eq!(
            text(snapshot.to_wire(&channel)),
            format!(
                r#"{{"kind":"snapshot","channel":"c","topic":"tokens","id":"7-9","data":{part}}}"#
            )
        );
        let record = piece(Kind::Rollback { after: at(1) });
        let head = format!(
            r#"{{"kind":"rollback","channel":"c","topic":"tokens","created_at":"1970-01-01T00:00:00.000Z","run_id":"{run}","step_id":"s","attempt":2,"after":"7-1","#
        );
        assert_eq!(
            text(rollback_to_wire(&record, None, &channel)),
            format!(r#"{head}"id":"7-3"}}"#)
        );
        assert_eq!(
            text(rollback_to_wire(&record, Some(&snapshot), &channel)),
            format!(r#"{head}"data":{part},"id":"7-3"}}"#)
        );
        let gap = Gap {
            topic: TopicName::parse("log").unwrap(),
            keep_to: at(2),
            reason: GapReason::NotKept,
        };
        assert_eq!(
            text(gap.to_wire(&channel)),
            r#"{"kind":"gap","channel":"c","topic":"log","keep_to":"7-2","reason":"not_kept"}"#
        );
    }
}

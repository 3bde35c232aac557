//! What a client keeps of a channel: per topic, the cursor up to which it holds everything. The table "What a client keeps" of
//! `docs/protocol.md`, and nothing else: no I/O, no clock.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use stepcast_protocol::{
    ChannelName, Cursor, Kind, Message, Origin, RunId, StepId, Timestamp, TopicName,
    frame::{self, DataFrame, GapFrame, PieceFrame, RollbackFrame, ServerFrame, SnapshotFrame},
    timestamp::BadTimestamp,
};

use crate::verbs::Item;

/// What is held of the topics of one channel.
#[derive(Debug)]
pub(super) struct Held {
    channel: ChannelName,
    topics: BTreeMap<TopicName, Cursor>,
}

impl Held {
    pub(super) fn new(channel: ChannelName) -> Self {
        Self {
            channel,
            topics: BTreeMap::new(),
        }
    }

    pub(super) fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// Where to come back: what comes twice then is dropped.
    pub(super) fn resume(&self) -> Option<Cursor> {
        self.topics.values().min().copied()
    }

    /// These topics are read from here on, those that were not before.
    pub(super) fn begin(&mut self, topics: impl IntoIterator<Item = TopicName>, cursor: Cursor) {
        for topic in topics {
            self.topics.entry(topic).or_insert(cursor);
        }
    }

    /// Only these topics are read any more.
    pub(super) fn retain(&mut self, topics: &[TopicName]) {
        self.topics.retain(|topic, _| topics.contains(topic));
    }

    /// What a frame says that is new.
    pub(super) fn take(&mut self, frame: ServerFrame) -> Result<Option<Item>, BadTimestamp> {
        Ok(match frame {
            ServerFrame::Data(data) if self.advances(&data.channel, &data.topic, data.id) => {
                Some(Item::Posted {
                    message: Arc::new(message(data)?),
                    fold: None,
                })
            }
            ServerFrame::Rollback(record)
                if self.advances(&record.channel, &record.topic, record.id) =>
            {
                Some(rollback(record)?)
            }
            ServerFrame::Snapshot(snapshot) => self.take_snapshot(snapshot)?,
            ServerFrame::Gap(gap) => self.take_gap(gap),
            ServerFrame::Data(_)
            | ServerFrame::Rollback(_)
            | ServerFrame::Control(_)
            | ServerFrame::Unknown(_) => None,
        })
    }

    /// Whether something on the topic is new. Whatever comes in the order of ids says of every topic that all before it was there.
    fn advances(&mut self, channel: &ChannelName, topic: &TopicName, id: Cursor) -> bool {
        let is_new =
            *channel == self.channel && self.topics.get(topic).is_some_and(|held| id > *held);
        let is_ours = *channel == self.channel && self.topics.contains_key(topic);
        if is_ours {
            for held in self.topics.values_mut() {
                *held = id.max(*held);
            }
        }
        is_new
    }

    fn held_of(&mut self, channel: &ChannelName, topic: &TopicName) -> Option<&mut Cursor> {
        self.topics
            .get_mut(topic)
            .filter(|_| *channel == self.channel)
    }

    /// A snapshot says nothing of other topics: their messages before it may be still to come.
    fn take_snapshot(&mut self, snapshot: SnapshotFrame) -> Result<Option<Item>, BadTimestamp> {
        let SnapshotFrame {
            channel,
            topic,
            id,
            data,
        } = snapshot;
        let Some(held) = self.held_of(&channel, &topic) else {
            return Ok(None);
        };
        *held = id.max(*held);
        Ok(Some(Item::Snapshot(fold(topic, id, data)?)))
    }

    fn take_gap(&mut self, gap: GapFrame) -> Option<Item> {
        let GapFrame {
            channel,
            topic,
            keep_to,
            reason,
        } = gap;
        *self.held_of(&channel, &topic)? = keep_to;
        Some(Item::Gap(frame::Gap {
            topic,
            keep_to,
            reason,
        }))
    }
}

fn message(frame: DataFrame) -> Result<Message, BadTimestamp> {
    let DataFrame {
        topic,
        id,
        data,
        created_at,
        run_id,
        step_id,
        attempt,
        ..
    } = frame;
    Ok(Message {
        cursor: id,
        topic,
        kind: Kind::Data,
        payload: String::from(Box::<str>::from(data)).into(),
        created_at: created_at.parse()?,
        origin: origin(run_id, step_id, attempt),
    })
}

fn rollback(frame: RollbackFrame) -> Result<Item, BadTimestamp> {
    let RollbackFrame {
        topic,
        created_at,
        run_id,
        step_id,
        attempt,
        after,
        data,
        id,
        ..
    } = frame;
    let fold = data
        .map(|pieces| fold(topic.clone(), id, pieces))
        .transpose()?;
    let message = Message {
        cursor: id,
        topic,
        kind: Kind::Rollback { after },
        payload: Bytes::new(),
        created_at: created_at.parse()?,
        origin: origin(run_id, step_id, attempt),
    };
    let message = Arc::new(message);
    Ok(Item::Posted { message, fold })
}

fn fold(
    topic: TopicName,
    cursor: Cursor,
    pieces: Vec<PieceFrame>,
) -> Result<frame::Snapshot, BadTimestamp> {
    let piece = |piece: PieceFrame| {
        let PieceFrame {
            data,
            created_at,
            run_id,
            step_id,
            attempt,
            id,
        } = piece;
        Ok(Message {
            cursor: id,
            topic: topic.clone(),
            kind: Kind::Data,
            payload: String::from(Box::<str>::from(data)).into(),
            created_at: created_at.parse::<Timestamp>()?,
            origin: origin(run_id, step_id, attempt),
        })
    };
    let pieces = pieces.into_iter().map(piece).collect::<Result<_, _>>()?;
    Ok(frame::Snapshot {
        topic,
        cursor,
        pieces,
    })
}

fn origin(run: Option<RunId>, step: Option<StepId>, attempt: Option<u32>) -> Option<Arc<Origin>> {
    let attempt = attempt.unwrap_or_default();
    run.map(|run| Arc::new(Origin { run, step, attempt }))
}

#[cfg(test)]
mod tests;

//! What a reader is told, with payloads as the channel's type has them.

use std::sync::Arc;

use stepcast_protocol::{
    Cursor, GapReason, Kind, RunId, RunView, StepId, Timestamp, TopicName, frame, message,
};

use crate::{channel::PayloadError, error::Error};

/// One message of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<C> {
    /// Topic and payload.
    pub data: C,
    /// The topic's name.
    pub topic: TopicName,
    /// Its place in the channel.
    pub cursor: Cursor,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The run that published it, if one did.
    pub run: Option<RunId>,
    /// The step that published it; nothing for a function's body.
    pub step: Option<StepId>,
    /// Which attempt published it, from 1.
    pub attempt: Option<u32>,
}

/// What a topic has come to: its last message, or its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot<C> {
    /// The topic's name.
    pub topic: TopicName,
    /// Up to here everything is in it; later messages come by themselves.
    pub cursor: Cursor,
    /// Its parts, in order: one for a `latest` topic that has a message, and for a `text` topic what each attempt has said.
    pub pieces: Vec<Message<C>>,
}

/// An attempt failed: some of what it published does not count any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback<C> {
    /// The topic's name.
    pub topic: TopicName,
    /// The record's place: messages of the attempt between `after` and here are void.
    pub cursor: Cursor,
    /// Earlier messages stand.
    pub after: Cursor,
    /// The run.
    pub run: Option<RunId>,
    /// The step; nothing for a function's body.
    pub step: Option<StepId>,
    /// Which attempt failed, from 1.
    pub attempt: Option<u32>,
    /// What a topic that folds has come to without them; nothing for the others.
    pub snapshot: Option<Vec<Message<C>>>,
}

/// Something this reader would have got is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The topic's name.
    pub topic: TopicName,
    /// What the reader holds of the topic after this cursor does not count any more: what is left of it comes next.
    pub keep_to: Cursor,
    /// Why.
    pub reason: GapReason,
}

/// What a reader is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Update<C> {
    /// A message.
    Message(Message<C>),
    /// What a topic has come to, for a reader that begins or lags: it takes the place of the topic's messages up to its cursor.
    Snapshot(Snapshot<C>),
    /// Messages that were given before are void.
    Rollback(Rollback<C>),
    /// Messages are gone.
    Gap(Gap),
    /// The run it was to follow has ended; all its messages came before. The last update.
    Run(Box<RunView>),
}

/// What a backend's reader gives, before payloads are read.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// A message, or the record that some are void, with what its topic folds to then.
    Posted {
        message: Arc<message::Message>,
        fold: Option<frame::Snapshot>,
    },
    /// Something the reader would have got is gone.
    Gap(frame::Gap),
    /// What a topic has come to.
    Snapshot(frame::Snapshot),
}

/// Reads the payload of a topic.
pub(super) type Decode<C> = fn(&TopicName, &[u8]) -> Result<C, PayloadError>;

impl<C> Update<C> {
    pub(super) fn decode(item: Item, payload: Decode<C>) -> Result<Self, Error> {
        Ok(match item {
            Item::Posted { message, fold } => return posted(&message, fold.as_ref(), payload),
            Item::Gap(gap) => Self::Gap(Gap {
                topic: gap.topic,
                keep_to: gap.keep_to,
                reason: gap.reason,
            }),
            Item::Snapshot(snapshot) => Self::Snapshot(Snapshot {
                pieces: pieces(&snapshot.pieces, payload)?,
                topic: snapshot.topic,
                cursor: snapshot.cursor,
            }),
        })
    }
}

fn posted<C>(
    message: &message::Message,
    fold: Option<&frame::Snapshot>,
    payload: Decode<C>,
) -> Result<Update<C>, Error> {
    let Kind::Rollback { after } = message.kind else {
        return decode(message, payload).map(Update::Message);
    };
    let origin = message.origin.as_deref();
    let snapshot = fold.map(|fold| pieces(&fold.pieces, payload)).transpose()?;
    Ok(Update::Rollback(Rollback {
        topic: message.topic.clone(),
        cursor: message.cursor,
        after,
        run: origin.map(|origin| origin.run),
        step: origin.and_then(|origin| origin.step.clone()),
        attempt: origin.map(|origin| origin.attempt),
        snapshot,
    }))
}

fn pieces<C>(pieces: &[message::Message], payload: Decode<C>) -> Result<Vec<Message<C>>, Error> {
    pieces.iter().map(|piece| decode(piece, payload)).collect()
}

fn decode<C>(message: &message::Message, payload: Decode<C>) -> Result<Message<C>, Error> {
    let data = payload(&message.topic, &message.payload)
        .map_err(|error| Error::coded(error.code(), error))?;
    let origin = message.origin.as_deref();
    Ok(Message {
        data,
        topic: message.topic.clone(),
        cursor: message.cursor,
        created_at: message.created_at,
        run: origin.map(|origin| origin.run),
        step: origin.and_then(|origin| origin.step.clone()),
        attempt: origin
            .map(|origin| origin.attempt)
            .filter(|attempt| *attempt > 0),
    })
}

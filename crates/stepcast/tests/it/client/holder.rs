//! Somebody who holds what it is told, and does nothing else: "What a client keeps" of `docs/protocol.md`, on values.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use stepcast::{
    Cursor, Error, Message, RunId, Subscription, Update,
    channel::{Channel, Keep},
};
use tokio::{sync::watch, task::JoinHandle};

use crate::support::within;

/// What is held of each topic, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holder {
    topics: BTreeMap<String, Vec<Piece>>,
    /// The last message's place.
    pub(crate) last: Cursor,
    pub(crate) gaps: usize,
    pub(crate) rollbacks: usize,
    pub(crate) snapshots: usize,
    /// How the stream ended, once it has.
    pub(crate) end: Option<Result<(), String>>,
}

type Origin = (Option<RunId>, Option<String>, Option<u32>);

#[derive(Debug, Clone)]
struct Piece {
    cursor: Cursor,
    origin: Origin,
    data: Value,
    text: Option<String>,
}

impl Piece {
    fn of<C: Channel>(message: &Message<C>) -> Self {
        let data: Value = serde_json::from_slice(&message.data.encode().unwrap()).unwrap();
        let text = match &message.data.topic().keep {
            Keep::Text { field } => Some(field.clone()),
            Keep::Live | Keep::Latest | Keep::Log => None,
        };
        Self {
            cursor: message.cursor,
            origin: (
                message.run,
                message.step.as_ref().map(ToString::to_string),
                message.attempt,
            ),
            data,
            text,
        }
    }

    /// Takes a later text of the same origin.
    fn append(&mut self, later: Self) {
        let field = later.text.expect("it is a text");
        let joined = [&self.data, &later.data].map(|data| data[&field].as_str().unwrap());
        let joined = joined.concat();
        self.data = later.data;
        self.data[&field] = joined.into();
        self.cursor = later.cursor;
    }
}

impl Holder {
    pub(crate) fn take<C: Channel>(&mut self, update: Update<C>) {
        match update {
            Update::Message(message) => {
                self.last = self.last.max(message.cursor);
                let keep = message.data.topic().keep.clone();
                self.on_message(&message.topic, &keep, Piece::of(&message));
            }
            Update::Snapshot(snapshot) => {
                self.snapshots += 1;
                self.replace(&snapshot.topic, &snapshot.pieces);
            }
            Update::Rollback(rollback) => {
                self.rollbacks += 1;
                if let Some(pieces) = &rollback.snapshot {
                    self.replace(&rollback.topic, pieces);
                    return;
                }
                let step = rollback.step.as_ref().map(ToString::to_string);
                let origin = (rollback.run, step, rollback.attempt);
                let held = self.topics.entry(rollback.topic.to_string()).or_default();
                held.retain(|piece| {
                    let is_before =
                        piece.cursor <= rollback.after || piece.cursor > rollback.cursor;
                    piece.origin != origin || is_before
                });
            }
            Update::Gap(gap) => {
                self.gaps += 1;
                let held = self.topics.entry(gap.topic.to_string()).or_default();
                held.retain(|piece| piece.cursor <= gap.keep_to);
            }
            _ => {}
        }
    }

    fn on_message(&mut self, topic: &str, keep: &Keep, piece: Piece) {
        let held = self.topics.entry(topic.to_owned()).or_default();
        match keep {
            Keep::Latest => *held = vec![piece],
            Keep::Live | Keep::Log => {
                assert!(
                    held.last().is_none_or(|last| last.cursor < piece.cursor),
                    "{topic}: {piece:?} comes after {:?}",
                    held.last()
                );
                held.push(piece);
            }
            Keep::Text { .. } => match held.iter_mut().find(|held| held.origin == piece.origin) {
                Some(held) => held.append(piece),
                None => held.push(piece),
            },
        }
    }

    fn replace<C: Channel>(&mut self, topic: &str, pieces: &[Message<C>]) {
        let pieces = pieces.iter().map(Piece::of).collect();
        self.topics.insert(topic.to_owned(), pieces);
    }

    /// What is held of each topic that has something, as it looks; of a text all of it in one piece.
    pub(crate) fn shown(&self) -> BTreeMap<String, Vec<Value>> {
        let held = self.topics.iter().filter(|(_, pieces)| !pieces.is_empty());
        let data = |pieces: &Vec<Piece>| pieces.iter().map(|piece| piece.data.clone()).collect();
        held.map(|(topic, pieces)| (topic.clone(), data(pieces)))
            .collect()
    }

    /// The same with the texts of a topic joined: the pieces of a text may be fewer for one who comes late.
    pub(crate) fn joined(&self) -> BTreeMap<String, Vec<Value>> {
        let mut shown = self.shown();
        for (topic, pieces) in &self.topics {
            let Some(field) = pieces.first().and_then(|piece| piece.text.as_ref()) else {
                continue;
            };
            let texts = pieces
                .iter()
                .map(|piece| piece.data[field].as_str().unwrap());
            shown.insert(topic.clone(), vec![texts.collect::<String>().into()]);
        }
        shown
    }
}

/// A holder at work, which ends with its test.
#[derive(Debug)]
pub(crate) struct Holding {
    holder: watch::Receiver<Holder>,
    task: JoinHandle<()>,
}

impl Holding {
    pub(crate) fn of<C: Channel>(mut updates: Subscription<C>) -> Self {
        let (told, holder) = watch::channel(Holder::default());
        let told = Arc::new(told);
        let task = tokio::spawn(async move {
            let end = loop {
                match updates.try_next().await {
                    Ok(Some(update)) => told.send_modify(|holder| holder.take(update)),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(Error::code(&error).to_owned()),
                }
            };
            told.send_modify(|holder| holder.end = Some(end));
        });
        Self { holder, task }
    }

    /// Waits until it is so.
    pub(crate) async fn until(&mut self, is_so: impl Fn(&Holder) -> bool) -> Holder {
        let reached = within(self.holder.wait_for(|holder| is_so(holder))).await;
        reached.expect("the holder is at work").clone()
    }

    pub(crate) fn now(&self) -> Holder {
        self.holder.borrow().clone()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.task.abort();
    }
}

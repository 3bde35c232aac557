//! What a topic comes to for those who join late: its last message, or its texts. Pure.
//!
//! A fold is brought forward with every message that becomes visible, so that a snapshot costs what it shows and a rollback is
//! undone at once. It keeps what a rollback may bring back, until the attempt that stands in front of it has settled.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use stepcast_protocol::{Cursor, Keep, Kind, Message, Origin, RunId, Snapshot, TopicName};

/// What a topic folds to.
#[derive(Debug)]
pub(super) enum Fold {
    Latest(Latest),
    Text(Text),
}

/// Whose messages have settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled<'a> {
    pub(super) origin: &'a Origin,
    /// Later messages have not.
    pub(super) up_to: Cursor,
}

impl Settled<'_> {
    fn covers(&self, message: &Message) -> bool {
        message.cursor <= self.up_to && message.origin.as_deref() == Some(self.origin)
    }
}

impl Fold {
    /// The empty fold of a topic; nothing when the topic does not fold.
    pub(super) fn of(keep: &Keep) -> Option<Self> {
        match keep {
            Keep::Latest => Some(Self::Latest(Latest::default())),
            Keep::Text { field } => Some(Self::Text(Text::new(field))),
            Keep::Live | Keep::Log => None,
        }
    }

    /// Takes over a message. `is_settled` says that no rollback can take it back.
    pub(super) fn apply(&mut self, message: &Arc<Message>, is_settled: bool) {
        match message.kind {
            Kind::Rollback { .. } => self.roll_back(message),
            Kind::Ended { .. } | Kind::Status => {}
            Kind::Data => match self {
                Self::Latest(latest) => latest.push(message, is_settled),
                Self::Text(text) => text.push(message),
            },
        }
    }

    fn roll_back(&mut self, record: &Message) {
        match self {
            Self::Latest(latest) => latest.kept.retain(|entry| !record.voids(&entry.message)),
            Self::Text(text) => text.roll_back(record),
        }
    }

    /// An attempt has settled.
    pub(super) fn settle(&mut self, settled: Settled<'_>) {
        match self {
            Self::Latest(latest) => latest.settle(settled),
            Self::Text(text) => text.settle(settled),
        }
    }

    /// The messages up to and with a cursor are gone.
    pub(super) fn trim(&mut self, up_to: Cursor) {
        match self {
            Self::Latest(latest) => latest.kept.retain(|entry| entry.message.cursor > up_to),
            Self::Text(text) => text.trim(up_to),
        }
    }

    /// What a run has said up to a message has become that message.
    pub(super) fn join(&mut self, joined: &Arc<Message>) {
        match self {
            Self::Latest(_) => {}
            Self::Text(text) => text.join(joined),
        }
    }

    /// The oldest message that it still needs; everything before may go.
    pub(super) fn needs(&self) -> Option<Cursor> {
        match self {
            Self::Latest(latest) => latest.kept.first().map(|entry| entry.message.cursor),
            Self::Text(_) => None,
        }
    }

    /// About how many bytes a snapshot has.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Latest(latest) => latest
                .kept
                .last()
                .map_or(0, |entry| entry.message.payload.len()),
            Self::Text(text) => text.pieces.iter().map(|piece| piece.text.len()).sum(),
        }
    }

    /// Bytes of text that a run has said; 0 where the topic is no text.
    pub(super) fn text_bytes(&self, run: Option<RunId>) -> usize {
        match self {
            Self::Latest(_) => 0,
            Self::Text(text) => {
                let of_run = text.pieces.iter().filter(|piece| piece.run() == run);
                of_run.map(|piece| piece.text.len()).sum()
            }
        }
    }

    /// What the topic comes to at `cursor`.
    pub(super) fn snapshot(&self, topic: &TopicName, cursor: Cursor) -> Snapshot {
        let pieces = match self {
            Self::Latest(latest) => latest
                .kept
                .last()
                .map(|entry| Message::clone(&entry.message))
                .into_iter()
                .collect(),
            Self::Text(text) => text
                .pieces
                .iter()
                .map(|piece| piece.message(&text.field))
                .collect(),
        };
        Snapshot {
            topic: topic.clone(),
            cursor,
            pieces,
        }
    }
}

/// The last settled message and every one after it.
#[derive(Debug, Default)]
pub(super) struct Latest {
    kept: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    message: Arc<Message>,
    is_settled: bool,
}

impl Latest {
    fn push(&mut self, message: &Arc<Message>, is_settled: bool) {
        let replaces = |last: &Entry| {
            // The messages of one attempt of a step stand or fall together; those of a body may settle one by one.
            let is_step = message
                .origin
                .as_ref()
                .is_some_and(|origin| origin.step.is_some());
            is_step && !last.is_settled && last.message.origin == message.origin
        };
        if is_settled {
            self.kept.clear();
        } else if self.kept.last().is_some_and(replaces) {
            self.kept.pop();
        }
        self.kept.push(Entry {
            message: Arc::clone(message),
            is_settled,
        });
    }

    fn settle(&mut self, settled: Settled<'_>) {
        let mut newest = 0;
        for (index, entry) in self.kept.iter_mut().enumerate() {
            entry.is_settled |= settled.covers(&entry.message);
            if entry.is_settled {
                newest = index;
            }
        }
        self.kept.drain(..newest);
    }
}

/// Per attempt what it has said, in the order in which attempts began to speak.
#[derive(Debug)]
pub(super) struct Text {
    field: String,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    text: String,
    last: Arc<Message>,
    /// Where each message ends, as the oldest may go before the others.
    parts: Vec<(Cursor, usize)>,
    /// Where each message of a body ends that has not settled, as a rollback may take only the later ones.
    ends: Vec<(Arc<Message>, usize)>,
}

impl Text {
    fn new(field: &str) -> Self {
        Self {
            field: field.to_owned(),
            pieces: Vec::new(),
        }
    }

    fn push(&mut self, message: &Arc<Message>) {
        let delta = delta(&message.payload, &self.field);
        let known = self
            .pieces
            .iter_mut()
            .rev()
            .find(|piece| piece.last.origin == message.origin);
        let piece = match known {
            Some(piece) => {
                piece.last = Arc::clone(message);
                piece
            }
            None => {
                self.pieces.push(Piece::new(message));
                self.pieces.last_mut().expect("it was just pushed")
            }
        };
        piece.text.push_str(&delta);
        piece.parts.push((message.cursor, piece.text.len()));
        if is_of_body(message) {
            piece.ends.push((Arc::clone(message), piece.text.len()));
        }
    }

    fn trim(&mut self, up_to: Cursor) {
        self.pieces.retain_mut(|piece| piece.cut(up_to));
        self.sort();
    }

    fn join(&mut self, joined: &Arc<Message>) {
        let run = joined.origin.as_ref().map(|origin| origin.run);
        self.pieces
            .retain_mut(|piece| piece.run() != run || piece.cut(joined.cursor));
        let text = delta(&joined.payload, &self.field);
        let later = self
            .pieces
            .iter_mut()
            .find(|piece| piece.last.origin == joined.origin);
        let piece = match later {
            Some(piece) => piece,
            None => {
                self.pieces.push(Piece::new(joined));
                self.pieces.last_mut().expect("it was just pushed")
            }
        };
        piece.put_before(joined, &text);
        self.sort();
    }

    /// Puts pieces into the order in which they would be read from the store.
    fn sort(&mut self) {
        let first = |piece: &Piece| piece.parts.first().map(|(cursor, _)| *cursor);
        self.pieces.sort_by_key(first);
    }

    fn roll_back(&mut self, record: &Message) {
        let Kind::Rollback { after } = record.kind else {
            return;
        };
        self.pieces.retain_mut(|piece| {
            if !record.voids(&piece.last) {
                return true;
            }
            piece.ends.retain(|(message, _)| message.cursor <= after);
            let Some((last, end)) = piece.ends.last() else {
                return false;
            };
            piece.last = Arc::clone(last);
            piece.text.truncate(*end);
            piece.parts.retain(|(cursor, _)| *cursor <= after);
            true
        });
    }

    fn settle(&mut self, settled: Settled<'_>) {
        for piece in &mut self.pieces {
            if piece.last.origin.as_deref() == Some(settled.origin) {
                let passed = piece
                    .ends
                    .partition_point(|(message, _)| message.cursor <= settled.up_to);
                // The last one that stands says where a rollback of the later ones ends.
                piece.ends.drain(..passed.saturating_sub(1));
            }
        }
    }
}

impl Piece {
    fn new(first: &Arc<Message>) -> Self {
        Self {
            text: String::new(),
            last: Arc::clone(first),
            parts: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Lets go of the messages up to and with a cursor; says whether any are left.
    fn cut(&mut self, up_to: Cursor) -> bool {
        let gone = self.parts.partition_point(|(cursor, _)| *cursor <= up_to);
        let Some((_, bytes)) = gone.checked_sub(1).map(|last| self.parts[last]) else {
            return true;
        };
        self.text.drain(..bytes);
        self.parts.drain(..gone);
        self.parts.iter_mut().for_each(|(_, end)| *end -= bytes);
        self.ends.retain(|(message, _)| message.cursor > up_to);
        self.ends.iter_mut().for_each(|(_, end)| *end -= bytes);
        !self.parts.is_empty()
    }

    fn put_before(&mut self, first: &Arc<Message>, text: &str) {
        self.text.insert_str(0, text);
        self.parts
            .iter_mut()
            .for_each(|(_, end)| *end += text.len());
        self.parts.insert(0, (first.cursor, text.len()));
        self.ends.iter_mut().for_each(|(_, end)| *end += text.len());
        if is_of_body(first) {
            self.ends.insert(0, (Arc::clone(first), text.len()));
        }
    }

    fn run(&self) -> Option<RunId> {
        self.last.origin.as_ref().map(|origin| origin.run)
    }

    fn message(&self, field: &str) -> Message {
        Message {
            payload: joined(&self.last.payload, field, &self.text),
            ..Message::clone(&self.last)
        }
    }
}

/// What a payload adds to the text.
fn delta(payload: &[u8], field: &str) -> String {
    match serde_json::from_slice::<Map<String, Value>>(payload) {
        Ok(mut fields) => match fields.remove(field) {
            Some(Value::String(delta)) => delta,
            Some(_) | None => String::new(),
        },
        Err(_) => String::new(),
    }
}

/// The payload with the whole text in its field.
fn joined(payload: &[u8], field: &str, text: &str) -> Bytes {
    let mut fields: Map<String, Value> = serde_json::from_slice(payload).unwrap_or_default();
    fields.insert(field.to_owned(), Value::String(text.to_owned()));
    serde_json::to_vec(&fields)
        .expect("strings and JSON values can always be written as JSON")
        .into()
}

/// The messages of a run on a `text` topic as one, at the place of the last; nothing when there are fewer than two. The text is the one that
/// a snapshot shows: attempt by attempt.
pub(super) fn join_texts(messages: Vec<Message>, field: &str) -> Option<Message> {
    let messages: Vec<_> = messages.into_iter().map(Arc::new).collect();
    let [_, .., last] = &messages[..] else {
        return None;
    };
    let mut said = Text::new(field);
    messages.iter().for_each(|message| said.push(message));
    let texts = said.pieces.iter().map(|piece| &*piece.text);
    Some(Message {
        payload: joined(&last.payload, field, &texts.collect::<String>()),
        ..Message::clone(last)
    })
}

fn is_of_body(message: &Message) -> bool {
    let origin = message.origin.as_ref();
    origin.is_some_and(|origin| origin.step.is_none())
}

#[cfg(test)]
mod tests;

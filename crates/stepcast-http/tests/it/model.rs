//! A client that keeps what `docs/protocol.md` says a client has to keep, and nothing more.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stepcast_protocol::{
    Cursor, TopicName,
    frame::{ControlFrame, PieceFrame, ServerFrame},
};

/// One channel as a client holds it.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Per topic, up to where it holds everything.
    held: BTreeMap<TopicName, Cursor>,
    items: BTreeMap<TopicName, Vec<Held>>,
    /// How many frames of each kind it was told.
    pub(crate) told: BTreeMap<String, usize>,
}

/// Run, step and attempt.
type Origin = (String, String, u64);

#[derive(Debug)]
struct Held {
    id: Cursor,
    origin: Origin,
    data: Value,
}

impl Model {
    /// Where it resumes.
    pub(crate) fn cursor(&self) -> Cursor {
        self.held.values().min().copied().unwrap_or_default()
    }

    /// What it holds of a topic.
    pub(crate) fn data(&self, topic: &str) -> Vec<Value> {
        let items = self.items.get(topic).into_iter().flatten();
        items.map(|item| item.data.clone()).collect()
    }

    /// All it holds of a topic whose field `token` is joined.
    pub(crate) fn text(&self, topic: &str) -> String {
        let data = self.data(topic);
        data.iter()
            .map(|data| data["token"].as_str().unwrap())
            .collect()
    }

    pub(crate) fn on_frame(&mut self, frame: &Value) {
        let text = frame.to_string();
        let kind = frame["kind"].as_str().unwrap().to_owned();
        *self.told.entry(kind).or_default() += 1;
        match ServerFrame::parse(&text).unwrap() {
            ServerFrame::Control(
                ControlFrame::Hello { topics, cursor, .. }
                | ControlFrame::Subscribed { topics, cursor, .. },
            ) => {
                for topic in topics {
                    self.held.entry(topic).or_insert(cursor);
                }
            }
            ServerFrame::Control(ControlFrame::Unsubscribed { topics, .. }) => {
                self.held.retain(|topic, _| topics.contains(topic));
                self.items.retain(|topic, _| topics.contains(topic));
            }
            ServerFrame::Data(data) => {
                if data.id > self.held[&data.topic] {
                    let payload = serde_json::from_str(data.data.get()).unwrap();
                    self.add(data.topic, data.id, origin(frame), payload);
                }
                self.pass(data.id);
            }
            ServerFrame::Snapshot(snapshot) => {
                self.replace(&snapshot.topic, &snapshot.data);
                let held = self.held.get_mut(&snapshot.topic).unwrap();
                *held = snapshot.id.max(*held);
            }
            ServerFrame::Gap(gap) => {
                let items = self.items.entry(gap.topic.clone()).or_default();
                items.retain(|item| item.id <= gap.keep_to);
                self.held.insert(gap.topic, gap.keep_to);
            }
            ServerFrame::Rollback(rollback) => {
                if rollback.id > self.held[&rollback.topic] {
                    match rollback.data {
                        Some(data) => self.replace(&rollback.topic, &data),
                        None => {
                            let void = origin(frame);
                            let items = self.items.entry(rollback.topic).or_default();
                            items.retain(|item| {
                                item.origin != void
                                    || item.id <= rollback.after
                                    || item.id >= rollback.id
                            });
                        }
                    }
                }
                self.pass(rollback.id);
            }
            ServerFrame::Control(_) | ServerFrame::Unknown(_) => {}
        }
    }

    fn add(&mut self, topic: TopicName, id: Cursor, origin: Origin, data: Value) {
        let items = self.items.entry(topic).or_default();
        let known = items.iter_mut().rev().find(|item| item.origin == origin);
        match (known, data["token"].as_str()) {
            // What one attempt says on a text is one piece.
            (Some(piece), Some(said)) => {
                let joined = format!("{}{said}", piece.data["token"].as_str().unwrap());
                (piece.id, piece.data) = (id, json!({ "token": joined }));
            }
            _ => items.push(Held { id, origin, data }),
        }
    }

    fn pass(&mut self, id: Cursor) {
        for held in self.held.values_mut() {
            *held = id.max(*held);
        }
    }

    fn replace(&mut self, topic: &TopicName, pieces: &[PieceFrame]) {
        let items = pieces.iter().map(|piece| Held {
            id: piece.id,
            origin: origin(&serde_json::to_value(piece).unwrap()),
            data: serde_json::from_str(piece.data.get()).unwrap(),
        });
        self.items.insert(topic.clone(), items.collect());
    }
}

fn origin(frame: &Value) -> Origin {
    let text = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
    let attempt = frame["attempt"].as_u64().unwrap_or_default();
    (text("run_id"), text("step_id"), attempt)
}

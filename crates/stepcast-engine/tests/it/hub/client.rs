//! A client as a native one is: it applies what it is told and nothing else.

use std::{collections::BTreeMap, fmt, sync::Arc};

use stepcast_engine::hub::{Item, Posted};
use stepcast_protocol::{Cursor, Gap, Kind, Message, Origin, Snapshot, TopicName};

/// What a client holds, per topic.
#[derive(Debug, Default)]
pub(super) struct Client(BTreeMap<TopicName, View>);

/// What a client holds of one topic.
#[derive(Default)]
pub(super) struct View {
    /// What it was told the topic has come to.
    pub(super) snapshot: Option<Snapshot>,
    /// The messages after that, or all of them.
    pub(super) held: BTreeMap<Cursor, Arc<Message>>,
    /// Every gap it was told of.
    pub(super) gaps: Vec<Gap>,
}

impl Client {
    pub(super) fn view(&mut self, topic: &TopicName) -> &mut View {
        self.0.entry(topic.clone()).or_default()
    }

    pub(super) fn apply(&mut self, item: Item) {
        match item {
            Item::Posted(posted) => {
                let topic = posted.message().topic.clone();
                self.view(&topic).apply(&posted);
            }
            Item::Gap(gap) => {
                let view = self.view(&gap.topic.clone());
                view.held.retain(|cursor, _| *cursor <= gap.keep_to);
                view.snapshot.take_if(|known| known.cursor > gap.keep_to);
                view.gaps.push(gap);
            }
            Item::Snapshot(snapshot) => {
                let topic = snapshot.topic.clone();
                self.view(&topic).replace(snapshot);
            }
        }
    }
}

impl View {
    fn apply(&mut self, posted: &Posted) {
        let message = posted.message();
        let is_known = |known: &Snapshot| known.cursor >= message.cursor;
        if self.snapshot.as_ref().is_some_and(is_known) {
            return;
        }
        match (message.kind, posted.fold()) {
            (Kind::Ended { .. } | Kind::Status, _) => {
                panic!("only pages of npm `inngest` are told so")
            }
            (Kind::Data, _) => {
                let known = self.held.insert(message.cursor, Arc::clone(message));
                assert!(known.is_none(), "{} came twice", message.cursor);
            }
            (Kind::Rollback { .. }, Some(fold)) => self.replace(fold.clone()),
            (Kind::Rollback { .. }, None) => {
                assert!(self.snapshot.is_none(), "a rollback says what is left");
                self.held.retain(|_, held| !message.voids(held));
            }
        }
    }

    fn replace(&mut self, snapshot: Snapshot) {
        self.held.retain(|cursor, _| *cursor > snapshot.cursor);
        self.snapshot = Some(snapshot);
    }

    fn pieces(&self) -> impl Iterator<Item = &Message> {
        let told = self.snapshot.iter().flat_map(|known| &known.pieces);
        told.chain(self.held.values().map(|held| &**held))
    }

    /// What its messages say, in order.
    pub(super) fn held_texts(&self) -> Vec<String> {
        self.pieces().map(|piece| text(&piece.payload)).collect()
    }

    /// What each attempt has said.
    pub(super) fn texts(&self) -> Texts {
        let mut texts = Texts::new();
        for piece in self.pieces() {
            let said = texts.entry(author(piece.origin.as_deref())).or_default();
            said.push_str(&text(&piece.payload));
        }
        texts
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cursors = |messages: &mut dyn Iterator<Item = &Message>| -> Vec<_> {
            messages.map(|message| message.cursor.to_string()).collect()
        };
        let told = self.snapshot.as_ref();
        let told = told.map(|told| (told.cursor.to_string(), cursors(&mut told.pieces.iter())));
        let held = cursors(&mut self.held.values().map(|held| &**held));
        write!(f, "a snapshot {told:?}, then {held:?}; {:?}", self.gaps)
    }
}

/// Per attempt, what it has said.
pub(super) type Texts = BTreeMap<String, String>;

/// An attempt as a key to sort by.
pub(super) fn author(origin: Option<&Origin>) -> String {
    origin.map_or_else(String::new, |Origin { run, step, attempt }| {
        format!("{run}/{}/{attempt}", step.as_deref().unwrap_or("body"))
    })
}

/// The field `text` of a payload.
pub(super) fn text(payload: &[u8]) -> String {
    let fields: serde_json::Value = serde_json::from_slice(payload).unwrap();
    fields["text"].as_str().unwrap().to_owned()
}

//! A reader with a cursor, and what it holds. It comes back after every crash and now and then in between.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex},
};

use futures_core::Stream;
use stepcast_engine::hub::{Hub, Item, Position, Posted, ReadError, TopicFilter};
use stepcast_protocol::{ChannelName, Cursor, Gap, Kind, Message, Snapshot, TopicName};
use tokio::task::yield_now;

use super::{
    chance::Chance,
    journal::Journal,
    ledger::Ledger,
    program::{CHANNELS, TOPICS},
};

/// What a reader holds of one topic.
#[derive(Default)]
struct Held {
    messages: BTreeMap<Cursor, Message>,
    /// Up to here it has been told everything.
    told: Cursor,
    /// Up to here a snapshot holds everything: what comes again because the reader came back in the middle, it has.
    snapshot: Cursor,
    gaps: Vec<Cursor>,
    /// Everything it ever got, or was part of what it got.
    heard: Vec<Message>,
}

/// One reader, in all its lives. A cheap handle.
#[derive(Clone)]
pub(crate) struct Reader {
    name: String,
    channel: ChannelName,
    topics: TopicFilter,
    state: Arc<Mutex<State>>,
    journal: Journal,
    ledger: Ledger,
}

#[derive(Default)]
struct State {
    cursor: Option<Cursor>,
    held: BTreeMap<TopicName, Held>,
}

/// A few readers with filters of their own.
pub(crate) fn readers(chance: &Chance, journal: &Journal, ledger: &Ledger) -> Vec<Reader> {
    let reader = |number| {
        let count = usize::try_from(1 + chance.below(4)).unwrap();
        let topic = |name: &&str| TopicName::parse(*name).unwrap();
        let topics = match count {
            4 => TopicFilter::All,
            _ => TopicFilter::Only(
                TOPICS[..]
                    .iter()
                    .cycle()
                    .skip(number)
                    .take(count)
                    .map(topic)
                    .collect(),
            ),
        };
        Reader {
            name: format!("reader {number}"),
            channel: ChannelName::parse(chance.pick(&CHANNELS)).unwrap(),
            topics,
            state: Arc::default(),
            journal: journal.clone(),
            ledger: ledger.clone(),
        }
    };
    (0..4).map(reader).collect()
}

impl Reader {
    /// Reads until the store is closed, coming back with its cursor now and then.
    pub(crate) async fn follow(self, hub: Hub, chance: Chance) {
        loop {
            for _ in 0..chance.below(30) {
                yield_now().await;
            }
            let stay = 1 + chance.below(40);
            match self.visit(&hub, &chance, stay).await {
                Ok(()) => {}
                Err(ReadError::Store(error)) => {
                    return self.journal.note(format_args!("{}: {error}", self.name));
                }
                Err(error) => {
                    let name = &self.name;
                    return self
                        .journal
                        .check(false, || format!("{name} was refused: {error}"));
                }
            }
        }
    }

    async fn visit(&self, hub: &Hub, chance: &Chance, stay: u64) -> Result<(), ReadError> {
        let channel = hub.channel(&self.channel).await?;
        let cursor = self.state.lock().unwrap().cursor;
        let from = cursor.map_or(Position::Start, Position::After);
        let mut subscription = hub.subscribe(&channel, self.topics.clone(), from).await?;
        for _ in 0..stay {
            let next = poll_fn(|context| Pin::new(&mut subscription).poll_next(context)).await;
            let item = next.expect("it never ends")?;
            self.take(item, subscription.cursor());
            for _ in 0..chance.below(3) {
                yield_now().await;
            }
        }
        Ok(())
    }

    fn take(&self, item: Item, cursor: Cursor) {
        let mut state = self.state.lock().unwrap();
        match item {
            Item::Posted(posted) => self.on_posted(&mut state, &posted),
            Item::Gap(gap) => self.on_gap(&mut state, &gap),
            Item::Snapshot(snapshot) => self.on_snapshot(&mut state, &snapshot),
        }
        state.cursor = Some(cursor);
    }

    fn on_posted(&self, state: &mut State, posted: &Posted) {
        let (name, message) = (&self.name, posted.message());
        self.journal
            .note(format_args!("{name}: {} {}", message.topic, message.cursor));
        let held = state.held.entry(message.topic.clone()).or_default();
        if message.cursor <= held.snapshot {
            return;
        }
        self.journal.check(message.cursor > held.told, || {
            format!("{name} got {message:?} after {}", held.told)
        });
        held.told = message.cursor;
        match message.kind {
            Kind::Data => {
                self.ledger
                    .on_sight(&self.channel, message.cursor, &message.payload);
                held.heard.push(Message::clone(message));
                held.messages
                    .insert(message.cursor, Message::clone(message));
            }
            Kind::Rollback { .. } => {
                held.messages.retain(|_, known| !message.voids(known));
                if let Some(fold) = posted.fold() {
                    held.replace(fold);
                } else {
                    let folds = ["last", "text"].contains(&message.topic.as_str());
                    self.journal.check(!folds, || {
                        format!(
                            "{name} got a rollback without what the topic comes to: {message:?}"
                        )
                    });
                }
            }
            Kind::Ended { .. } | Kind::Status => {}
        }
    }

    fn on_gap(&self, state: &mut State, gap: &Gap) {
        self.journal.note(format_args!("{}: {gap:?}", self.name));
        let held = state.held.entry(gap.topic.clone()).or_default();
        held.messages.retain(|cursor, _| *cursor <= gap.keep_to);
        held.told = held.told.min(gap.keep_to);
        held.snapshot = held.snapshot.min(gap.keep_to);
        held.gaps.push(gap.keep_to);
    }

    fn on_snapshot(&self, state: &mut State, snapshot: &Snapshot) {
        let Snapshot { topic, cursor, .. } = snapshot;
        self.journal.note(format_args!(
            "{}: snapshot of {topic} at {cursor}",
            self.name
        ));
        let held = state.held.entry(topic.clone()).or_default();
        held.replace(snapshot);
        held.told = held.told.max(*cursor);
        held.snapshot = *cursor;
    }

    /// Once everything has come to its end: it holds what is there.
    pub(crate) fn check(&self) {
        let state = self.state.lock().unwrap();
        for topic in TOPICS {
            let name = TopicName::parse(topic).unwrap();
            if !self.topics.allows(&name) || topic == "live" {
                continue;
            }
            let held = state.held.get(&name);
            let messages = held.map(|held| held.messages.clone()).unwrap_or_default();
            let gaps = held.map(|held| held.gaps.clone()).unwrap_or_default();
            // What was believed and then found no room is gone, and readers are not told.
            let had_no_room = |message: &Message| self.ledger.had_no_room(message);
            if topic != "log" && held.is_some_and(|held| held.heard.iter().any(had_no_room)) {
                continue;
            }
            let there = self.ledger.messages(&self.channel, topic);
            match topic {
                "log" => self.check_log(&messages, &there, &gaps),
                "last" => self.check_last(&messages, &there),
                _ => self.check_text(&messages, &there),
            }
        }
    }

    fn check_log(&self, held: &BTreeMap<Cursor, Message>, there: &[Arc<Message>], gaps: &[Cursor]) {
        let (name, channel) = (&self.name, &self.channel);
        let is_complete = !channel.as_str().starts_with("tight");
        for message in there {
            let is_gap = |keep_to: &Cursor| !is_complete && *keep_to < message.cursor;
            let is_held = held.contains_key(&message.cursor);
            // What was trimmed before it came the first time is no loss to it.
            let before = held
                .keys()
                .next()
                .is_none_or(|first| message.cursor < *first);
            self.journal.check(
                is_held || gaps.iter().any(is_gap) || !is_complete && before,
                || {
                    format!(
                        "{name} lacks {message:?} of `{channel}` and was told of no gap: {gaps:?}"
                    )
                },
            );
        }
        for (cursor, message) in held {
            let is_there = there.iter().any(|there| there.cursor == *cursor)
                || self.ledger.had_no_room(message);
            self.journal.check(is_there, || {
                format!("{name} holds {message:?} of `{channel}`, which is not there")
            });
        }
    }

    fn check_last(&self, held: &BTreeMap<Cursor, Message>, there: &[Arc<Message>]) {
        let last = held.values().next_back().map(|message| &message.payload);
        let expected = there.last().map(|message| &message.payload);
        let (name, channel) = (&self.name, &self.channel);
        self.journal.check(last == expected, || {
            format!("{name} holds {last:?} as the last of `{channel}`, it is {expected:?}")
        });
    }

    fn check_text(&self, held: &BTreeMap<Cursor, Message>, there: &[Arc<Message>]) {
        let texts = held.values().flat_map(words);
        let mut texts: Vec<_> = texts.collect();
        texts.sort();
        let mut expected: Vec<_> = there.iter().flat_map(|message| words(message)).collect();
        expected.sort();
        let (name, channel) = (&self.name, &self.channel);
        self.journal.check(texts == expected, || {
            format!("{name} holds {texts:?} as the text of `{channel}`, it is {expected:?}")
        });
    }
}

impl Held {
    /// A piece stands at the place of its last message, of which there is one.
    fn replace(&mut self, snapshot: &Snapshot) {
        let pieces = snapshot.pieces.iter();
        self.messages = pieces.map(|piece| (piece.cursor, piece.clone())).collect();
        self.heard.extend(self.messages.values().cloned());
    }
}

/// The texts that were said, each ends with a `;`.
fn words(message: &Message) -> Vec<String> {
    let json: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    let said = json["said"].as_str().unwrap().split_terminator(';');
    said.map(str::to_owned).collect()
}

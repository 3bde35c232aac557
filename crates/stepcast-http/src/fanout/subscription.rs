//! One channel that a connection reads: where it is, and what it still has to be told. A value; the shard acts on it.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use bytes::Bytes;
use stepcast_engine::hub::{Entry, Follow, Hub, Position, Trims};
use stepcast_protocol::{Cursor, Epoch, Message, TopicName, run::RUN_TOPIC};
use tokio::time::Instant;

use super::{
    dialect::Dialect,
    feed::{Feed, Group, Topics, topic_set},
};

pub(super) struct Subscription {
    pub(super) feed: Rc<Feed>,
    pub(super) dialect: Dialect,
    pub(super) topics: Topics,
    pub(super) place: Place,
    pub(super) floors: Floors,
    /// Set until it has entered.
    pub(super) due: Option<Way>,
    /// What it is told before it reads on.
    pub(super) opening: Option<Opening>,
    pub(super) trims: Trims,
    /// The life of the store in which it entered.
    pub(super) life: Epoch,
    /// Whether a snapshot can be cheaper for it than what it missed.
    pub(super) has_snapshots: bool,
    /// When it has to have shown another token.
    pub(super) session_ends: Option<Instant>,
    /// While it is told of runs as npm `inngest` is.
    pub(super) follow: Option<Follow>,
}

/// Where a subscription is.
pub(super) enum Place {
    /// Where its feed is; it gets what the feed gets.
    Member {
        group: Rc<Group>,
        position: usize,
        turn: u32,
    },
    /// Somewhere else; a pump brings it forward.
    Behind(Cursor),
}

/// How a reader enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As it asked for.
    From(Position),
    /// Again, at its cursor: it entered in another life, or a snapshot is cheaper than what it missed.
    Anew(Cursor, Epoch),
}

/// Frames that come before any message, and what holds once they are out.
pub(super) struct Opening {
    /// Whole frames, shared by all who are told the same.
    pub(super) frames: VecDeque<Bytes>,
    pub(super) then: Option<Entry>,
}

/// Up to and with some cursors, some of the topics are not sent: the reader has them, or did not ask for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Floors(Vec<(Cursor, Topics)>);

impl Floors {
    pub(super) fn of(skip: Option<(Cursor, Topics)>) -> Self {
        Self(skip.into_iter().collect())
    }

    fn hides(&self, cursor: Cursor, topic: &TopicName) -> bool {
        let mut floors = self.0.iter();
        floors.any(|(until, topics)| cursor <= *until && topics.contains(topic))
    }

    /// The next cursor at which more topics are sent than after `cursor`.
    pub(super) fn next(&self, cursor: Cursor) -> Option<Cursor> {
        let ahead = self.0.iter().map(|(until, _)| *until);
        ahead.filter(|until| *until > cursor).min()
    }

    /// Forgets what lies behind.
    pub(super) fn pass(&mut self, cursor: Cursor) {
        self.0.retain(|(until, _)| *until > cursor);
    }

    fn raise(&mut self, until: Cursor, topics: Topics) {
        self.0.push((until, topics));
    }

    fn forget(&mut self, gone: &[TopicName]) {
        for (_, topics) in &mut self.0 {
            *topics = topic_set(topics.iter().filter(|topic| !gone.contains(topic)).cloned());
        }
        self.0.retain(|(_, topics)| !topics.is_empty());
    }
}

impl Subscription {
    /// Where it is: everything before has been sent, or is begun.
    pub(super) fn cursor(&self) -> Cursor {
        match &self.place {
            Place::Behind(cursor) => *cursor,
            Place::Member { group, turn, .. } if *turn != group.turn.get() => {
                group.served_from.get()
            }
            Place::Member { .. } => self.feed.cursor.get(),
        }
    }

    /// Takes it out of its group, if it is in one, and says where it is.
    pub(super) fn leave(&mut self) -> Cursor {
        let cursor = self.cursor();
        if let Place::Member {
            group,
            position,
            turn,
        } = &self.place
            && *turn == group.turn.get()
        {
            let mut members = group.members.borrow_mut();
            members.swap_remove(*position);
            if let Some(moved) = members.get(*position) {
                moved.state.borrow_mut().moved_to(self.feed.id, *position);
            }
        }
        self.place = Place::Behind(cursor);
        cursor
    }

    /// Whether this message has to be sent.
    pub(super) fn wants(&self, message: &Message) -> bool {
        self.dialect
            .wants(self.feed.channel.name(), message, &self.topics)
            && !self.floors.hides(message.cursor, &message.topic)
    }

    /// The topics that are sent right after a cursor.
    pub(super) fn topics_after(&self, cursor: Cursor) -> Topics {
        if self.floors.next(cursor).is_none() {
            return Arc::clone(&self.topics);
        }
        let floors = &self.floors.0;
        let is_hidden = |topic: &TopicName| {
            let mut ahead = floors.iter().filter(|(until, _)| *until > cursor);
            ahead.any(|(_, topics)| topics.contains(topic))
        };
        topic_set(
            self.topics
                .iter()
                .filter(|topic| !is_hidden(topic))
                .cloned(),
        )
    }

    /// Whether it has been told, or is just being told, how it begins.
    pub(super) fn is_entering(&self) -> bool {
        self.due.is_some() || self.opening.is_some()
    }

    /// Whether it gets from here on what its feed gets.
    pub(super) fn can_join(&self) -> bool {
        let here = self.feed.cursor.get();
        matches!(self.place, Place::Behind(cursor) if cursor == here)
            && !self.is_entering()
            && self.floors.next(here).is_none()
            && self.life == self.feed.life.get()
    }

    /// How it has to enter before it can read on, if it has to.
    pub(super) fn way(&self) -> Option<Way> {
        if self.due.is_some() {
            return self.due;
        }
        let cursor = self.cursor();
        let wants_fold = self.wants_fold() && cursor != self.feed.cursor.get();
        let (channel, life) = (&self.feed.channel, self.life);
        channel
            .must_enter(cursor, life, wants_fold)
            .then_some(Way::Anew(cursor, life))
    }

    /// Whether topics that have snapshots are among those it reads right now.
    pub(super) fn wants_fold(&self) -> bool {
        self.has_snapshots && self.floors.next(self.cursor()).is_none()
    }

    /// Goes on as it was let in.
    pub(super) fn on_entry(&mut self, entry: Entry) {
        let Entry {
            cursor,
            skip,
            trims,
            life,
            ..
        } = entry;
        self.leave();
        self.place = Place::Behind(cursor);
        self.floors = Floors::of(skip);
        self.trims = trims;
        self.life = life;
    }

    /// Tells it something before it reads on.
    pub(super) fn tell(&mut self, frames: impl IntoIterator<Item = Bytes>) {
        let opening = self.opening.get_or_insert_with(|| Opening {
            frames: VecDeque::new(),
            then: None,
        });
        opening.frames.extend(frames);
    }

    /// After its topics have changed: asks for the channel's runs, or no longer does.
    pub(super) fn follow_runs(&mut self, hub: &Hub) {
        let names_runs = self.topics.iter().any(|topic| topic.as_str() == RUN_TOPIC);
        self.follow = match (self.dialect, self.follow.take()) {
            (Dialect::Plain, None) if names_runs => Some(hub.follow_runs(&self.feed.channel)),
            (Dialect::Plain, follow) if names_runs => follow,
            (Dialect::Plain | Dialect::Native, _) => None,
        };
    }

    /// Adds topics that are to be read from `start` on, wherever the others are.
    pub(super) fn add_topics(&mut self, topics: &[TopicName], start: Cursor) {
        let added = self.missing(topics);
        if added.is_empty() {
            return;
        }
        if matches!(&self.opening, Some(opening) if opening.then.is_some()) {
            // It was for fewer topics: it enters again, with all of them.
            self.opening = None;
        }
        let here = self.leave();
        if start > here {
            self.floors.raise(start, Arc::clone(&added));
        } else if start < here {
            self.floors.raise(here, Arc::clone(&self.topics));
            self.place = Place::Behind(start);
        }
        self.topics = topic_set(self.topics.iter().chain(added.iter()).cloned());
    }

    /// Adds topics that were let in by themselves.
    pub(super) fn add_entered(&mut self, topics: &[TopicName], entry: Entry) {
        let Entry {
            cursor,
            skip,
            trims,
            ..
        } = entry;
        self.add_topics(topics, cursor);
        if let Some((until, topics)) = skip {
            self.floors.raise(until, topics);
        }
        if cursor == Cursor::START {
            // The first page is for the new topics, and what was trimmed before is no loss to them.
            self.trims = trims;
        }
    }

    /// Those of the topics that it does not read.
    pub(super) fn missing(&self, topics: &[TopicName]) -> Topics {
        let missing = topics.iter().filter(|topic| !self.topics.contains(topic));
        topic_set(missing.cloned())
    }

    /// Stops reading topics; says whether any are left.
    pub(super) fn remove_topics(&mut self, gone: &[TopicName]) -> bool {
        self.leave();
        let left = self.topics.iter().filter(|topic| !gone.contains(topic));
        self.topics = topic_set(left.cloned());
        self.floors.forget(gone);
        !self.topics.is_empty()
    }
}

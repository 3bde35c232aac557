//! One socket and what it reads. A value; the shard acts on it.

use std::{cell::RefCell, collections::VecDeque, io, rc::Rc, sync::Arc};

use stepcast_protocol::{Cursor, Message, TopicName};
use tokio::{net::TcpStream, task::AbortHandle, time::Instant};

use super::{
    address::Permit,
    feed::{Feed, Group, Topics, topic_set},
};

/// A connection of a shard.
pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) stream: TcpStream,
    pub(super) state: RefCell<State>,
    pub(super) _permit: Option<Permit>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) subscriptions: Vec<Subscription>,
    /// Bytes that must go out before anything else: the end of one frame, or a control frame. Empty for a reader that keeps up.
    pub(super) rest: Vec<u8>,
    /// The answer to the client's last ping, while `rest` is in its way.
    pub(super) pong: Option<Box<[u8]>>,
    /// Pings that were sent since the client was last heard of.
    pub(super) unheard_pings: u8,
    /// The pump, while one is at work.
    pub(super) pump: Option<AbortHandle>,
    /// Set once a close frame was queued: when to give up waiting for the client's end.
    pub(super) closing: Option<Instant>,
    /// Which subscription that lags gets the next turn.
    pub(super) next_turn: usize,
    pub(super) reader: Option<AbortHandle>,
}

/// One channel that a connection reads.
pub(super) struct Subscription {
    pub(super) feed: Rc<Feed>,
    pub(super) topics: Topics,
    /// Stretches in which only some of the topics are still to be sent, in order.
    pub(super) partial: VecDeque<Partial>,
    pub(super) place: Place,
}

/// Up to and with a cursor, only these topics.
pub(super) struct Partial {
    until: Cursor,
    topics: Topics,
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

impl Connection {
    /// Writes what the socket takes now: no waiting, and nothing taken is not an error.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.try_write(bytes) {
            Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }

    /// Makes a subscription a member of its group. Its cursor is the feed's.
    pub(super) fn join(self: &Rc<Self>, subscription: &mut Subscription) {
        let group = subscription.feed.group(&subscription.topics);
        let mut members = group.members.borrow_mut();
        let (position, turn) = (members.len(), group.turn.get());
        members.push(Rc::clone(self));
        drop(members);
        subscription.partial.clear();
        // Equal sets share their memory.
        subscription.topics = Topics::clone(&group.topics);
        subscription.place = Place::Member {
            group,
            position,
            turn,
        };
    }
}

impl State {
    pub(super) fn of_feed(&mut self, feed: u64) -> Option<&mut Subscription> {
        self.subscriptions
            .iter_mut()
            .find(|subscription| subscription.feed.id == feed)
    }

    /// Takes every subscription out of its group: the socket is full.
    pub(super) fn leave_groups(&mut self) {
        for subscription in &mut self.subscriptions {
            subscription.leave();
        }
    }

    pub(super) fn is_behind(&self) -> bool {
        self.subscriptions
            .iter()
            .any(|subscription| matches!(subscription.place, Place::Behind(_)))
    }
}

impl Subscription {
    /// Takes it out of its group, if it is in one, and says where it is.
    pub(super) fn leave(&mut self) -> Cursor {
        let cursor = match &self.place {
            Place::Behind(cursor) => *cursor,
            Place::Member { group, turn, .. } if *turn != group.turn.get() => {
                group.served_from.get()
            }
            Place::Member {
                group, position, ..
            } => {
                let mut members = group.members.borrow_mut();
                members.swap_remove(*position);
                if let Some(moved) = members.get(*position) {
                    moved.state.borrow_mut().moved_to(self.feed.id, *position);
                }
                self.feed.cursor.get()
            }
        };
        self.place = Place::Behind(cursor);
        cursor
    }

    /// Whether this message still has to be sent.
    pub(super) fn wants(&self, message: &Message) -> bool {
        message.is_data()
            && self
                .partial
                .iter()
                .find(|partial| message.cursor <= partial.until)
                .map_or(&self.topics, |partial| &partial.topics)
                .contains(&message.topic)
    }

    /// Adds topics that are to be read from `start` on, wherever the others are.
    pub(super) fn add_topics(&mut self, topics: &[TopicName], start: Cursor) {
        let added = topic_set(
            topics
                .iter()
                .filter(|topic| !self.topics.contains(topic))
                .cloned(),
        );
        if added.is_empty() {
            return;
        }
        let here = self.leave();
        let union = |set: &Topics| topic_set(set.iter().chain(added.iter()).cloned());
        if start > here && self.partial.is_empty() {
            let topics = Arc::clone(&self.topics);
            self.partial.push_back(Partial {
                until: start,
                topics,
            });
        } else {
            for partial in &mut self.partial {
                partial.topics = union(&partial.topics);
            }
        }
        self.topics = union(&self.topics);
        if start < here {
            self.partial.push_front(Partial {
                until: here,
                topics: added,
            });
            self.place = Place::Behind(start);
        }
    }

    /// Stops reading topics; says whether any are left.
    pub(super) fn remove_topics(&mut self, gone: &[TopicName]) -> bool {
        let left =
            |set: &Topics| topic_set(set.iter().filter(|topic| !gone.contains(topic)).cloned());
        self.leave();
        for partial in &mut self.partial {
            partial.topics = left(&partial.topics);
        }
        self.topics = left(&self.topics);
        !self.topics.is_empty()
    }
}

impl State {
    fn moved_to(&mut self, feed: u64, new: usize) {
        if let Some(Subscription {
            place: Place::Member { position, .. },
            ..
        }) = self.of_feed(feed)
        {
            *position = new;
        }
    }
}

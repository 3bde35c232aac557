//! One socket and what waits for it. A value; the shard acts on it.

use std::{cell::RefCell, io, rc::Rc};

use bytes::Bytes;
use stepcast_protocol::{ChannelName, Cursor};
use tokio::{net::TcpStream, sync::Notify, task::AbortHandle, time::Instant};

use super::{
    address::Permit,
    dialect::Dialect,
    feed::Topics,
    frame,
    stats::Sending,
    subscription::{Place, Subscription},
};

/// A connection of a shard.
pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) dialect: Dialect,
    /// What connections like this one were given.
    pub(super) sent: Rc<Sending>,
    pub(super) stream: TcpStream,
    pub(super) state: RefCell<State>,
    /// Told when answers have left, and when a subscription has entered.
    pub(super) progress: Notify,
    pub(super) _permit: Option<Permit>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) subscriptions: Vec<Subscription>,
    /// Bytes that must go out before anything else: the end of one frame. Empty for a reader that keeps up.
    pub(super) rest: Bytes,
    /// Whole frames that belong to this connection alone and come after `rest`.
    pub(super) answers: Vec<u8>,
    /// The answer to the client's last ping, while `rest` is in its way.
    pub(super) pong: Option<Box<[u8]>>,
    /// Pings that were sent since the client was last heard of.
    pub(super) unheard_pings: u8,
    /// The pump, while one is at work.
    pub(super) pump: Option<AbortHandle>,
    /// Set once a close frame was queued: when to give up waiting for the client's end.
    pub(super) closing: Option<Instant>,
    /// When a pump has last sent messages.
    pub(super) pumped_at: Option<Instant>,
    /// Which subscription that lags gets the next turn.
    pub(super) next_turn: usize,
    pub(super) reader: Option<AbortHandle>,
}

impl Connection {
    /// Writes what the socket takes now: no waiting, and nothing taken is not an error.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.try_write(bytes) {
            Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Ok(taken) => {
                self.sent.on_bytes(taken);
                Ok(taken)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends what comes before any new frame; says whether all of it is out.
    pub(super) fn flush(&self, state: &mut State) -> io::Result<bool> {
        loop {
            if state.rest.is_empty() {
                if !state.answers.is_empty() {
                    state.rest = std::mem::take(&mut state.answers).into();
                    self.progress.notify_one();
                } else if let Some(pong) = state.pong.take() {
                    state.rest = frame::pong(&pong).into();
                } else {
                    return Ok(true);
                }
            }
            let taken = self.try_write(&state.rest)?;
            let left = state.rest.split_off(taken);
            state.rest = left;
            if !state.rest.is_empty() {
                return Ok(false);
            }
            state.rest = Bytes::new();
        }
    }

    /// Makes a subscription a member of its group. Its cursor is the feed's.
    pub(super) fn join(self: &Rc<Self>, subscription: &mut Subscription) {
        let group = subscription
            .feed
            .group(&subscription.topics, subscription.dialect);
        let mut members = group.members.borrow_mut();
        let (position, turn) = (members.len(), group.turn.get());
        members.push(Rc::clone(self));
        drop(members);
        subscription.floors.pass(subscription.feed.cursor.get());
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

    pub(super) fn of_channel(&mut self, channel: &ChannelName) -> Option<&mut Subscription> {
        self.subscriptions
            .iter_mut()
            .find(|subscription| subscription.feed.channel.name() == channel)
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

    /// What is kept until the socket takes it, beside answers.
    pub(super) fn unsent(&self) -> impl Iterator<Item = &Bytes> {
        let openings = self
            .subscriptions
            .iter()
            .filter_map(|subscription| subscription.opening.as_ref());
        std::iter::once(&self.rest).chain(openings.flat_map(|opening| &opening.frames))
    }

    /// Where the connection is, when it reads one channel.
    pub(super) fn only_cursor(&self) -> Option<Cursor> {
        match &*self.subscriptions {
            [only] => Some(only.cursor()),
            _ => None,
        }
    }

    pub(super) fn moved_to(&mut self, feed: u64, new: usize) {
        if let Some(Subscription {
            place: Place::Member { position, .. },
            ..
        }) = self.of_feed(feed)
        {
            *position = new;
        }
    }
}

//! A shard's turn: what has become visible since the last one, once per set of topics and dialect, in one write per socket.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use stepcast_engine::hub::{Posted, Slice};
use stepcast_protocol::Cursor;

use super::{
    batch::Batch,
    connection::Connection,
    ending,
    feed::{Feed, Group},
    shard::Shard,
    subscription::Place,
};

/// Bytes of messages that one turn takes of a channel.
pub(super) const SLICE_BYTES: usize = 32 * 1024;
/// What a write to a socket takes, about.
const WRITE: Duration = Duration::from_micros(5);
/// How soon a message comes that comes right behind another.
const BEHIND: Duration = Duration::from_micros(40);
/// Which part of a turn is spent on waiting for these at most: one in so many.
const GATHERED_PART: u32 = 10;
/// How long a shard waits for these in any case, as others of it wait meanwhile.
const GATHERING: Duration = Duration::from_micros(400);
/// Sockets that are written to before the others of the shard get their turn.
const WRITES_PER_TURN: u32 = 256;

impl Shard {
    /// Serves each channel that was marked, once.
    pub(super) async fn serve_dirty(self: &Rc<Self>) {
        for id in self.dirty.take() {
            let feed = self.feeds.borrow().get(id);
            if let Some(feed) = feed {
                self.serve(&feed).await;
            }
        }
    }

    async fn serve(self: &Rc<Self>, feed: &Rc<Feed>) {
        if feed.in_bursts.get() {
            gather(feed);
        }
        feed.mark.clear();
        let life = feed.channel.visible().epoch;
        if life != feed.life.get() {
            feed.life.set(life);
            return self.disperse(feed);
        }
        match feed.channel.read(feed.cursor.get(), SLICE_BYTES) {
            Slice::UpToDate(cursor) => feed.move_to(cursor),
            Slice::Tail { mut messages, next } => {
                let next = ending::apart(&mut messages, next);
                if messages.first().is_some_and(|first| ending::is_end(first))
                    && feed.delivered_at.get() + ending::PAUSE > tokio::time::Instant::now()
                {
                    return self.disperse(feed);
                }
                self.deliver(feed, &messages, next).await;
                let has_more = next < feed.channel.visible();
                feed.in_bursts.set(!has_more && messages.len() > 1);
                if has_more {
                    feed.mark.set();
                }
            }
            // The shard itself came too late for the tail.
            Slice::Stored { .. } => self.disperse(feed),
        }
    }

    /// Leaves each reader where it is, to come after the feed by itself: with what it has to be told, which is not the same for all.
    fn disperse(self: &Rc<Self>, feed: &Rc<Feed>) {
        let from = feed.cursor.get();
        let groups = feed.groups();
        let members: Vec<_> = groups
            .iter()
            .flat_map(|group| group.begin_turn(from))
            .collect();
        feed.move_to(feed.channel.visible());
        for connection in members {
            if let Some(subscription) = connection.state.borrow_mut().of_feed(feed.id) {
                subscription.leave();
            }
            self.start_pump(&connection);
        }
    }

    pub(super) fn close_unreadable(self: &Rc<Self>, connection: &Rc<Connection>) {
        let reason = "kept messages cannot be read now; resume later";
        self.close(connection, 1011, reason, self.options.close_wait);
    }

    async fn deliver(self: &Rc<Self>, feed: &Rc<Feed>, messages: &[Arc<Posted>], next: Cursor) {
        let from = feed.cursor.get();
        let mut turns = Vec::new();
        for group in feed.groups() {
            if group.members.borrow().is_empty() {
                continue;
            }
            let channel = feed.channel.name();
            let wanted = messages.iter().map(|posted| &**posted).filter(|posted| {
                let message = posted.message();
                group.dialect.wants(channel, message, &group.topics)
            });
            let batch = Batch::encode(channel, wanted, from, next);
            if !batch.is_empty() {
                let turn = group.turn.get();
                let members = group.begin_turn(from);
                turns.push((group, turn, members, batch));
            }
        }
        feed.move_to(next);
        if !turns.is_empty() {
            feed.delivered_at.set(tokio::time::Instant::now());
        }
        for (group, turn, members, batch) in turns {
            for (position, connection) in members.into_iter().enumerate() {
                if is_due(&connection, feed.id, &group, (turn, position)) {
                    self.write(&connection, feed, &batch);
                    self.breathe().await;
                }
            }
        }
    }

    fn write(self: &Rc<Self>, connection: &Rc<Connection>, feed: &Feed, batch: &Batch) {
        let mut state = connection.state.borrow_mut();
        let Some(subscription) = state.of_feed(feed.id) else {
            return;
        };
        match connection.try_write(batch.bytes()) {
            Ok(taken) if taken == batch.bytes().len() => {
                connection.sent.on_delivered(batch.len());
                connection.join(subscription);
            }
            Ok(taken) => {
                let cut = batch.cut(taken);
                connection.sent.on_delivered(cut.frames);
                subscription.place = Place::Behind(cut.cursor);
                state.rest = cut.rest;
                state.leave_groups();
                drop(state);
                self.start_pump(connection);
            }
            Err(_) => {
                drop(state);
                self.remove(connection);
            }
        }
    }

    /// Lets the others of the shard have a turn once in a while.
    async fn breathe(&self) {
        let written = self.written.get().wrapping_add(1);
        self.written.set(written);
        if written.is_multiple_of(WRITES_PER_TURN) {
            tokio::task::yield_now().await;
        }
    }
}

/// Waits for what comes right behind, where a turn takes much longer than that: to a socket, several messages in one write cost hardly more
/// than one. As long as more comes, and a small part of the turn at most. Where messages come one by one nobody waits.
fn gather(feed: &Feed) {
    let members = u32::try_from(feed.members()).unwrap_or(u32::MAX);
    let most = (WRITE.saturating_mul(members) / GATHERED_PART).min(GATHERING);
    if most < BEHIND {
        return;
    }
    let begin = Instant::now();
    let (mut seen, mut since) = (feed.channel.visible(), begin);
    loop {
        std::thread::yield_now();
        let now = Instant::now();
        let visible = feed.channel.visible();
        if visible != seen {
            (seen, since) = (visible, now);
        }
        if now - since >= BEHIND || now - begin >= most {
            return;
        }
    }
}

/// Whether the connection still is where it was when the turn began.
fn is_due(connection: &Connection, feed: u64, group: &Rc<Group>, seat: (u32, usize)) -> bool {
    let mut state = connection.state.borrow_mut();
    matches!(
        state.of_feed(feed).map(|subscription| &subscription.place),
        Some(Place::Member { group: of, position, turn })
            if Rc::ptr_eq(of, group) && (*turn, *position) == seat
    )
}

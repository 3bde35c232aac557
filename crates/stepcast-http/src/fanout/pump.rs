//! Brings a connection forward that is not where its channels are: because it has just come, or because its socket was full.
//!
//! A pump exists only as long as that lasts. It holds one connection and reads the channels' logs at that connection's pace: what it
//! could not send stays in the log, and only the end of the one frame that was begun is kept.

use std::{io, rc::Rc, sync::Arc};

use bytes::Bytes;
use stepcast_engine::{
    hub::{Posted, Slice, StoredPage, TopicFilter},
    store::StoreError,
};
use stepcast_protocol::Cursor;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    batch::Batch,
    connection::{Connection, State},
    delivery::SLICE_BYTES,
    dialect::Dialect,
    ending,
    entering::Entering,
    feed::Feed,
    frame,
    replay::{Read, Replay},
    shard::Shard,
    socket,
    subscription::{Place, Subscription},
};

/// What a pump does next.
enum Step {
    /// Nothing: the connection has caught up, or is finished.
    Done,
    /// Goes on after the others had a turn.
    Again,
    /// Waits for room in the socket, which took something since it was last full, or did not.
    Full { took: bool },
    /// Lets a subscription in.
    Enter(Box<Entering>),
    /// Reads the store.
    Fetch(Box<Page>),
    /// Waits until the shard has come as far as this connection.
    Wait(Rc<Feed>),
    /// Leaves time before the end of a run.
    Rest(Instant),
}

/// A read of the store for one subscription.
struct Page {
    feed: u64,
    from: Cursor,
    messages: Read<StoredPage, StoreError>,
}

impl Shard {
    /// Starts a pump, unless one is at work.
    pub(super) fn start_pump(self: &Rc<Self>, connection: &Rc<Connection>) {
        let mut state = connection.state.borrow_mut();
        if state.pump.is_none() {
            let pump = Rc::clone(self).pump(Rc::clone(connection));
            state.pump = Some(tokio::task::spawn_local(pump).abort_handle());
        }
    }

    async fn pump(self: Rc<Self>, connection: Rc<Connection>) {
        let mut took_at = Instant::now();
        loop {
            let Ok(step) = self.step(&connection) else {
                return self.remove(&connection);
            };
            match step {
                Step::Done => return,
                Step::Again => {
                    took_at = Instant::now();
                    tokio::task::yield_now().await;
                }
                Step::Wait(feed) => {
                    feed.moved.notified().await;
                    took_at = Instant::now();
                }
                Step::Rest(until) => {
                    sleep_until(until).await;
                    took_at = Instant::now();
                }
                Step::Enter(entering) => {
                    self.on_entering(&connection, *entering).await;
                    took_at = Instant::now();
                }
                Step::Fetch(page) => {
                    self.on_page(&connection, *page).await;
                    took_at = Instant::now();
                }
                Step::Full { took } => {
                    if took {
                        took_at = Instant::now();
                    }
                    let deadline = took_at + self.options.stalled;
                    if timeout_at(deadline, connection.stream.writable())
                        .await
                        .is_err()
                    {
                        self.on_stalled(&connection);
                        took_at = Instant::now();
                    }
                }
            }
        }
    }

    fn step(self: &Rc<Self>, connection: &Rc<Connection>) -> io::Result<Step> {
        let mut state = connection.state.borrow_mut();
        if self.is_gone(connection) {
            return Ok(Step::Done);
        }
        let before = state.rest.len();
        if !connection.flush(&mut state)? {
            let took = state.rest.len() < before;
            return Ok(Step::Full { took });
        }
        if state.closing.is_some() {
            socket::finish(&connection.stream);
            state.pump = None;
            return Ok(Step::Done);
        }
        match next_behind(&mut state) {
            Some(index) => self.advance(connection, &mut state, index),
            None => {
                state.pump = None;
                Ok(Step::Done)
            }
        }
    }

    /// One subscription's next frames.
    fn advance(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        state: &mut State,
        index: usize,
    ) -> io::Result<Step> {
        let subscription = &mut state.subscriptions[index];
        if let Some(opening) = &mut subscription.opening {
            let Some(frame) = opening.frames.pop_front() else {
                end_opening(connection, subscription);
                return Ok(Step::Again);
            };
            return send_opening(connection, state, index, frame);
        }
        let cursor = subscription.leave();
        if subscription.can_join() {
            connection.join(subscription);
            return Ok(Step::Again);
        }
        if let Some(way) = subscription.way() {
            let entering = self.enter(subscription, way);
            return Ok(Step::Enter(Box::new(entering)));
        }
        subscription.floors.pass(cursor);
        let known = self
            .replays
            .batch(&subscription.audience(), cursor, &subscription.floors);
        if let Some(replay) = known {
            return self.send_replay(connection, state, index, &replay);
        }
        self.read_log(connection, state, index)
    }

    /// What the channel's log has for a subscription.
    fn read_log(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        state: &mut State,
        index: usize,
    ) -> io::Result<Step> {
        let subscription = &mut state.subscriptions[index];
        let (cursor, feed) = (subscription.cursor(), Rc::clone(&subscription.feed));
        match feed.channel.read(cursor, SLICE_BYTES) {
            Slice::UpToDate(cursor) => {
                subscription.place = Place::Behind(cursor);
                if subscription.can_join() {
                    return Ok(Step::Again);
                }
                feed.mark.set();
                Ok(Step::Wait(feed))
            }
            Slice::Tail { mut messages, next } => {
                let next = ending::apart(&mut messages, next);
                let posted = messages.iter().map(|posted| &**posted);
                let batch = encode(subscription, posted, cursor, next);
                let replay = self.keep(subscription, cursor, batch, None);
                self.send_replay(connection, state, index, &replay)
            }
            // The tail has let go of it just now: it enters anew in its next turn, once the shard has gone on as well.
            Slice::Stored { .. } if subscription.wants_fold() => Ok(Step::Again),
            Slice::Stored { up_to } => {
                let topics = subscription.topics_after(cursor);
                let up_to = subscription
                    .floors
                    .next(cursor)
                    .map_or(up_to, |floor| floor.min(up_to));
                if topics.is_empty() {
                    subscription.place = Place::Behind(up_to);
                    return Ok(Step::Again);
                }
                let read = || {
                    let (hub, channel) = (self.hub.clone(), Arc::clone(&feed.channel));
                    let filter = TopicFilter::Only(Arc::clone(&topics));
                    async move { hub.stored_page(channel, filter, cursor, up_to).await }
                };
                let stretch = (cursor, up_to);
                let messages = self
                    .replays
                    .page(feed.id, Arc::clone(&topics), stretch, read);
                Ok(Step::Fetch(Box::new(Page {
                    feed: feed.id,
                    from: cursor,
                    messages,
                })))
            }
        }
    }

    async fn on_page(self: &Rc<Self>, connection: &Rc<Connection>, page: Page) {
        let stored = match page.messages.await {
            Ok(stored) => stored,
            Err(error) => {
                let channel = self.channel_of(page.feed);
                tracing::warn!(%error, channel, "kept messages cannot be read; a reader is closed");
                return self.close_unreadable(connection);
            }
        };
        let mut state = connection.state.borrow_mut();
        let Some(index) = state
            .subscriptions
            .iter()
            .position(|subscription| subscription.is_at(page.feed, page.from))
        else {
            return;
        };
        let subscription = &state.subscriptions[index];
        let posted = stored.messages.iter().map(|posted| &**posted);
        let batch = encode(subscription, posted, page.from, stored.next);
        let replay = self.keep(subscription, page.from, batch, Some(stored));
        let sent = self.send_replay(connection, &mut state, index, &replay);
        drop(state);
        if sent.is_err() {
            self.remove(connection);
        }
    }

    /// Keeps a batch for others who come from the same place.
    fn keep(
        &self,
        subscription: &Subscription,
        from: Cursor,
        batch: Batch,
        page: Option<Rc<StoredPage>>,
    ) -> Replay {
        let replay = Replay {
            batch: Rc::new(batch),
            page,
        };
        let (audience, floors) = (subscription.audience(), subscription.floors.clone());
        self.replays
            .put_batch(audience, from, floors, replay.clone());
        replay
    }

    /// Sends a batch; first, what is missing from it. Then the batch waits for its turn, as a full socket keeps nothing but gaps.
    fn send_replay(
        &self,
        connection: &Connection,
        state: &mut State,
        index: usize,
        replay: &Replay,
    ) -> io::Result<Step> {
        if replay.batch.ends_a_run() {
            let feed = &state.subscriptions[index].feed;
            let written_at = state.pumped_at.max(Some(feed.delivered_at.get()));
            let rested = written_at.map(|at| at + ending::PAUSE);
            if let Some(until) = rested.filter(|until| *until > Instant::now()) {
                return Ok(Step::Rest(until));
            }
        }
        let subscription = &mut state.subscriptions[index];
        let gaps = replay
            .page
            .as_ref()
            .map_or_else(Vec::new, |page| page.gaps(&mut subscription.trims));
        if gaps.is_empty() {
            return send(connection, state, index, &replay.batch);
        }
        match subscription.dialect {
            Dialect::Plain => {
                let lost = gaps.len() as u64;
                self.plain_gaps.set(self.plain_gaps.get() + lost);
                send(connection, state, index, &replay.batch)
            }
            Dialect::Native => {
                connection.sent.on_gaps(gaps.len());
                let channel = subscription.feed.channel.name().clone();
                let frames = gaps
                    .iter()
                    .map(|gap| frame::text(&gap.to_wire(&channel)).into());
                subscription.tell(frames);
                Ok(Step::Again)
            }
        }
    }

    /// Closes a connection whose socket took nothing for too long. What it misses it can read from the cursor in the reason.
    fn on_stalled(self: &Rc<Self>, connection: &Rc<Connection>) {
        let (is_closing, cursor) = {
            let state = connection.state.borrow();
            (state.closing.is_some(), state.only_cursor())
        };
        if is_closing {
            return self.remove(connection);
        }
        let reason = cursor.map_or_else(String::new, |cursor| cursor.to_string());
        self.close(connection, 4008, &reason, self.options.stalled);
    }
}

impl Subscription {
    fn is_at(&self, feed: u64, cursor: Cursor) -> bool {
        self.feed.id == feed
            && self.opening.is_none()
            && matches!(self.place, Place::Behind(at) if at == cursor)
    }
}

fn encode<'a>(
    subscription: &Subscription,
    messages: impl Iterator<Item = &'a Posted> + Clone,
    from: Cursor,
    to: Cursor,
) -> Batch {
    let wanted = messages.filter(|posted| subscription.wants(posted.message()));
    Batch::encode(subscription.feed.channel.name(), wanted, from, to)
}

/// The next subscription that lags, each in its turn.
fn next_behind(state: &mut State) -> Option<usize> {
    let count = state.subscriptions.len();
    let found = (0..count)
        .map(|step| (state.next_turn + step) % count)
        .find(|index| matches!(state.subscriptions[*index].place, Place::Behind(_)))?;
    state.next_turn = found + 1;
    Some(found)
}

fn end_opening(connection: &Connection, subscription: &mut Subscription) {
    if let Some(entry) = subscription.opening.take().and_then(|opening| opening.then) {
        subscription.on_entry(entry);
    }
    connection.progress.notify_one();
}

/// Sends one whole frame of what a subscription is told. What was begun is shared with all who are told the same.
fn send_opening(
    connection: &Connection,
    state: &mut State,
    index: usize,
    mut frame: Bytes,
) -> io::Result<Step> {
    let taken = connection.try_write(&frame)?;
    let rest = frame.split_off(taken);
    if rest.is_empty() {
        return Ok(Step::Again);
    }
    if taken > 0 {
        state.rest = rest;
    } else if let Some(opening) = &mut state.subscriptions[index].opening {
        opening.frames.push_front(rest);
    }
    state.leave_groups();
    Ok(Step::Full { took: taken > 0 })
}

fn send(
    connection: &Connection,
    state: &mut State,
    index: usize,
    batch: &Batch,
) -> io::Result<Step> {
    let taken = if batch.is_empty() {
        0
    } else {
        connection.try_write(batch.bytes())?
    };
    let cut = batch.cut(taken);
    connection.sent.on_delivered(cut.frames);
    if taken > 0 {
        state.pumped_at = Some(Instant::now());
    }
    state.subscriptions[index].place = Place::Behind(cut.cursor);
    state.rest = cut.rest;
    if taken == batch.bytes().len() {
        return Ok(Step::Again);
    }
    state.leave_groups();
    Ok(Step::Full { took: taken > 0 })
}

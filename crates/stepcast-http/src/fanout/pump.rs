//! Brings a connection forward that is not where its channels are: because it has just come, or because its socket was full.
//!
//! A pump exists only as long as that lasts. It holds one connection and reads the channels' logs at that connection's pace: what it
//! could not send stays in the log, and only the end of the one frame that was begun is kept.

use std::{io, rc::Rc, sync::Arc};

use stepcast_engine::{
    hub::{Posted, Slice, StoredPage, TopicFilter},
    store::{BoxFuture, StoreError},
};
use stepcast_protocol::Cursor;
use tokio::time::{Instant, timeout_at};

use super::{
    batch::Batch,
    connection::{Connection, Place, State, Subscription},
    delivery::SLICE_BYTES,
    feed::{Feed, Fetched, Topics},
    frame,
    shard::Shard,
    socket,
};

/// What a pump does next.
enum Step {
    /// Nothing: the connection has caught up, or is finished.
    Done,
    /// Goes on after the others had a turn.
    Again,
    /// Waits for room in the socket, which took something since it was last full, or did not.
    Full { took: bool },
    /// Reads the store.
    Fetch(Page),
    /// Waits until the shard has come as far as this connection.
    Wait(Rc<Feed>),
}

/// A read of the store for one subscription.
struct Page {
    feed: u64,
    from: Cursor,
    messages: BoxFuture<'static, Result<StoredPage, StoreError>>,
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
                Step::Fetch(page) => {
                    self.on_page(&connection, page).await;
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
        if !flush(connection, &mut state)? {
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

    /// One subscription's next slice.
    fn advance(
        &self,
        connection: &Rc<Connection>,
        state: &mut State,
        index: usize,
    ) -> io::Result<Step> {
        let subscription = &mut state.subscriptions[index];
        let cursor = subscription.leave();
        let feed = Rc::clone(&subscription.feed);
        if cursor == feed.cursor.get() {
            connection.join(subscription);
            return Ok(Step::Again);
        }
        if let Some(batch) = self.replayed(subscription, cursor) {
            return send(connection, state, index, &batch);
        }
        match feed.channel.read(cursor, SLICE_BYTES) {
            Slice::UpToDate(cursor) => {
                subscription.place = Place::Behind(cursor);
                if cursor == feed.cursor.get() {
                    return Ok(Step::Again);
                }
                feed.mark.set();
                Ok(Step::Wait(feed))
            }
            Slice::Tail { messages, next } => {
                let posted = messages.iter().map(|posted| &**posted);
                let batch = self.encode(subscription, posted, cursor, next);
                send(connection, state, index, &batch)
            }
            Slice::Stored { up_to } => {
                let topics = TopicFilter::Only(Topics::clone(&subscription.topics));
                let (hub, channel) = (self.hub.clone(), Arc::clone(&feed.channel));
                let messages =
                    Box::pin(async move { hub.stored_page(channel, topics, cursor, up_to).await });
                Ok(Step::Fetch(Page {
                    feed: feed.id,
                    from: cursor,
                    messages,
                }))
            }
        }
    }

    async fn on_page(self: &Rc<Self>, connection: &Rc<Connection>, page: Page) {
        let messages = match page.messages.await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(%error, "kept messages cannot be read; a reader is closed");
                return self.close_unreadable(connection);
            }
        };
        let Fetched { messages, next } = messages.into();
        let mut state = connection.state.borrow_mut();
        let Some(index) = state
            .subscriptions
            .iter()
            .position(|subscription| subscription.is_at(page.feed, page.from))
        else {
            return;
        };
        let posted = messages.iter().map(|posted| &**posted);
        let batch = self.encode(&state.subscriptions[index], posted, page.from, next);
        let sent = send(connection, &mut state, index, &batch);
        drop(state);
        if sent.is_err() {
            self.remove(connection);
        }
    }

    fn replayed(&self, subscription: &Subscription, from: Cursor) -> Option<Rc<Batch>> {
        if !subscription.partial.is_empty() {
            return None;
        }
        self.replays
            .get(subscription.feed.id, &subscription.topics, from)
    }

    fn encode<'a>(
        &self,
        subscription: &Subscription,
        messages: impl Iterator<Item = &'a Posted>,
        from: Cursor,
        to: Cursor,
    ) -> Rc<Batch> {
        let wanted = messages.filter(|posted| subscription.wants(posted.message()));
        let channel = subscription.feed.channel.name();
        let batch = Rc::new(Batch::encode(channel, wanted, from, to));
        if subscription.partial.is_empty() {
            self.replays
                .put(subscription.feed.id, &subscription.topics, from, &batch);
        }
        batch
    }

    /// Closes a connection whose socket took nothing for too long. What it misses it can read from the cursor in the reason.
    fn on_stalled(self: &Rc<Self>, connection: &Rc<Connection>) {
        let (is_closing, cursor) = {
            let state = connection.state.borrow();
            (state.closing.is_some(), only_cursor(&state))
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
        self.feed.id == feed && matches!(self.place, Place::Behind(at) if at == cursor)
    }
}

/// Sends what comes before any new frame; says whether all of it is out.
fn flush(connection: &Connection, state: &mut State) -> io::Result<bool> {
    loop {
        if state.rest.is_empty() {
            let Some(pong) = state.pong.take() else {
                return Ok(true);
            };
            state.rest = frame::pong(&pong);
        }
        let taken = connection.try_write(&state.rest)?;
        if taken < state.rest.len() {
            state.rest.drain(..taken);
            return Ok(false);
        }
        state.rest = Vec::new();
    }
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
    state.subscriptions[index].place = Place::Behind(cut.cursor);
    state.rest = cut.rest;
    if taken == batch.bytes().len() {
        return Ok(Step::Again);
    }
    state.leave_groups();
    let took = taken > 0;
    Ok(Step::Full { took })
}

/// Where the connection is, when it reads one channel.
fn only_cursor(state: &State) -> Option<Cursor> {
    match &*state.subscriptions {
        [
            Subscription {
                place: Place::Behind(cursor),
                ..
            },
        ] => Some(*cursor),
        _ => None,
    }
}

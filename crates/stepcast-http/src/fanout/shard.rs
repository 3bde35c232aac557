//! A shard: one thread, its sockets and its tables.
//!
//! Everything in it happens on that thread, so nothing here takes a lock for a delivery. No borrow is held across an await.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use stepcast_engine::{
    clock::Entropy,
    hub::{Hub, TopicFilter, Trims},
};
use stepcast_protocol::ChannelName;
use tokio::{
    net::TcpStream,
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};

use super::{
    Options, Stats,
    address::Permit,
    connection::{Connection, State},
    dialect::Dialect,
    feed::{Dirty, Feeds},
    frame,
    replay::Replays,
    socket,
    stats::Sending,
    subscription::{Floors, Place, Subscription, Way},
};
use crate::{entrance::Entrance, tokens::Tokens};

/// A socket whose handshake is done, and where its reading starts.
pub(crate) struct Newcomer {
    pub(crate) socket: std::net::TcpStream,
    /// What the client sent after its handshake.
    pub(crate) read_ahead: Bytes,
    pub(crate) dialect: Dialect,
    pub(crate) entrance: Entrance,
    /// How long a native reader may read on.
    pub(crate) session: Duration,
    pub(crate) permit: Option<Permit>,
}

pub(super) enum Command {
    Adopt(Box<Newcomer>),
    Stats(oneshot::Sender<Stats>),
    Readers(ChannelName, oneshot::Sender<usize>),
    Shutdown,
}

/// How many parts of the keepalive's interval connections are spread over.
const PHASES: u32 = 15;
/// Pings without an answer after which a client is taken for gone.
const UNHEARD_PINGS: u8 = 3;
/// Bytes of one read.
const SCRATCH_BYTES: usize = 16 * 1024;

pub(super) struct Shard {
    pub(super) hub: Hub,
    pub(super) tokens: Tokens,
    pub(super) entropy: Entropy,
    pub(super) options: Options,
    /// What readers lost that cannot be told.
    pub(super) plain_gaps: Cell<u64>,
    native_sent: Rc<Sending>,
    plain_sent: Rc<Sending>,
    pub(super) dirty: Arc<Dirty>,
    pub(super) feeds: RefCell<Feeds>,
    pub(super) replays: Replays,
    pub(super) scratch: RefCell<Box<[u8]>>,
    /// Sockets written to; decides when the others get a turn.
    pub(super) written: Cell<u32>,
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    next_id: Cell<u64>,
    phase: Cell<u32>,
}

impl Shard {
    pub(super) fn new(hub: Hub, tokens: Tokens, entropy: Entropy, options: Options) -> Self {
        Self {
            hub,
            tokens,
            entropy,
            options,
            plain_gaps: Cell::new(0),
            native_sent: Rc::default(),
            plain_sent: Rc::default(),
            dirty: Arc::default(),
            feeds: RefCell::default(),
            replays: Replays::default(),
            scratch: RefCell::new(vec![0; SCRATCH_BYTES].into()),
            written: Cell::new(0),
            connections: RefCell::default(),
            next_id: Cell::new(0),
            phase: Cell::new(0),
        }
    }

    /// Lives until it is told to end or its handle is gone.
    pub(super) async fn run(self: Rc<Self>, mut commands: mpsc::Receiver<Command>) {
        let mut ticks = tokio::time::interval(self.options.keepalive / PHASES);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.dirty.some.notified() => self.serve_dirty().await,
                _ = ticks.tick() => self.on_tick(),
                command = commands.recv() => match command {
                    Some(Command::Adopt(newcomer)) => self.adopt(*newcomer),
                    // Nobody may wait for the answer any more.
                    Some(Command::Stats(answer)) => drop(answer.send(self.stats())),
                    Some(Command::Readers(channel, answer)) => {
                        let readers = self.feeds.borrow().readers(&channel);
                        answer.send(readers).ok();
                    }
                    Some(Command::Shutdown) => {
                        self.shutdown().await;
                        return self.remove_all();
                    }
                    None => return self.remove_all(),
                },
            }
        }
    }

    /// Connections and feeds hold each other, so that none of them would close by itself.
    fn remove_all(&self) {
        let connections: Vec<_> = self.connections.borrow().values().map(Rc::clone).collect();
        for connection in connections {
            self.remove(&connection);
        }
    }

    fn adopt(self: &Rc<Self>, newcomer: Newcomer) {
        let Newcomer {
            socket,
            read_ahead,
            dialect,
            entrance,
            session,
            permit,
        } = newcomer;
        let stream = match TcpStream::from_std(socket) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a socket could not be taken over; its client has to connect again");
                return;
            }
        };
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        let sent = match dialect {
            Dialect::Plain => &self.plain_sent,
            Dialect::Native => &self.native_sent,
        };
        let connection = Rc::new(Connection {
            id,
            dialect,
            sent: Rc::clone(sent),
            stream,
            state: RefCell::new(State::default()),
            progress: Notify::new(),
            _permit: permit,
        });
        self.connections
            .borrow_mut()
            .insert(id, Rc::clone(&connection));
        match dialect {
            Dialect::Plain => {}
            // In front of whatever is sent, even if that happens before the socket takes anything.
            Dialect::Native => {
                connection.state.borrow_mut().rest = self.hello(&entrance, session).into();
            }
        }
        self.subscribe(&connection, entrance, session);
        let reader = Rc::clone(self).read(Rc::clone(&connection), read_ahead);
        let reader = tokio::task::spawn_local(reader);
        connection.state.borrow_mut().reader = Some(reader.abort_handle());
    }

    /// Reads a channel, on a connection that does not read it yet.
    pub(super) fn subscribe(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        entrance: Entrance,
        session: Duration,
    ) {
        let Entrance {
            channel,
            topics,
            position,
            cursor,
            entry,
            presence: _until_it_watches_itself,
            outdated: _has_been_told,
        } = entrance;
        let feed = self.feeds.borrow_mut().enter(&channel, &self.dirty);
        let (has_snapshots, session_ends, due) = match connection.dialect {
            // It was let in where its token was minted, and has to be let in again only when that was in another life.
            Dialect::Plain => (false, None, None),
            Dialect::Native => {
                let filter = TopicFilter::Only(Arc::clone(&topics));
                let due = entry.is_none().then_some(Way::From(position));
                let ends = Instant::now().checked_add(session);
                (self.hub.has_snapshots(&channel, &filter), ends, due)
            }
        };
        let mut subscription = Subscription {
            feed,
            dialect: connection.dialect,
            topics,
            place: Place::Behind(cursor),
            floors: Floors::default(),
            due,
            opening: None,
            trims: Trims::default(),
            life: cursor.epoch,
            has_snapshots,
            session_ends,
            follow: None,
        };
        subscription.follow_runs(&self.hub);
        if let Some(entry) = entry {
            subscription.on_entry(entry);
        }
        connection
            .state
            .borrow_mut()
            .subscriptions
            .push(subscription);
    }

    /// Sends a few bytes that belong to this connection alone, in front of all frames that have not begun.
    pub(super) fn send_control(self: &Rc<Self>, connection: &Rc<Connection>, bytes: &[u8]) {
        let mut state = connection.state.borrow_mut();
        if !state.rest.is_empty() || !state.answers.is_empty() {
            state.answers.extend_from_slice(bytes);
            return;
        }
        match connection.try_write(bytes) {
            Ok(taken) if taken == bytes.len() => {}
            Ok(taken) => {
                state.rest = Bytes::copy_from_slice(&bytes[taken..]);
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

    /// Ends a connection in order: its reading now, the socket once the close frame is out and the client has answered.
    pub(super) fn close(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        code: u16,
        reason: &str,
        patience: Duration,
    ) {
        {
            let mut state = connection.state.borrow_mut();
            if state.closing.is_some() {
                return;
            }
            state.closing = Some(Instant::now() + patience);
            state.pong = None;
            if let Some(pump) = state.pump.take() {
                // It may wait for a channel that no longer concerns this connection.
                pump.abort();
            }
            self.release(&mut state);
            connection.progress.notify_one();
        }
        self.send_control(connection, &frame::close(code, reason));
        if connection.state.borrow().rest.is_empty() {
            socket::finish(&connection.stream);
        } else {
            self.start_pump(connection);
        }
    }

    /// Forgets a connection and ends its tasks, and with them its socket.
    pub(super) fn remove(&self, connection: &Connection) {
        if self
            .connections
            .borrow_mut()
            .remove(&connection.id)
            .is_none()
        {
            return;
        }
        let mut state = connection.state.borrow_mut();
        self.release(&mut state);
        state.rest = Bytes::new();
        state.answers = Vec::new();
        state.closing.get_or_insert_with(Instant::now);
        for task in [state.reader.take(), state.pump.take()]
            .into_iter()
            .flatten()
        {
            task.abort();
        }
    }

    pub(super) fn is_gone(&self, connection: &Connection) -> bool {
        !self.connections.borrow().contains_key(&connection.id)
    }

    /// Ends one subscription.
    pub(super) fn unsubscribe(&self, state: &mut State, feed: u64) {
        state.subscriptions.retain_mut(|subscription| {
            if subscription.feed.id != feed {
                return true;
            }
            subscription.leave();
            self.feeds.borrow_mut().exit(&subscription.feed);
            false
        });
    }

    fn release(&self, state: &mut State) {
        for mut subscription in state.subscriptions.drain(..) {
            subscription.leave();
            self.feeds.borrow_mut().exit(&subscription.feed);
        }
    }

    fn on_tick(self: &Rc<Self>) {
        self.replays.clear();
        let phase = self.phase.get();
        self.phase.set((phase + 1) % PHASES);
        let now = Instant::now();
        let connections: Vec<_> = self.connections.borrow().values().map(Rc::clone).collect();
        for connection in connections {
            let closing = connection.state.borrow().closing;
            match closing {
                Some(deadline) if deadline <= now => self.remove(&connection),
                None if self.end_session(&connection, now) => {}
                None if connection.id % u64::from(PHASES) == u64::from(phase) => {
                    self.keep_alive(&connection);
                }
                Some(_) | None => {}
            }
        }
    }

    fn keep_alive(self: &Rc<Self>, connection: &Rc<Connection>) {
        let (unheard, is_full) = {
            let state = connection.state.borrow();
            (state.unheard_pings, !state.rest.is_empty())
        };
        // While bytes wait, the pump's patience says whether the client is there.
        if unheard >= UNHEARD_PINGS && !is_full {
            let reason = format!("{UNHEARD_PINGS} pings were not answered");
            self.close(connection, 1011, &reason, self.options.close_wait);
            return;
        }
        self.ping(connection);
    }

    /// Asks whether the client is there, unless bytes wait for it anyway.
    pub(super) fn ping(self: &Rc<Self>, connection: &Rc<Connection>) {
        {
            let mut state = connection.state.borrow_mut();
            if !state.rest.is_empty() {
                return;
            }
            state.unheard_pings += 1;
        }
        self.send_control(connection, &frame::PING);
    }

    /// What a feed's channel is called, for the log.
    pub(super) fn channel_of(&self, feed: u64) -> String {
        let feed = self.feeds.borrow().get(feed);
        feed.map_or_else(String::new, |feed| feed.channel.name().to_string())
    }

    fn stats(&self) -> Stats {
        let connections = self.connections.borrow();
        let mut stats = Stats {
            plain_gaps: self.plain_gaps.get(),
            native_sent: self.native_sent.read(),
            plain_sent: self.plain_sent.read(),
            ..Stats::default()
        };
        // Frames that several sockets share end at the same address.
        let mut unsent = HashMap::new();
        for connection in connections.values() {
            let state = connection.state.borrow();
            stats.connections += 1;
            stats.plain += usize::from(connection.dialect == Dialect::Plain);
            stats.behind += usize::from(state.is_behind());
            stats.closing += usize::from(state.closing.is_some());
            stats.full += usize::from(!state.rest.is_empty());
            stats.unsent_bytes += state.answers.capacity();
            for bytes in state.unsent().filter(|bytes| !bytes.is_empty()) {
                let end = bytes.as_ptr_range().end;
                let most: &mut usize = unsent.entry(end).or_default();
                *most = bytes.len().max(*most);
            }
        }
        stats.unsent_bytes += unsent.values().sum::<usize>();
        stats
    }

    async fn shutdown(self: &Rc<Self>) {
        let connections: Vec<_> = self.connections.borrow().values().map(Rc::clone).collect();
        for connection in &connections {
            if connection.state.borrow().closing.is_none() {
                self.announce_end(connection);
            }
            self.close(
                connection,
                1001,
                "the server is shutting down",
                self.options.close_wait,
            );
        }
        drop(connections);
        let deadline = Instant::now() + self.options.close_wait;
        while !self.connections.borrow().is_empty() && Instant::now() < deadline {
            tokio::time::sleep(self.options.close_wait / 100).await;
        }
    }
}

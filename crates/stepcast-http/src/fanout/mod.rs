//! Fan-out: from channels to sockets.
//!
//! Owns every WebSocket once its handshake is done. A connection belongs to one [`shard`] for its life; a shard is a thread that
//! holds its sockets and, per channel, one cursor for all readers that keep up. Channels only mark a shard as having something
//! to do; nothing is queued for a socket, so a reader that lags is a cursor and nothing more. Knows no HTTP.
//!
//! - [`frame`] and [`batch`]: bytes.
//! - [`feed`], [`connection`] and [`subscription`]: the tables of a shard; [`dialect`]: who is there.
//! - [`shard`] its life, [`delivery`] its turns, [`pump`] those who lag, [`entering`] those who come, [`replay`] what these share.
//! - [`inbound`]: what clients send; [`plain`] and [`native`]: what it means. [`session`]: how long it lasts.
//! - [`socket`] and [`address`]: the kernel's side, and how many may come. [`stats`]: what was sent and is held.

mod address;
mod batch;
mod connection;
mod delivery;
mod dialect;
mod ending;
mod entering;
mod feed;
mod frame;
mod inbound;
mod native;
mod plain;
mod pump;
mod replay;
mod session;
mod shard;
mod socket;
mod stats;
mod subscription;

use std::{
    io,
    num::NonZero,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;
use stepcast_engine::Engine;
use stepcast_protocol::{ChannelName, limits};
use tokio::sync::{mpsc, oneshot};

use self::shard::{Command, Shard};
pub use self::stats::{Sent, Stats};
pub(crate) use self::{
    address::{AddressBook, Permit, TooManyConnections},
    dialect::Dialect,
    feed::{Topics, topic_set},
    native::session,
    shard::Newcomer,
    socket::{pair, prepare},
};
use crate::tokens::Tokens;

/// Shards at most; more have not been measured to help.
const SHARDS: usize = 4;
/// Connections on their way to a shard.
const ARRIVALS: usize = 1_024;

/// Times and numbers of the fan-out.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) shards: usize,
    pub(crate) keepalive: Duration,
    pub(crate) stalled: Duration,
    /// How long a client may take to answer a close frame.
    pub(crate) close_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            shards: cores.min(SHARDS),
            keepalive: limits::KEEPALIVE,
            stalled: limits::STALLED_SOCKET,
            close_wait: Duration::from_secs(2),
        }
    }
}

/// All shards.
pub(crate) struct Fanout {
    shards: Vec<Handle>,
    next: AtomicUsize,
}

struct Handle {
    commands: mpsc::Sender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Fanout {
    pub(crate) fn start(engine: &Engine, tokens: &Tokens, options: &Options) -> io::Result<Self> {
        let shards = (0..options.shards.max(1))
            .map(|index| start_shard(index, engine.clone(), tokens.clone(), options.clone()))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            shards,
            next: AtomicUsize::new(0),
        })
    }

    /// Gives a connection to a shard. After the shutdown its socket is closed.
    pub(crate) async fn adopt(&self, newcomer: Newcomer) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let shard = &self.shards[turn % self.shards.len()];
        let command = Command::Adopt(Box::new(newcomer));
        if shard.commands.send(command).await.is_err() {
            tracing::debug!("a connection came after the shutdown");
        }
    }

    pub(crate) async fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        for shard in &self.shards {
            let (answer, stats) = oneshot::channel();
            if shard.commands.send(Command::Stats(answer)).await.is_ok()
                && let Ok(stats) = stats.await
            {
                sum += stats;
            }
        }
        sum
    }

    /// How many connections read a channel.
    pub(crate) async fn readers(&self, channel: &ChannelName) -> usize {
        let mut sum = 0;
        for shard in &self.shards {
            let (answer, readers) = oneshot::channel();
            let command = Command::Readers(channel.clone(), answer);
            if shard.commands.send(command).await.is_ok() {
                sum += readers.await.unwrap_or(0);
            }
        }
        sum
    }

    /// Closes every connection and waits for the threads.
    pub(crate) async fn shutdown(&self) {
        for shard in &self.shards {
            // One that has ended already needs no telling.
            drop(shard.commands.send(Command::Shutdown).await);
        }
        let threads: Vec<_> = self
            .shards
            .iter()
            .filter_map(|shard| shard.thread.lock().take())
            .collect();
        let joined = tokio::task::spawn_blocking(move || {
            threads
                .into_iter()
                .map(JoinHandle::join)
                .all(|end| end.is_ok())
        });
        if !joined.await.unwrap_or(false) {
            tracing::error!("a shard ended in a panic");
        }
    }
}

fn start_shard(
    index: usize,
    engine: Engine,
    tokens: Tokens,
    options: Options,
) -> io::Result<Handle> {
    let (commands, inbox) = mpsc::channel(ARRIVALS);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = thread::Builder::new()
        .name(format!("stepcast-shard-{index}"))
        .spawn(move || {
            let (hub, entropy) = (engine.hub().clone(), engine.entropy().clone());
            // The engine is its owner's to end.
            drop(engine);
            let shard = Rc::new(Shard::new(hub, tokens, entropy, options));
            tokio::task::LocalSet::new().block_on(&runtime, shard.run(inbox));
        })?;
    Ok(Handle {
        commands,
        thread: Mutex::new(Some(thread)),
    })
}

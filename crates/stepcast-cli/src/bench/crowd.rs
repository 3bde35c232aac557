//! Many readers on few threads: what a thousand browsers would do, at a cost that leaves the machine to the server.
//!
//! A thread waits for all of its sockets at once and has one buffer for them; a reader is a socket, a tally and the rest of a frame. When a
//! message has come is when its bytes were read.

use std::{
    io,
    net::SocketAddr,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use mio::{Poll, Token, Waker};
use parking_lot::{Condvar, Mutex};

use super::{
    crew::Crew,
    samples,
    tally::{Seen, Tally},
};
use crate::exit::Failure;

/// Threads at most; the server needs the others.
const THREADS: usize = 4;
/// The waker's place among the sockets.
pub(super) const WAKER: Token = Token(usize::MAX);
/// How long readers may take to be connected.
const CONNECTED: Duration = Duration::from_secs(60);
/// How long what was published may be on its way before it counts as lost.
pub(super) const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// One reader, before it connects.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// Path and query of its handshake.
    pub(super) target: Arc<str>,
    /// Which channel it reads, as the caller counts them.
    pub(super) channel: usize,
    /// The number it gets first.
    pub(super) first: First,
    /// A reader that has this one is where its channel was when it came; 0 for those to whom that means nothing.
    pub(super) caught_up: u64,
    /// Whether it reads nothing until it is told to.
    pub(super) is_stalled: bool,
}

/// Which number a reader gets first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// This one.
    Is(u64),
    /// This one or an earlier one, as bounds have taken what is before.
    AtLatest(u64),
}

/// Where they connect.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) address: SocketAddr,
    pub(super) host: Arc<str>,
    /// Handshakes that one thread has under way at once.
    pub(super) at_once: usize,
}

/// What all threads know of each other.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) begin: Instant,
    phase: AtomicU8,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    sums: Sums,
    failure: Option<String>,
}

/// How far readers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    pub(super) connected: usize,
    pub(super) caught_up: usize,
    /// To readers that are not stalled; second copies and the last messages of channels do not count.
    pub(super) delivered: u64,
    /// Readers that are not stalled and have the last message of their channel.
    pub(super) ended: usize,
    /// Readers that were stalled, and have it or were closed by the server as they were too slow.
    pub(super) ended_late: usize,
}

/// What readers are to do. It only goes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(super) enum Phase {
    Read,
    /// Those that were stalled read as well.
    ReadAll,
    End,
}

/// What readers have seen.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) seen: Seen,
    /// From publish to arrival, in nanoseconds, at readers that were not stalled.
    pub(super) latency: Histogram<u64>,
    /// From the beginning of a handshake to its answer.
    pub(super) connecting: Histogram<u64>,
    /// From the clock's beginning to where the channel was.
    pub(super) catching_up: Histogram<u64>,
}

impl Sight {
    pub(super) fn new() -> Self {
        Self {
            seen: Seen::default(),
            latency: samples::histogram(),
            connecting: samples::histogram(),
            catching_up: samples::histogram(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.seen.add(other.seen);
        samples::add(&mut self.latency, &other.latency);
        samples::add(&mut self.connecting, &other.connecting);
        samples::add(&mut self.catching_up, &other.catching_up);
    }
}

impl Shared {
    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Read,
            1 => Phase::ReadAll,
            _ => Phase::End,
        }
    }

    /// What has happened since the last call.
    pub(super) fn report(&self, more: Sums) {
        let Sums {
            connected,
            caught_up,
            delivered,
            ended,
            ended_late,
        } = more;
        let mut progress = self.progress.lock();
        progress.sums.connected += connected;
        progress.sums.caught_up += caught_up;
        progress.sums.delivered += delivered;
        progress.sums.ended += ended;
        progress.sums.ended_late += ended_late;
        self.changed.notify_all();
    }

    /// One reader has failed, and so has the benchmark.
    pub(super) fn fail(&self, why: String) {
        self.progress.lock().failure.get_or_insert(why);
        self.changed.notify_all();
    }
}

/// Readers at work.
#[derive(Debug)]
pub(super) struct Crowd {
    shared: Arc<Shared>,
    crews: Vec<Worker>,
}

/// A thread with some of them.
#[derive(Debug)]
struct Worker {
    waker: Waker,
    thread: Option<JoinHandle<Ended>>,
}

/// What the readers of one thread have seen: sums, and the tally of each with its channel.
pub(super) type Ended = (Sight, Vec<(usize, Tally)>);

impl Crowd {
    /// Lets them come.
    pub(super) fn start(
        door: &Door,
        begin: Instant,
        readings: Vec<Reading>,
    ) -> Result<Self, Failure> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = (cores / 2).clamp(1, THREADS).min(readings.len().max(1));
        let mut shares = vec![Vec::new(); threads];
        for (index, reading) in readings.into_iter().enumerate() {
            shares[index % threads].push(reading);
        }
        let shared = Arc::new(Shared {
            begin,
            phase: AtomicU8::new(Phase::Read as u8),
            progress: Mutex::default(),
            changed: Condvar::new(),
        });
        let start = |share| start_crew(door.clone(), share, Arc::clone(&shared));
        let crews = shares.into_iter().map(start).collect::<io::Result<_>>();
        let crews = crews
            .map_err(|error| Failure::failed(format!("no readers can be started: {error}")))?;
        Ok(Self { shared, crews })
    }

    /// Waits until they are connected.
    pub(super) fn connected(&self, readers: usize) -> Result<(), Failure> {
        let all = |sums: Sums| sums.connected == readers;
        if self.wait_for(CONNECTED, all)? {
            return Ok(());
        }
        Err(Failure::failed(format!(
            "{} of {readers} readers are connected after {} s",
            self.sums().connected,
            CONNECTED.as_secs()
        )))
    }

    /// Waits until they are so far, but no longer than this; whether they are.
    pub(super) fn wait_for(
        &self,
        patience: Duration,
        is_so_far: impl Fn(Sums) -> bool,
    ) -> Result<bool, Failure> {
        let deadline = Instant::now() + patience;
        let mut progress = self.shared.progress.lock();
        loop {
            if let Some(why) = &progress.failure {
                return Err(Failure::failed(why));
            }
            if is_so_far(progress.sums) {
                return Ok(true);
            }
            let waited = self.shared.changed.wait_until(&mut progress, deadline);
            if waited.timed_out() {
                return Ok(is_so_far(progress.sums));
            }
        }
    }

    /// How far they are now.
    pub(super) fn sums(&self) -> Sums {
        self.shared.progress.lock().sums
    }

    /// Lets those that were stalled read as well.
    pub(super) fn read_all(&self) -> Result<(), Failure> {
        self.enter(Phase::ReadAll)
    }

    fn enter(&self, phase: Phase) -> Result<(), Failure> {
        self.shared.phase.store(phase as u8, Ordering::Release);
        for worker in &self.crews {
            worker.waker.wake().map_err(Failure::failed)?;
        }
        Ok(())
    }

    /// Ends them. `last` has the last number of each channel.
    pub(super) fn end(mut self, last: &[u64]) -> Result<Sight, Failure> {
        self.enter(Phase::End)?;
        let mut all = Sight::new();
        for worker in &mut self.crews {
            let ended = worker.thread.take().map(JoinHandle::join);
            let Some(Ok((sight, tallies))) = ended else {
                return Err(Failure::failed("a thread of the readers has panicked"));
            };
            all.add(&sight);
            for (channel, tally) in tallies {
                all.seen.add(tally.end(last[channel]));
            }
        }
        Ok(all)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // Whoever did not wait for the end wants none of what they have seen.
        drop(self.enter(Phase::End));
    }
}

fn start_crew(door: Door, readings: Vec<Reading>, shared: Arc<Shared>) -> io::Result<Worker> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    let name = "stepcast-bench-readers".to_owned();
    let work = move || Crew::new(poll, door, readings, shared).work();
    let thread = Some(thread::Builder::new().name(name).spawn(work)?);
    Ok(Worker { waker, thread })
}

//! One simulation: a store that outlives its engines, functions, readers and senders, and whatever goes wrong.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use stepcast_engine::{
    Engine, EngineOptions, Publication,
    clock::{Clock, Entropy},
    runs::FunctionConfig,
    store::{
        Batch, BoxFuture, CommitError, Committed, Store,
        memory::{Fault, Memory, Pace, Room, Work},
    },
};
use stepcast_protocol::{ChannelName, Cursor, EventName, Timestamp};
use tokio::{runtime::Handle, task::yield_now};

use super::{
    chance::Chance,
    journal::Journal,
    ledger::Ledger,
    player::{Player, event, function_id, payload},
    program::{EVENTS, Program, SIGNAL, Target, catalog, programs, wait_for_signals},
    reader::{Reader, readers},
};

/// Leaves commits to the simulation, and lets reads take their time.
struct Script {
    chance: Chance,
    ledger: Ledger,
}

impl Pace for Script {
    fn on_waiting(&self, _work: Work) {}

    fn on_fate(&self, batch: &Batch, fate: &Result<Committed, CommitError>) {
        self.ledger.on_fate(batch, fate);
    }

    fn delay(&self) -> BoxFuture<'static, ()> {
        let turns = self.chance.below(4);
        Box::pin(async move {
            for _ in 0..turns {
                yield_now().await;
            }
        })
    }
}

/// How long a run has to begin, where that is bounded.
const STARTS_WITHIN: Duration = Duration::from_secs(1);

/// How a life ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Crashed,
    Closed,
    /// Everything has come to rest.
    Done,
}

/// What chance prefers in one simulation.
#[derive(Debug)]
struct Mood {
    lives: u64,
    /// Actions of one life at most.
    length: u64,
    crashes: bool,
    unknown_outcomes: bool,
    full_disks: bool,
    /// Functions wait for signals, and their runs have to begin in time.
    signals_and_timeouts: bool,
}

impl Mood {
    /// Seeds of these kinds have what came later, so that those of the others live through what they always have.
    fn has_more(seed: u64) -> bool {
        matches!(seed % 8, 5 | 7)
    }
}

/// The world of one seed.
struct World {
    chance: Chance,
    journal: Journal,
    ledger: Ledger,
    memory: Memory,
    programs: Arc<Vec<Program>>,
    readers: Vec<Reader>,
    mood: Mood,
    wall: Timestamp,
    /// Messages and events from outside, numbered.
    sent: Arc<Mutex<u64>>,
    /// Under which key which message was acknowledged, and until when that holds.
    keys: Keys,
}

type Keys = Arc<Mutex<BTreeMap<(ChannelName, u64), (Cursor, Timestamp)>>>;

/// Lives through everything that the seed says, and says what the journal's hash is.
pub(crate) fn simulate(seed: u64) -> u64 {
    let chance = Chance::new(seed);
    let journal = Journal::new();
    let ledger = Ledger::new(journal.clone());
    let mood = Mood {
        lives: chance.below(8),
        length: 1 + chance.below(250),
        crashes: !chance.one_in(4),
        unknown_outcomes: chance.one_in(3),
        full_disks: chance.one_in(4),
        signals_and_timeouts: Mood::has_more(seed),
    };
    let mut programs = programs(&chance);
    if mood.signals_and_timeouts {
        wait_for_signals(&mut programs, &Chance::new(!seed));
    }
    let mut world = World {
        programs: Arc::new(programs),
        readers: readers(&chance, &journal, &ledger),
        wall: Timestamp::from_millis(1_795_000_000_000),
        memory: Memory::default(),
        sent: Arc::default(),
        keys: Arc::default(),
        chance,
        journal,
        ledger,
        mood,
    };
    world.run();
    world.journal.hash()
}

impl World {
    fn run(&mut self) {
        self.journal.note(format_args!("{:?}", self.mood));
        self.journal.note(format_args!("{:?}", self.programs));
        for _ in 0..self.mood.lives {
            self.live(Until::Chance);
        }
        let end = self.live(Until::Rest);
        assert_eq!(end, End::Done);
        self.ledger.check_messages();
        self.readers.iter().for_each(Reader::check);
        self.journal.stop_if_wrong();
    }

    fn live(&mut self, until: Until) -> End {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let clock = Clock::manual(self.wall);
        let script = Script {
            chance: self.chance.fork(),
            ledger: self.ledger.clone(),
        };
        let store = Arc::new(self.memory.open(Arc::new(script), clock.clone()));
        let work = store.work();
        let life = Life::begin(self, store, work.clone(), clock.clone(), runtime.handle());
        let end = runtime.block_on(life.run(until, &self.mood));
        self.journal.note(format_args!("{end:?}"));
        work.crash();
        drop(runtime);
        self.journal.stop_if_wrong();
        // A later life with a clock set back must not expect what this one may have forgotten.
        let mut keys = self.keys.lock().unwrap();
        keys.retain(|_, (_, until)| *until > clock.now());
        drop(keys);
        // The wall clock of the next life may be wrong by a day.
        let day = 86_400_000;
        let jump = self
            .chance
            .weighted(&[(4, 1), (2, 60_000), (1, day), (1, -day), (1, -500)]);
        self.wall = Timestamp::from_millis(clock.now().as_millis() + jump);
        end
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Chance,
    Rest,
}

/// One life of the process.
struct Life {
    chance: Chance,
    journal: Journal,
    ledger: Ledger,
    work: Work,
    clock: Clock,
    runtime: Handle,
    engine: Arc<Mutex<Option<Engine>>>,
    closing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    sent: Arc<Mutex<u64>>,
    keys: Keys,
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Commit,
    Complete,
    Yield,
    Pass,
    Send,
    Publish,
    Cancel,
    Signal,
    Fail,
    Room,
    Crash,
    Close,
}

impl Life {
    fn begin(
        world: &World,
        store: Arc<dyn Store>,
        work: Work,
        clock: Clock,
        runtime: &Handle,
    ) -> Self {
        let player = Arc::new(Player::new(
            Arc::clone(&world.programs),
            runtime.clone(),
            world.chance.fork(),
            world.journal.clone(),
            world.ledger.clone(),
        ));
        let options = EngineOptions::default()
            .with_clock(clock.clone())
            .with_entropy(Entropy::seeded(world.chance.number()))
            .with_catalog(catalog())
            .with_runtime(runtime.clone())
            .with_retention(Duration::from_secs(10_000 * 24 * 60 * 60))
            .with_runs_in_memory(if world.chance.one_in(3) { 2 } else { 100 });
        let function = |index: usize| {
            let trigger = EventName::parse(EVENTS[index]).unwrap();
            FunctionConfig {
                concurrency: if world.chance.one_in(3) { 1 } else { 8 },
                starts_within: world.mood.signals_and_timeouts.then_some(STARTS_WITHIN),
                ..FunctionConfig::new(function_id(index), vec![trigger])
            }
        };
        let functions = (0..world.programs.len()).map(function).collect();
        let life = Self {
            chance: world.chance.fork(),
            journal: world.journal.clone(),
            ledger: world.ledger.clone(),
            work,
            clock,
            runtime: runtime.clone(),
            engine: Arc::default(),
            closing: None,
            sent: Arc::clone(&world.sent),
            keys: Arc::clone(&world.keys),
        };
        let (opened, journal) = (Arc::clone(&life.engine), world.journal.clone());
        let readers: Vec<_> = world
            .readers
            .iter()
            .map(|reader| (reader.clone(), world.chance.fork()))
            .collect();
        runtime.spawn(async move {
            let worker = Arc::clone(&player);
            match Engine::open(store, functions, worker, options).await {
                Ok(engine) => {
                    player.begin(engine.hub().clone());
                    for (reader, chance) in readers {
                        tokio::spawn(reader.follow(engine.hub().clone(), chance));
                    }
                    *opened.lock().unwrap() = Some(engine);
                }
                // Only a full disk or one that failed keeps an engine from opening.
                Err(error) => journal.note(format_args!("not opened: {error}")),
            }
        });
        life
    }

    async fn run(mut self, until: Until, mood: &Mood) -> End {
        let actions = match until {
            Until::Chance => 1 + self.chance.below(mood.length),
            Until::Rest => 0,
        };
        for _ in 0..actions {
            let action = self.choose(mood);
            self.journal.note(format_args!("{action:?}"));
            match action {
                Action::Crash => return End::Crashed,
                Action::Close => return self.close(mood).await,
                other => self.act(other).await,
            }
            self.journal.stop_if_wrong();
        }
        match until {
            Until::Chance if mood.crashes => End::Crashed,
            Until::Chance => self.close(mood).await,
            Until::Rest => self.rest().await,
        }
    }

    fn choose(&self, mood: &Mood) -> Action {
        let is_open = u64::from(self.engine.lock().unwrap().is_some());
        self.chance.weighted(&[
            (40, Action::Commit),
            (40, Action::Complete),
            (40, Action::Yield),
            (12, Action::Pass),
            (12 * is_open, Action::Send),
            (12 * is_open, Action::Publish),
            (is_open, Action::Cancel),
            (
                12 * is_open * u64::from(mood.signals_and_timeouts),
                Action::Signal,
            ),
            (u64::from(mood.unknown_outcomes), Action::Fail),
            (2 * u64::from(mood.full_disks), Action::Room),
            (u64::from(mood.crashes), Action::Crash),
            (is_open, Action::Close),
        ])
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Commit => {
                let most = self.chance.weighted(&[(4, 1), (2, 2), (1, 5), (1, 100)]);
                self.work.commit(most);
            }
            Action::Complete => {
                self.work.complete();
            }
            Action::Yield => self.let_go().await,
            Action::Pass => {
                let millis =
                    self.chance
                        .weighted(&[(4, 10), (4, 1_000), (2, 61_000), (1, 3_600_000)]);
                self.pass(Duration::from_millis(millis)).await;
            }
            Action::Send => self.send(),
            Action::Publish => self.publish(),
            Action::Cancel => self.cancel(),
            Action::Signal => self.signal(),
            Action::Fail => {
                let fault = self.chance.pick(&[Fault::Lost, Fault::Kept]);
                let failed = self
                    .work
                    .fail(1 + usize::from(self.chance.one_in(2)), fault);
                self.journal.note(format_args!("{fault:?} {failed}"));
            }
            Action::Room => {
                let room = self.chance.weighted(&[
                    (4, Room::Enough),
                    (1, Room::Short),
                    (1, Room::Nothing),
                ]);
                self.work.set_room(room);
            }
            Action::Crash | Action::Close => unreachable!("these end a life"),
        }
    }

    async fn let_go(&self) {
        for _ in 0..=self.chance.below(3) {
            yield_now().await;
        }
    }

    /// Time goes by, for those who look at the clock and for those who sleep.
    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        tokio::time::advance(time).await;
    }

    fn engine(&self) -> Engine {
        self.engine.lock().unwrap().clone().expect("it is open")
    }

    fn number(&self) -> u64 {
        let mut sent = self.sent.lock().unwrap();
        *sent += 1;
        *sent
    }

    fn send(&self) {
        let (engine, ledger, journal) = (self.engine(), self.ledger.clone(), self.journal.clone());
        let name = self.chance.pick(&EVENTS);
        let key = self
            .chance
            .one_in(3)
            .then(|| self.chance.below(5).to_string());
        let number = self.number();
        self.runtime.spawn(async move {
            match engine.send(vec![event(name, key)], None).await {
                Ok(accepted) => {
                    journal.note(format_args!("sent {number}: {accepted:?}"));
                    let runs = accepted.iter().flat_map(|one| &one.runs);
                    runs.for_each(|run| ledger.on_accepted(*run));
                }
                Err(error) => journal.note(format_args!("sent {number}: {error}")),
            }
        });
    }

    fn publish(&self) {
        let (engine, ledger, journal) = (self.engine(), self.ledger.clone(), self.journal.clone());
        let target = Target::any(&self.chance);
        let key = self.chance.one_in(3).then(|| self.chance.below(5));
        let durable = self.chance.one_in(2);
        let number = self.number();
        let payload = payload(format_args!("outside {number}"));
        let publication = Publication {
            channel: target.channel(),
            topic: target.topic(),
            payload: payload.clone(),
            run: None,
            durable,
            key: key.map(|key| key.to_string()),
        };
        let (keys, clock) = (Arc::clone(&self.keys), self.clock.clone());
        let asked_at = clock.now();
        self.runtime.spawn(async move {
            let published = engine.publish(publication).await;
            journal.note(format_args!("published {number}: {published:?}"));
            let Ok(cursor) = published else { return };
            let channel = target.channel();
            let is_stored = target.topic != "live";
            match key {
                None if durable && is_stored => ledger.on_acknowledged(channel, cursor, payload),
                None => ledger.on_sight(&channel, cursor, &payload),
                Some(key) => {
                    let mut keys = keys.lock().unwrap();
                    let sure_until = asked_at + Duration::from_secs(23 * 60 * 60);
                    match keys.get(&(channel.clone(), key)) {
                        Some((first, until)) if clock.now() < *until => {
                            journal.check(*first == cursor, || {
                                format!("key {key} of `{channel}` stands for {first} and {cursor}")
                            });
                        }
                        Some(_) | None => {
                            keys.insert((channel, key), (cursor, sure_until));
                        }
                    }
                }
            }
        });
    }

    fn cancel(&self) {
        let runs = self.ledger.runs();
        if runs.is_empty() {
            return;
        }
        let (engine, journal, run) = (self.engine(), self.journal.clone(), self.chance.pick(&runs));
        self.runtime.spawn(async move {
            let cancelled = engine.cancel(run).await;
            journal.note(format_args!("cancelled {run}: {cancelled:?}"));
        });
    }

    fn signal(&self) {
        let (engine, ledger, journal) = (self.engine(), self.ledger.clone(), self.journal.clone());
        let number = self.number();
        self.runtime.spawn(async move {
            let data = number.to_string().into();
            let reached = engine.signal(SIGNAL, data).await;
            journal.note(format_args!("signal {number}: {reached:?}"));
            if let Ok(Some(run)) = reached {
                ledger.on_reached(run, number);
            }
        });
    }

    /// Ends the life cleanly, unless it crashes on the way.
    async fn close(mut self, mood: &Mood) -> End {
        let Some(engine) = self.engine.lock().unwrap().take() else {
            return End::Crashed;
        };
        let patience = Duration::from_millis(self.chance.weighted(&[(1, 0), (2, 30), (1, 60_000)]));
        let journal = self.journal.clone();
        self.closing = Some(Box::pin(async move {
            let closed = engine.close(tokio::time::sleep(patience)).await;
            journal.note(format_args!("closed: {closed:?}"));
        }));
        loop {
            let mut context = Context::from_waker(Waker::noop());
            let closing = self.closing.as_mut().expect("it was just set");
            if closing.as_mut().poll(&mut context) == Poll::Ready(()) {
                return End::Closed;
            }
            if mood.crashes && self.chance.one_in(60) {
                return End::Crashed;
            }
            self.work.commit(100);
            self.work.complete();
            self.let_go().await;
            if self.chance.one_in(4) {
                self.pass(Duration::from_millis(20)).await;
            }
            self.journal.stop_if_wrong();
        }
    }

    /// Nothing goes wrong any more: everything must come to its end.
    async fn rest(self) -> End {
        const PATIENCE: u32 = 3_000;
        self.work.set_room(Room::Enough);
        let mut quiet = 0;
        for turn in 0..PATIENCE {
            for _ in 0..30 {
                self.work.finish();
                yield_now().await;
            }
            self.journal.stop_if_wrong();
            let is_over = self.ledger.open_runs().is_empty();
            quiet = if is_over { quiet + 1 } else { 0 };
            if quiet > 20 {
                return End::Done;
            }
            let step = match turn {
                0..100 => Duration::from_millis(300),
                100..300 => Duration::from_secs(5),
                _ => Duration::from_secs(3_600),
            };
            self.pass(step).await;
        }
        let open = self.ledger.open_runs().join("\n");
        self.journal
            .check(false, || format!("these never end:\n{open}"));
        self.journal.stop_if_wrong();
        End::Done
    }
}

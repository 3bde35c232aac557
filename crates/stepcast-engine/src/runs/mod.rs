//! Runs: what executes, what waits, and what happens next.
//!
//! [`transition`] decides, without I/O. `Runs` carries its decisions out: it keeps the runs that are in memory (`cell`), gives them to the
//! worker while there is room (`lanes`), and brings them what they wait for (`timers`, `waits` with `claims` before their commit, the ends of
//! other runs). `published` knows which of a run's messages may still be taken back, `lifecycle` tells those who watch where a run is. For
//! pages of npm `inngest`, `owners` tells that the run behind a channel has ended, `followers` where runs are to those who ask, `marks` keeps
//! on which channels a run has published, as far as `frames` says. `tally` counts, `stats` says what was counted. It never polls user code
//! and never numbers a message.

mod background;
mod cell;
mod claims;
mod command;
mod commit;
mod created;
mod crons;
mod endings;
mod events;
mod followers;
mod frames;
mod function;
mod guards;
mod lanes;
mod lease;
mod lifecycle;
mod marks;
mod once;
mod owners;
mod published;
mod recovery;
mod registry;
mod rerun;
mod retry;
mod seen;
mod signals;
mod spoken;
mod state;
mod stats;
mod tally;
mod timers;
pub mod transition;
mod waits;
mod worker;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use stepcast_protocol::{FunctionId, RunId, limits};
use tokio::sync::{OnceCell, oneshot, watch};

pub(crate) use self::background::Home;
use self::{
    background::Background,
    cell::{Envelope, RunCell},
    crons::Crons,
    lanes::{Candidate, Dispatch, Lanes, Place},
    owners::{LastEnds, OpenHandlers},
    registry::Registry,
    tally::{StepTally, Tallies},
    timers::Timers,
    waits::Waits,
};
pub use self::{
    cell::CommandError,
    command::{BodyFate, CancelReason, Command, Effect, Failure, StepKey, Work},
    events::{Accepted, IdSeed},
    frames::RunFrames,
    function::{CancelOn, Cron, FunctionConfig, KeyLimit, LimitScope, Trigger},
    lease::{Awaited, RunLease},
    retry::{Pauses, Retry},
    spoken::StepAttempt,
    state::RunState,
    transition::Refused,
    worker::{LeasedRun, Update, Worker},
};
use crate::{
    clock::{Clock, Entropy},
    error::EngineError,
    hub::Hub,
    readiness::NotReady,
    store::{DuePlace, RunQuery, Store, StoreError},
};

/// Time, chance and bounds of the runs of a process, and where what goes on beside them does.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    /// Runs that have their function in memory.
    pub(crate) runs_in_memory: usize,
    /// How long runs that have ended stay.
    pub(crate) retention: Duration,
    pub(crate) frames: RunFrames,
    pub(crate) home: Home,
}

/// The runs of a process. A cheap handle.
#[derive(Clone)]
pub(crate) struct Runs(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    hub: Hub,
    clock: Clock,
    entropy: Entropy,
    worker: Arc<dyn Worker>,
    registry: Registry,
    lanes: Lanes,
    timers: Timers,
    crons: Crons,
    waits: Waits,
    cells: Mutex<BTreeMap<RunId, Arc<OnceCell<Arc<RunCell>>>>>,
    ends: Mutex<BTreeMap<RunId, Vec<oneshot::Sender<()>>>>,
    open_handlers: OpenHandlers,
    background: Background,
    retention: Duration,
    frames: RunFrames,
    restarting: AtomicBool,
    /// Set once the end has begun.
    closing: AtomicBool,
    last_ends: LastEnds,
    tallies: Tallies,
    steps: StepTally,
    /// Closed while what is in memory may not be what is in the store: no run is loaded then.
    gate: watch::Sender<Gate>,
    /// When runs were last asked to make room.
    relieved_at: AtomicI64,
    myself: Weak<Self>,
}

/// Whether runs may be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Closed,
    /// The engine ends.
    Shut,
}

impl Runs {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        hub: Hub,
        worker: Arc<dyn Worker>,
        settings: Settings,
    ) -> Self {
        let Settings {
            clock,
            entropy,
            runs_in_memory,
            retention,
            frames,
            home,
        } = settings;
        let inner = Arc::new_cyclic(|myself| Inner {
            store,
            hub,
            clock,
            entropy,
            worker,
            registry: Registry::default(),
            lanes: Lanes::new(runs_in_memory),
            timers: Timers::default(),
            crons: Crons::default(),
            waits: Waits::default(),
            cells: Mutex::default(),
            ends: Mutex::default(),
            open_handlers: OpenHandlers::default(),
            background: Background::start(home),
            retention,
            frames,
            restarting: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            last_ends: LastEnds::default(),
            tallies: Tallies::default(),
            steps: StepTally::default(),
            gate: watch::Sender::new(Gate::Open),
            relieved_at: AtomicI64::new(0),
            myself: Weak::clone(myself),
        });
        Self(inner)
    }

    /// The functions of an app are these from now on. Runs of one that is gone wait until it comes back.
    pub(crate) fn register(
        &self,
        app: &str,
        functions: Vec<FunctionConfig>,
    ) -> Result<(), EngineError> {
        let changes = self.0.registry.replace(app, functions)?;
        let (lanes, crons) = (&self.0.lanes, &self.0.crons);
        for id in &changes.removed {
            lanes.remove(id);
            crons.remove(id);
        }
        for function in changes.set {
            crons.set(&function, self.0.clock.now());
            // From now on it is there to be looked at, with nothing done.
            self.0.tallies.of(&function.id);
            lanes.set(&function.id, function.concurrency, function.lane_limits());
        }
        Ok(())
    }

    fn function(&self, id: &FunctionId) -> Result<Arc<FunctionConfig>, EngineError> {
        let known = self.0.registry.get(id);
        known.ok_or_else(|| EngineError::UnknownFunction(id.clone()))
    }

    /// The run in memory, read from the store if need be; nothing when there is no such run.
    async fn cell(&self, id: RunId) -> Result<Option<Arc<RunCell>>, StoreError> {
        loop {
            let mut gate = self.0.gate.subscribe();
            match gate.wait_for(|gate| *gate != Gate::Closed).await.as_deref() {
                Ok(Gate::Open) => {}
                Ok(Gate::Closed | Gate::Shut) | Err(_) => return Err(StoreError::Closed),
            }
            let once = Arc::clone(self.0.cells.lock().entry(id).or_default());
            let load = || async {
                let run = self.0.store.run(id).await.map_err(Some)?.ok_or(None)?;
                let tally = self.0.tallies.of(&run.row.function);
                Ok::<_, Option<StoreError>>(Arc::new(RunCell::stored(run, tally)))
            };
            match once.get_or_try_init(load).await {
                // One that was loaded across a restart is nobody's: the store has changed since.
                Ok(_) if !self.is_in_memory(id, &once) => {}
                Ok(cell) => return Ok(Some(Arc::clone(cell))),
                Err(error) => {
                    self.forget_empty(id, once);
                    return error.map_or(Ok(None), Err);
                }
            }
        }
    }

    fn is_in_memory(&self, id: RunId, once: &Arc<OnceCell<Arc<RunCell>>>) -> bool {
        let cells = self.0.cells.lock();
        cells.get(&id).is_some_and(|known| Arc::ptr_eq(known, once))
    }

    /// Removes a place that was made for a run and stayed empty, unless somebody else is filling it.
    fn forget_empty(&self, id: RunId, once: Arc<OnceCell<Arc<RunCell>>>) {
        let mut cells = self.0.cells.lock();
        let ours_and_the_maps = 2;
        if Arc::strong_count(&once) == ours_and_the_maps && !once.initialized() {
            cells.remove(&id);
        }
    }

    /// Gives a command to a run, wherever the run is, and waits for its effect.
    pub(crate) async fn command(&self, id: RunId, command: Command) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        let envelope = Envelope {
            reply: Some(reply),
            ..Envelope::new(command)
        };
        self.deliver(id, envelope).await?;
        Ok(answer.await.map_err(|_| EngineError::Closing)??)
    }

    async fn deliver(&self, id: RunId, mut envelope: Envelope) -> Result<(), EngineError> {
        loop {
            let cell = self.cell(id).await?.ok_or(EngineError::UnknownRun(id))?;
            match cell.push(envelope) {
                None => {
                    self.pump(&cell);
                    return Ok(());
                }
                Some(returned) => envelope = returned,
            }
        }
    }

    /// The same for callers that cannot wait. An error is logged: what it was for is in the store and found again at the next start.
    fn command_soon(&self, id: RunId, command: Command) {
        let known = self
            .0
            .cells
            .lock()
            .get(&id)
            .and_then(|once| once.get().map(Arc::clone));
        let envelope = Envelope::new(command);
        let envelope = match known {
            None => envelope,
            Some(cell) => match cell.push(envelope) {
                None => return self.pump(&cell),
                Some(returned) => returned,
            },
        };
        let runs = self.clone();
        self.0.background.spawn(async move {
            if let Err(error) = runs.deliver(id, envelope).await {
                tracing::warn!(run = %id, %error, "a run could not be told what it waits for");
            }
        });
    }

    /// Becomes ready when the run has ended. Look at the store after asking: it may have ended before.
    pub(crate) fn end_of(&self, id: RunId) -> oneshot::Receiver<()> {
        let (ended, end) = oneshot::channel();
        let mut ends = self.0.ends.lock();
        ends.entry(id)
            .or_default()
            .retain(|waiting| !waiting.is_closed());
        ends.entry(id).or_default().push(ended);
        end
    }

    /// Those who wait for the end of a run look again: it may have ended in a commit that nobody heard of.
    fn look_again(&self) {
        for end in std::mem::take(&mut *self.0.ends.lock())
            .into_values()
            .flatten()
        {
            end.send(()).ok();
        }
    }

    /// No run will end any more.
    pub(crate) fn forget_ends(&self) {
        self.0.ends.lock().clear();
    }

    /// Whether runs can begin.
    pub(crate) fn readiness(&self) -> Result<(), NotReady> {
        if self.0.closing.load(Ordering::Acquire) {
            return Err(NotReady::Closing);
        }
        if self.0.restarting.load(Ordering::Acquire) {
            return Err(NotReady::Reopening);
        }
        Ok(())
    }

    /// How many runs have their function in memory.
    pub(crate) fn running(&self) -> usize {
        self.0.lanes.running()
    }
}

impl Inner {
    fn handle(&self) -> Option<Runs> {
        self.myself.upgrade().map(Runs)
    }
}

impl Dispatch for Inner {
    fn lease(&self, run: RunId, place: Place) {
        let Some(runs) = self.handle() else { return };
        self.background.spawn(async move {
            if let Err(error) = runs.lease_anew(run, place).await {
                tracing::error!(%run, %error, "a queued run could not be read; it waits for the next start");
            }
        });
    }

    fn load(&self, function: FunctionId, after: Option<DuePlace>) {
        let Some(runs) = self.handle() else { return };
        self.background.spawn(async move {
            let query = RunQuery::Due {
                function: function.clone(),
                after,
                now: runs.0.clock.now(),
                limit: limits::PAGE_ROWS,
            };
            match runs.0.store.runs(query).await {
                Ok(rows) => {
                    let complete = rows.len() < limits::PAGE_ROWS;
                    runs.0.lanes.loaded(&function, rows.iter().map(Candidate::from).collect(), complete);
                }
                Err(error) => {
                    tracing::error!(%function, %error, "queued runs could not be read; they wait for the next start");
                    runs.0.lanes.loaded(&function, Vec::new(), true);
                }
            }
        });
    }

    fn relieve(&self) {
        const PAUSE_MILLIS: i64 = 1_000;
        let now = self.clock.now().as_millis();
        let long_ago = |at| (now - at >= PAUSE_MILLIS).then_some(now);
        if self
            .relieved_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, long_ago)
            .is_err()
        {
            return;
        }
        let cells: Vec<_> = self
            .cells
            .lock()
            .values()
            .filter_map(|once| once.get().map(Arc::clone))
            .collect();
        cells.iter().for_each(|cell| cell.lock().ask_to_give_back());
    }
}

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runs")
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

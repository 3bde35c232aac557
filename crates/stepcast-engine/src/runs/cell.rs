//! One run in memory: its state and what waits to be applied to it. One batch of a run is in flight at a time; what arrives meanwhile makes
//! the next one. The state changes only after the commit.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};
use stepcast_protocol::{
    ChannelName, Cursor, Event, EventId, RunId, sdk::internal::FUNCTION_FAILED,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    Runs,
    claims::Claim,
    command::Command,
    created::CreatedRun,
    lanes::Place,
    lifecycle::channel_of,
    once::{Key, Once, Taken},
    published::Published,
    state::RunState,
    tally::Tally,
    transition::Refused,
    worker::Update,
};
use crate::{
    error::EngineError,
    hub::{self, Channel, Draft, Outgoing, Together},
    store::{Batch, CommitError, Expect, Phase, StepRow, StepState, StoredRun, Write},
};

/// What a commit on its way comes to.
type Committing = oneshot::Receiver<Result<Vec<Cursor>, CommitError>>;

/// A command on its way, with what is committed together with it.
pub(super) struct Envelope {
    pub(super) command: Command,
    pub(super) attached: Attached,
    pub(super) reply: Option<oneshot::Sender<Result<(), CommandError>>>,
    /// The place in memory that a [`Command::Lease`] fills.
    pub(super) place: Option<Place>,
}

/// What is true from the same commit on: messages, events, and runs that they create.
#[derive(Default)]
pub(super) struct Attached {
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) writes: Vec<Write>,
    pub(super) events: Vec<Arc<Event>>,
    pub(super) created: Vec<CreatedRun>,
    /// The right of a step to be the only one that waits, until it does.
    pub(super) claim: Option<Claim>,
}

impl Attached {
    /// All that has to be written, the runs with it.
    pub(super) fn all_writes(&self) -> Vec<Write> {
        let mut writes = self.writes.clone();
        for created in &self.created {
            writes.extend(created.writes.iter().cloned());
            writes.extend(created.once.as_ref().map(Once::write));
        }
        writes
    }

    /// What has to hold for it.
    pub(super) fn expects(&self) -> impl Iterator<Item = Expect> {
        self.once().map(Once::expect)
    }

    /// The runs that a failure has started.
    pub(super) fn handlers(&self) -> Vec<RunId> {
        let handles = |created: &&CreatedRun| created.event.name.as_str() == FUNCTION_FAILED;
        let handlers = self.created.iter().filter(handles);
        handlers.map(CreatedRun::id).collect()
    }

    /// The keys under which these runs start only once.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.once().map(Once::key)
    }

    /// The keys that a commit has found taken, by the markers it knows.
    pub(super) fn taken(&self, markers: &BTreeSet<EventId>) -> impl Iterator<Item = Key> {
        let is_taken = |once: &&Once| markers.contains(&once.marker());
        self.once().filter(is_taken).map(Once::key)
    }

    /// By which a commit names these keys.
    pub(super) fn markers(&self) -> impl Iterator<Item = EventId> {
        self.once().map(Once::marker)
    }

    fn once(&self) -> impl Iterator<Item = &Once> {
        let created = self.created.iter();
        created.filter_map(|created| created.once.as_ref())
    }

    /// Leaves out the runs whose keys are taken, and gives them back.
    #[must_use = "letting go of a run looks at every other, which must not be locked"]
    pub(super) fn leave_out(&mut self, taken: &Taken) -> Vec<CreatedRun> {
        let is_taken = |created: &mut CreatedRun| {
            let key = created.once.as_ref().map(Once::key);
            key.is_some_and(|key| taken.contains(&key))
        };
        self.created.extract_if(.., is_taken).collect()
    }
}

/// Why a command had no effect.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// It does not fit the run's state.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl Envelope {
    pub(super) fn new(command: Command) -> Self {
        Self {
            command,
            attached: Attached::default(),
            reply: None,
            place: None,
        }
    }

    pub(super) fn answer(self, result: Result<(), CommandError>) {
        if let Some(reply) = self.reply {
            // Whoever asked may have gone; the command had its effect all the same.
            drop(reply.send(result));
        }
    }
}

pub(super) struct RunCell {
    pub(super) id: RunId,
    pub(super) event: Arc<Event>,
    /// The channel that says where it is.
    pub(super) channel: ChannelName,
    /// The lease that holds the run now; 0 when none does. Publishers look here, without the lock.
    lease: AtomicU32,
    /// Taken inside the state's lock, and around a channel's.
    published: Mutex<Published>,
    /// Where its function's runs are counted.
    pub(super) tally: Arc<Tally>,
    state: Mutex<CellState>,
}

pub(super) struct CellState {
    pub(super) run: RunState,
    pub(super) inbox: VecDeque<Envelope>,
    pub(super) committing: bool,
    /// It has left memory; whoever still holds it has to fetch the run again.
    pub(super) detached: bool,
    pub(super) updates: Option<mpsc::UnboundedSender<Update>>,
    pub(super) place: Option<Place>,
    /// Keys of runs that the next commit is to leave out, as they are taken.
    pub(super) taken: Taken,
}

impl RunCell {
    /// The run as the store has it.
    pub(super) fn stored(mut run: StoredRun, tally: Arc<Tally>) -> Self {
        let (event, body) = (Arc::clone(&run.event), std::mem::take(&mut run.body));
        let cell = Self::new(RunState::stored(run), event, tally);
        *cell.published.lock() = Published::new(body);
        cell
    }

    pub(super) fn new(run: RunState, event: Arc<Event>, tally: Arc<Tally>) -> Self {
        let lease = AtomicU32::new(held_lease(&run));
        let id = run.row.id;
        let state = CellState {
            run,
            inbox: VecDeque::new(),
            committing: false,
            detached: false,
            updates: None,
            place: None,
            taken: Taken::new(),
        };
        Self {
            id,
            event,
            channel: channel_of(id),
            lease,
            published: Mutex::default(),
            tally,
            state: Mutex::new(state),
        }
    }

    pub(super) fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock()
    }

    /// Publishes a message of the run that is not durable, if its attempt may still publish.
    pub(super) fn publish(
        self: &Arc<Self>,
        runs: &Runs,
        lease: u32,
        channel: &Arc<Channel>,
        draft: Draft,
        replays: bool,
    ) -> Result<hub::Accepted, EngineError> {
        let origin = Arc::clone(
            draft
                .origin
                .as_ref()
                .expect("what a run publishes says of which attempt it is"),
        );
        let mut published = self.published.lock();
        if !self.is_held_by(lease) {
            let run = self.id;
            return Err(EngineError::LeaseLost { run, lease });
        }
        let admitted = published.admit(&origin, channel.name(), &draft, replays)?;
        let mark = |batch: &mut Batch, cursor: Cursor| {
            if admitted.is_first_on_channel {
                let (run, channel) = (origin.run, channel.name().clone());
                batch.writes.push(Write::RunChannel(run, channel, cursor));
            }
        };
        let fated = {
            let (runs, cell, channel) = (runs.clone(), Arc::clone(self), Arc::clone(channel));
            let is_first = admitted.is_first_on_channel;
            move |is_written| {
                if is_first && is_written {
                    runs.on_marked(&cell, &channel);
                }
            }
        };
        let topic = (draft.topic.clone(), draft.keep.clone());
        let accepted = runs.0.hub.post(channel, draft, mark, fated)?;
        published.note(&origin, channel, topic, accepted.cursor(), admitted);
        Ok(accepted)
    }

    /// The same for messages of one attempt that readers see after their commit, which is to be awaited.
    pub(super) fn publish_together(
        self: &Arc<Self>,
        runs: &Runs,
        lease: u32,
        channel: &Arc<Channel>,
        messages: &Together,
    ) -> Result<Committing, EngineError> {
        let mut published = self.published.lock();
        if !self.is_held_by(lease) {
            let run = self.id;
            return Err(EngineError::LeaseLost { run, lease });
        }
        let mut posted = Vec::new();
        for draft in messages.drafts() {
            let origin = draft.origin.clone();
            let origin = origin.expect("what a run publishes says of which attempt it is");
            let admitted = published.admit(&origin, channel.name(), draft, false)?;
            posted.push((origin, draft, admitted));
        }
        let is_first = posted
            .iter()
            .any(|(.., admitted)| admitted.is_first_on_channel);
        let now = runs.0.clock.now();
        let batch = Batch {
            expect: messages.expects(channel.name(), now),
            ..Batch::default()
        };
        let mut given = Vec::new();
        let numbered = |batch: &mut Batch, cursors: &[Cursor]| {
            given = cursors.to_vec();
            if let (true, Some(first)) = (is_first, cursors.first()) {
                let mark = Write::RunChannel(self.id, channel.name().clone(), *first);
                batch.writes.push(mark);
            }
            let keys = messages.writes(channel.name(), cursors, now);
            batch.writes.extend(keys);
        };
        let (tell, committed) = oneshot::channel();
        let done = {
            let (runs, cell, channel) = (runs.clone(), Arc::clone(self), Arc::clone(channel));
            move |result: Result<Vec<Cursor>, CommitError>| {
                if is_first && result.is_ok() {
                    runs.on_marked(&cell, &channel);
                }
                // Whoever publishes may have gone; the messages have their fate all the same.
                drop(tell.send(result));
            }
        };
        let outgoing = messages.drafts().map(|draft| Outgoing {
            channel: Arc::clone(channel),
            draft: draft.clone(),
        });
        runs.0.hub.commit(batch, outgoing.collect(), numbered, done);
        for ((origin, draft, admitted), cursor) in posted.into_iter().zip(given) {
            let topic = (draft.topic.clone(), draft.keep.clone());
            published.note(&origin, channel, topic, cursor, admitted);
        }
        Ok(committed)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, CellState> {
        self.state.lock()
    }

    /// Puts a command into the inbox. Gives it back when the cell has left memory.
    #[must_use = "a command that came back has to go to the run's new cell"]
    pub(super) fn push(&self, envelope: Envelope) -> Option<Envelope> {
        let mut state = self.lock();
        if state.detached {
            return Some(envelope);
        }
        state.inbox.push_back(envelope);
        None
    }

    /// The same for a command that is right under this lease only: gives it back when there has been another one.
    #[must_use = "a command that came back has to be made anew"]
    pub(super) fn push_under(&self, lease: u32, envelope: Envelope) -> Option<Envelope> {
        let mut state = self.lock();
        if state.detached || state.run.row.lease != lease {
            return Some(envelope);
        }
        state.inbox.push_back(envelope);
        None
    }

    /// The lease that holds the run now, if one does.
    pub(super) fn holder(&self) -> Option<u32> {
        let lease = self.lease.load(Ordering::Acquire);
        (lease != 0).then_some(lease)
    }

    pub(super) fn is_held_by(&self, lease: u32) -> bool {
        lease != 0 && self.lease.load(Ordering::Acquire) == lease
    }

    /// Takes over the state that is on disk now.
    pub(super) fn absorb(&self, state: &mut CellState, run: RunState) {
        if !state.detached {
            self.lease.store(held_lease(&run), Ordering::Release);
        }
        state.run = run;
    }

    /// Ends whatever life it has: the worker hears that it is over, what waits is answered.
    pub(super) fn detach(&self, error: &CommitError) {
        let mut state = self.lock();
        state.detached = true;
        self.lease.store(0, Ordering::Release);
        state.tell(Update::Over);
        state.updates = None;
        let inbox = std::mem::take(&mut state.inbox);
        let place = state.place.take();
        drop(state);
        drop(place);
        inbox
            .into_iter()
            .for_each(|envelope| envelope.answer(Err(error.clone().into())));
    }
}

fn held_lease(run: &RunState) -> u32 {
    if run.row.phase == Phase::Leased {
        run.row.lease
    } else {
        0
    }
}

impl CellState {
    pub(super) fn tell(&self, update: Update) {
        if let Some(updates) = &self.updates {
            // A worker that has dropped the run hears nothing more.
            drop(updates.send(update));
        }
    }

    /// Asks the worker to give the run back, if all that it does may be to wait.
    pub(super) fn ask_to_give_back(&self) {
        let waits = |step: &Arc<StepRow>| matches!(step.state, StepState::Waiting { .. });
        if self.run.row.phase == Phase::Leased && self.run.steps.values().any(waits) {
            self.tell(Update::GiveBack);
        }
    }

    /// Whether it may leave memory: nothing is on its way, and nobody executes it.
    pub(super) fn is_idle(&self) -> bool {
        !self.committing && self.inbox.is_empty() && self.run.row.phase != Phase::Leased
    }
}

impl fmt::Debug for RunCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunCell")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

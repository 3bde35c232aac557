//! From commands to commits and back: what waits for a run becomes one batch, and what comes of it happens after the commit.

use std::{sync::Arc, time::Duration};

use stepcast_protocol::{Cursor, RunError, RunId};
use tokio::sync::{mpsc, oneshot};

use super::{
    Runs,
    cell::{Attached, CellState, CommandError, Envelope, RunCell},
    command::{Command, Effect, Work},
    lanes::{Candidate, Place},
    lifecycle::News,
    marks::Marks,
    once::Taken,
    published::Judged,
    state::RunState,
    transition::{self, Refused},
    worker::{LeasedRun, Update},
};
use crate::{
    hub::Outgoing,
    store::{Batch, CommitError, Expect, Fence, Outcome, Phase, Refusal, Write},
};

/// How long a commit that found no space waits before it is tried again.
const NO_SPACE_PAUSE: Duration = Duration::from_secs(1);

/// A batch of one run that is on its way.
struct Prepared {
    next: RunState,
    effects: Vec<Effect>,
    commands: Vec<Accepted>,
    judged: Judged,
    news: News,
    /// What the store knows from then on of where the run has published.
    marks: Arc<Marks>,
    /// The events of the run's end, and the runs that they start.
    announced: Attached,
}

impl Prepared {
    /// The keys that the commit has found taken, if that is why it was refused.
    fn taken(&self, error: &CommitError) -> Option<Taken> {
        let CommitError::Refused(Refusal::EventsKnown(known)) = error else {
            return None;
        };
        let markers = known.iter().map(|event| event.sent).collect();
        let attached = self.commands.iter().map(|command| &command.attached);
        let attached = attached.chain([&self.announced]);
        let taken: Taken = attached
            .flat_map(|attached| attached.taken(&markers))
            .collect();
        (!taken.is_empty()).then_some(taken)
    }
}

/// A command of the batch, with what is needed to try it again or to tell what came of it.
struct Accepted {
    command: Command,
    attached: Attached,
    reply: Option<oneshot::Sender<Result<(), CommandError>>>,
    place: Option<Place>,
}

/// What happens once the run's lock is free again.
#[derive(Default)]
struct Afterwards {
    start: bool,
    ready: bool,
    ended: bool,
    /// Runs that the run's failure has started.
    handlers: Vec<RunId>,
    places: Vec<Place>,
}

impl Runs {
    /// Makes what waits for a run into a batch and submits it, unless one is on its way.
    pub(super) fn pump(&self, cell: &Arc<RunCell>) {
        let Some((batch, outgoing, prepared)) = self.prepare(cell) else {
            self.retire(cell);
            return;
        };
        let marks = Arc::clone(&prepared.marks);
        let numbered = |batch: &mut Batch, cursors: &[Cursor]| {
            batch.writes.extend(marks.writes(cell.id, cursors));
        };
        let (runs, cell) = (self.clone(), Arc::clone(cell));
        let done = move |result: Result<_, CommitError>| {
            runs.on_committed(&cell, prepared, result.map(|_| ()))
        };
        self.0.hub.commit(batch, outgoing, numbered, done);
    }

    fn prepare(&self, cell: &RunCell) -> Option<(Batch, Vec<Outgoing>, Prepared)> {
        // Outlives the lock: letting go of a place looks at every run.
        let mut refused_envelopes = Vec::new();
        let mut state = cell.lock();
        if state.committing {
            return None;
        }
        let now = self.0.clock.now();
        let mut next = state.run.clone();
        let (mut batch, mut outgoing, mut effects, mut commands) =
            (Batch::default(), Vec::new(), Vec::new(), Vec::new());
        let (mut judged, mut news) = (Judged::default(), News::default());
        let mut keys = Taken::new();
        while let Some(mut envelope) = state.inbox.pop_front() {
            envelope.forget_replaced();
            // A batch's conditions see what is on disk before it: a key that comes again has to find this one there.
            if envelope.attached.keys().any(|key| keys.contains(&key)) {
                state.inbox.push_front(envelope);
                break;
            }
            let transition = match transition::apply(&next, envelope.command.clone(), now) {
                Ok(transition) => transition,
                Err(refused) => {
                    tell_refused(&state, &envelope.command, &refused);
                    refused_envelopes.push((envelope, refused));
                    continue;
                }
            };
            if let Command::Work(lease, _) = envelope.command {
                batch.fence = Some(Fence {
                    run: cell.id,
                    lease,
                });
            }
            keys.extend(envelope.attached.keys());
            next = transition.state;
            effects.extend(transition.effects);
            cell.published()
                .judge(cell.id, &transition.verdicts, &mut judged);
            news.extend(&transition.writes);
            // Copied, as the same commands may have to be tried again.
            batch.writes.extend(envelope.attached.all_writes());
            batch.expect.extend(envelope.attached.expects());
            batch.writes.extend(transition.writes);
            outgoing.extend(envelope.attached.outgoing.iter().cloned());
            let Envelope {
                command,
                attached,
                reply,
                place,
            } = envelope;
            commands.push(Accepted {
                command,
                attached,
                reply,
                place,
            });
        }
        let prepared = (!commands.is_empty()).then(|| {
            if batch.fence.is_none() {
                batch.expect.push(Expect::RunIsOpen(cell.id));
            }
            keep_last_run_row(&mut batch.writes, cell);
            batch.writes.append(&mut judged.writes);
            outgoing.append(&mut judged.rollbacks);
            state.committing = true;
            let prepared = Prepared {
                next,
                effects,
                commands,
                judged,
                news,
                marks: Arc::new(self.marks(cell, &outgoing)),
                announced: Attached::default(),
            };
            (batch, outgoing, prepared)
        });
        drop(state);
        // Creates runs, and so needs the lock free; nobody else touches the run meanwhile, as it is committing.
        let prepared = prepared.map(|(mut batch, outgoing, mut prepared)| {
            if prepared.next.row.phase.is_final() {
                prepared.announced = self.announce_end(&prepared.next.row, cell, keys, now);
                batch.writes.extend(prepared.announced.all_writes());
                batch.expect.extend(prepared.announced.expects());
            }
            (batch, outgoing, prepared)
        });
        for (envelope, refused) in refused_envelopes {
            envelope.answer(Err(refused.into()));
        }
        prepared
    }

    fn on_committed(
        &self,
        cell: &Arc<RunCell>,
        prepared: Prepared,
        result: Result<(), CommitError>,
    ) {
        match result {
            Ok(()) => self.on_success(cell, prepared),
            Err(CommitError::NoSpace(problem)) => self.hold_for_space(cell, prepared, problem),
            Err(error) if let Some(taken) = prepared.taken(&error) => {
                self.leave_out(cell, prepared, taken);
            }
            Err(error) => {
                // After the others the hub has seen to a restart.
                if !matches!(error, CommitError::OutcomeUnknown(_) | CommitError::Closed) {
                    let function = &prepared.next.row.function;
                    tracing::warn!(run = %cell.id, %function, %error, "a run was given up until the next start");
                }
                for command in prepared.commands {
                    command.answer(Err(error.clone().into()));
                }
                self.0.cells.lock().remove(&cell.id);
                cell.detach(&error);
            }
        }
    }

    fn on_success(&self, cell: &Arc<RunCell>, prepared: Prepared) {
        let Prepared {
            next,
            effects,
            commands,
            judged,
            news,
            marks,
            announced,
        } = prepared;
        cell.published().on_committed(&judged);
        for (channel, origin, up_to) in judged.standing() {
            channel.settle(origin, up_to);
        }
        self.announce(news, cell, &next);
        let mut after = Afterwards {
            handlers: announced.handlers(),
            ..Afterwards::default()
        };
        let (mut attached, mut replies, mut started) = (vec![announced], Vec::new(), None);
        {
            let mut state = cell.lock();
            state.committing = false;
            state.taken.clear();
            if state.run.row.started_at.is_none() && next.row.started_at.is_some() {
                cell.tally.on_started();
            }
            cell.absorb(&mut state, next);
            for command in commands {
                // A run has one place: the one its last lease brought.
                after
                    .places
                    .extend(command.place.and_then(|place| state.place.replace(place)));
                attached.push(command.attached);
                replies.extend(command.reply);
            }
            for effect in effects {
                self.perform(cell, &state, effect, &mut after);
            }
            if state.run.row.phase != Phase::Leased {
                state.updates = None;
                after.places.extend(state.place.take());
            } else if after.start && !state.detached {
                // What else this commit brought is among the steps that the worker begins with.
                started = Some(self.leased(cell, &mut state));
            }
        }
        if let Some(run) = started {
            self.0.worker.start(run);
        }
        for channel in marks.channels() {
            self.on_marked(cell, channel);
        }
        for reply in replies {
            drop(reply.send(Ok(())));
        }
        attached
            .into_iter()
            .for_each(|attached| self.on_attached(attached));
        self.perform_afterwards(cell, after);
        self.pump(cell);
    }

    fn perform(
        &self,
        cell: &Arc<RunCell>,
        state: &CellState,
        effect: Effect,
        after: &mut Afterwards,
    ) {
        let inner = &self.0;
        match effect {
            Effect::Start => after.start = true,
            Effect::StepDone { step, seq, outcome } => {
                if let Some(row) = state.run.steps.get(&step) {
                    let took = row.changed_at.since(row.began_at);
                    inner.steps.on_done(row.verb, took);
                }
                state.tell(Update::StepDone { step, seq, outcome })
            }
            Effect::StepRetry { step, attempts, at } => {
                inner.steps.on_retry();
                state.tell(Update::StepRetry { step, attempts, at })
            }
            Effect::Waiting(step) => {
                state.tell(Update::Waiting(step));
                if inner.lanes.is_full() {
                    state.tell(Update::GiveBack);
                }
            }
            Effect::SetTimer(timer) => inner.timers.set(timer),
            Effect::ClearTimer(timer) => inner.timers.remove(&timer),
            Effect::StartEventWait(wait) => self.start_event_wait(*wait, &cell.event),
            Effect::EndEventWait(step, event) => inner.waits.end(cell.id, &step, &event),
            Effect::Unheld => state.tell(Update::Over),
            Effect::Ready => after.ready = true,
            Effect::Ended => {
                state.tell(Update::Over);
                after.ended = true;
            }
        }
    }

    fn perform_afterwards(&self, cell: &RunCell, after: Afterwards) {
        let Afterwards {
            start: _,
            ready,
            ended,
            handlers,
            places,
        } = after;
        drop(places);
        if ready {
            let row = cell.lock().run.row.clone();
            self.0.lanes.ready(&row.function, Candidate::from(&row));
        }
        if ended {
            self.on_ended(cell, handlers);
        }
    }

    /// A run has ended: those who wait for it hear of it.
    fn on_ended(&self, cell: &RunCell, handlers: Vec<RunId>) {
        let row = {
            let state = cell.lock();
            cell.tally.on_phase(state.run.row.phase);
            log_end(&state.run);
            state.run.row.clone()
        };
        let (parent, outcome) = (row.parent.clone(), row.outcome.clone());
        self.tell_end(cell, row, handlers);
        for end in self.0.ends.lock().remove(&cell.id).unwrap_or_default() {
            end.send(()).ok();
        }
        if let (Some(parent), Some(outcome)) = (parent, outcome) {
            self.command_soon(parent.run, Command::WaitEnded(parent.step, outcome));
        }
    }

    /// A leased run for the worker, which may report at once: hand it over without the run's lock.
    fn leased(&self, cell: &Arc<RunCell>, state: &mut CellState) -> LeasedRun {
        let (updates, heard) = mpsc::unbounded_channel();
        state.updates = Some(updates);
        let body = {
            let mut published = cell.published();
            published.open();
            published.settled()
        };
        if self.0.lanes.is_closed() {
            // The others were asked before this one came.
            state.tell(Update::GiveBack);
        }
        let row = &state.run.row;
        let lease = super::RunLease {
            runs: self.clone(),
            cell: Arc::clone(cell),
            number: row.lease,
        };
        LeasedRun {
            id: cell.id,
            function: row.function.clone(),
            attempt: row.attempt,
            event: Arc::clone(&cell.event),
            steps: state.run.results(),
            body,
            lease,
            updates: heard,
        }
    }

    pub(super) fn start(&self, cell: &Arc<RunCell>, place: Place) {
        let run = {
            let mut state = cell.lock();
            if state.detached {
                // All leases are void meanwhile; the store knows the run. Its place is let go of once the lock is.
                drop(state);
                return;
            }
            state.committing = false;
            state.place = Some(place);
            self.leased(cell, &mut state)
        };
        self.0.worker.start(run);
        self.pump(cell);
    }

    /// Runs that were to start with the commit may not start any more: the rest is tried again without them.
    fn leave_out(&self, cell: &Arc<RunCell>, prepared: Prepared, taken: Taken) {
        cell.published().restore(prepared.judged);
        // Outlives the lock: letting go of a run looks at every other.
        let mut left_out = vec![prepared.announced.created];
        {
            let mut state = cell.lock();
            state.taken.extend(taken);
            for command in prepared.commands.into_iter().rev() {
                let mut envelope = command.again();
                left_out.push(envelope.attached.leave_out(&state.taken));
                state.inbox.push_front(envelope);
            }
            state.committing = false;
        }
        drop(left_out);
        self.pump(cell);
    }

    /// Nothing is acknowledged and nothing is lost: the same commands are tried again when there may be space.
    fn hold_for_space(&self, cell: &Arc<RunCell>, prepared: Prepared, problem: String) {
        let function = &prepared.next.row.function;
        tracing::error!(run = %cell.id, %function, code = "no_space", problem, "a run waits for disk space");
        cell.published().restore(prepared.judged);
        {
            let mut state = cell.lock();
            for command in prepared.commands.into_iter().rev() {
                state.inbox.push_front(command.again());
            }
        }
        let (runs, cell) = (self.clone(), Arc::clone(cell));
        self.0.background.spawn(async move {
            tokio::time::sleep(NO_SPACE_PAUSE).await;
            cell.lock().committing = false;
            runs.pump(&cell);
        });
    }

    /// A run that nobody executes and nothing is on its way to leaves memory.
    fn retire(&self, cell: &RunCell) {
        let mut cells = self.0.cells.lock();
        let mut state = cell.lock();
        if state.is_idle() && !state.detached {
            state.detached = true;
            cells.remove(&cell.id);
        }
    }
}

impl Accepted {
    fn answer(self, result: Result<(), CommandError>) {
        Envelope {
            command: self.command,
            attached: self.attached,
            reply: self.reply,
            place: self.place,
        }
        .answer(result);
    }

    /// The envelope it came in, to be applied once more.
    fn again(self) -> Envelope {
        Envelope {
            command: self.command,
            attached: self.attached,
            reply: self.reply,
            place: self.place,
        }
    }
}

/// One line per run, and one that is seen per run that has failed.
fn log_end(run: &RunState) {
    let RunState { row, steps, .. } = run;
    let (run, function, status) = (row.id, &row.function, row.phase.status());
    let millis = row
        .ended_at
        .map_or(0, |ended| ended.since(row.created_at).as_millis());
    match (row.phase, &row.outcome) {
        (Phase::Failed, Some(Outcome::Err(error))) => tracing::warn!(
            %run, %function, attempt = row.attempt, steps = steps.len(), millis, code = error.code, error = error.message,
            "a run has failed"
        ),
        _ => tracing::debug!(
            %run, %function, ?status, attempt = row.attempt, steps = steps.len(), millis,
            "a run has ended"
        ),
    }
}

/// A refused report reaches the worker that holds the run; one from an old lease has nobody to hear it.
fn tell_refused(state: &CellState, command: &Command, refused: &Refused) {
    if let Command::Work(lease, work) = command
        && state.run.is_held_by(*lease)
        && let Some(step) = step_of(work)
    {
        let error = RunError::new(refused.code(), refused);
        state.tell(Update::StepRefused {
            step: step.id.clone(),
            error,
        });
    }
}

fn step_of(work: &Work) -> Option<&super::StepKey> {
    match work {
        Work::StepEnded(step, _)
        | Work::StepFailed { step, .. }
        | Work::StepAbandoned(step)
        | Work::WaitStarted { step, .. } => Some(step),
        Work::Parked { .. } | Work::Released | Work::Returned(_) | Work::Failed { .. } => None,
    }
}

impl News {
    fn extend(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Run(_) => self.run = true,
                Write::Step(row) => self.steps.push(row.step.clone()),
                _ => {}
            }
        }
    }
}

/// Several commands may have changed the run's row; the last row holds them all.
fn keep_last_run_row(writes: &mut Vec<Write>, cell: &RunCell) {
    let is_row = |write: &Write| matches!(write, Write::Run(row) if row.id == cell.id);
    let mut left = writes.iter().filter(|write| is_row(write)).count();
    if left > 1 {
        writes.retain(|write| {
            let row = is_row(write);
            left -= usize::from(row);
            !row || left == 0
        });
    }
}

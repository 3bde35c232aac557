//! What a run does next. Pure: the state, a command and the time go in; the next state, what must be written and what must happen
//! afterwards come out. Nothing here reads a clock, waits, or touches a disk.
//!
//! A run ends exactly once: a final phase refuses every command. A worker's commands carry its lease; an old one is refused.

use bytes::Bytes;
use stepcast_protocol::{ErrorCode, RunError, RunId, StepId, Timestamp, limits};

use super::{
    command::{Command, Effect, Failure, StepKey, Work},
    retry::Retry,
    state::RunState,
};
use crate::store::{EventWait, Outcome, Phase, StepRow, StepState, Timer, Verb, Write};

/// The outcome of a command.
#[derive(Debug, Clone)]
pub struct Transition {
    /// The run afterwards.
    pub state: RunState,
    /// What must be on disk first.
    pub writes: Vec<Write>,
    /// What happens then.
    pub effects: Vec<Effect>,
    /// What becomes of the messages that were published meanwhile; records of it are part of the same commit.
    pub verdicts: Vec<Verdict>,
}

/// What becomes of messages that are not durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// An attempt of a step has succeeded: what it published stands.
    StepStands(StepId, u32),
    /// An attempt of a step has failed or was dropped: what it published is void.
    StepFalls(StepId, u32),
    /// The function executes no more: attempts that were under way are void.
    OpenStepsFall,
    /// What the body has published up to now stands, whatever comes: a replay finds it done.
    BodyStands,
    /// The body runs again from its beginning: what no commit stands behind is void.
    BodyFalls,
}

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The run has ended.
    #[error("run {0} has ended")]
    RunEnded(RunId),
    /// Another lease holds the run, or none.
    #[error("run {run} is no longer held by lease {lease}; another execution of it has taken over")]
    LeaseLost {
        /// The run.
        run: RunId,
        /// The lease that is over.
        lease: u32,
    },
    /// The command came too late or twice: what it speaks of is not so any more.
    #[error("nothing to do: {0}")]
    Stale(&'static str),
    /// A recorded step came back as something else.
    #[error(
        "step `{step}` is recorded as {recorded} and came back as {now}; give the new step another id"
    )]
    StepChanged {
        /// The step.
        step: StepId,
        /// Verb and target on record.
        recorded: String,
        /// Verb and target now.
        now: String,
    },
    /// Too many steps.
    #[error(
        "step `{step}` would be one more than the {} steps a run may have",
        limits::STEPS_PER_RUN
    )]
    TooManySteps {
        /// The step.
        step: StepId,
    },
    /// Results that are too large.
    #[error(
        "the result of step `{step}` has {bytes} bytes, {what} may have {limit}; keep large values elsewhere and return a reference"
    )]
    ResultTooLarge {
        /// The step.
        step: StepId,
        /// Its size.
        bytes: usize,
        /// One step or all of a run.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
}

impl Refused {
    /// The code this has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::RunEnded(_) => ErrorCode::RunEnded,
            Self::LeaseLost { .. } => ErrorCode::LeaseLost,
            Self::Stale(_) => ErrorCode::AttemptOver,
            Self::StepChanged { .. } => ErrorCode::StepChanged,
            Self::TooManySteps { .. } => ErrorCode::TooManySteps,
            Self::ResultTooLarge { .. } => ErrorCode::TooLarge,
        }
    }
}

/// Applies a command.
///
/// # Errors
/// [`Refused`]; then nothing changes.
pub fn apply(state: &RunState, command: Command, now: Timestamp) -> Result<Transition, Refused> {
    if state.row.phase.is_final() {
        return Err(Refused::RunEnded(state.row.id));
    }
    let mut next = Next {
        state: state.clone(),
        writes: Vec::new(),
        effects: Vec::new(),
        verdicts: Vec::new(),
        row_changed: false,
        now,
    };
    match command {
        Command::Lease => next.lease()?,
        Command::Work(lease, work) => {
            if !state.is_held_by(lease) {
                return Err(Refused::LeaseLost {
                    run: state.row.id,
                    lease,
                });
            }
            next.work(work)?;
        }
        Command::WaitEnded(step, outcome) => next.end_wait(&step, outcome)?,
        Command::TimerFired(timer) => next.timer_fired(timer),
        Command::Cancel => {
            next.state.row.outcome = Some(Outcome::Err(RunError::new(
                ErrorCode::RunCancelled,
                "the run was cancelled",
            )));
            next.verdicts
                .extend([Verdict::OpenStepsFall, Verdict::BodyStands]);
            next.end(Phase::Cancelled);
        }
    }
    Ok(next.finish())
}

/// The transition under construction.
struct Next {
    state: RunState,
    writes: Vec<Write>,
    effects: Vec<Effect>,
    verdicts: Vec<Verdict>,
    row_changed: bool,
    now: Timestamp,
}

impl Next {
    fn finish(mut self) -> Transition {
        if self.row_changed {
            self.writes
                .push(Write::Run(Box::new(self.state.row.clone())));
        }
        Transition {
            state: self.state,
            writes: self.writes,
            effects: self.effects,
            verdicts: self.verdicts,
        }
    }

    fn lease(&mut self) -> Result<(), Refused> {
        let row = &mut self.state.row;
        if row.phase != Phase::Queued || row.due_at > self.now {
            return Err(Refused::Stale("the run is not queued and due"));
        }
        if row.crashes >= limits::CRASHES_WITHOUT_PROGRESS {
            let text = format!(
                "the process died {} times in a row before the run got any further",
                row.crashes
            );
            row.outcome = Some(Outcome::Err(RunError::new(
                ErrorCode::CrashedRepeatedly,
                text,
            )));
            self.end(Phase::Failed);
            return Ok(());
        }
        // The store may have said that it is due before its timer did.
        self.clear_due();
        let row = &mut self.state.row;
        row.phase = Phase::Leased;
        row.lease += 1;
        row.started_at.get_or_insert(self.now);
        self.row_changed = true;
        self.effects.push(Effect::Start);
        Ok(())
    }

    fn work(&mut self, work: Work) -> Result<(), Refused> {
        match work {
            Work::StepEnded(key, outcome) => {
                self.step_ended(key, outcome)?;
                self.verdicts.push(Verdict::BodyStands);
                Ok(())
            }
            Work::StepFailed {
                step,
                failure,
                retry,
                chance,
            } => {
                self.step_failed(step, failure, retry, chance)?;
                self.verdicts.push(Verdict::BodyStands);
                Ok(())
            }
            Work::StepAbandoned(key) => {
                let next_at = self.now;
                self.open_step(key, None, next_at).map(|_| ())
            }
            Work::WaitStarted { step, until, event } => {
                self.start_wait(step, until, event)?;
                self.verdicts.push(Verdict::BodyStands);
                Ok(())
            }
            Work::Parked { seen, decided_at } => {
                self.verdicts.push(Verdict::BodyStands);
                self.park(seen, decided_at);
                Ok(())
            }
            Work::Released => {
                self.verdicts
                    .extend([Verdict::OpenStepsFall, Verdict::BodyFalls]);
                self.requeue(self.now);
                Ok(())
            }
            Work::Returned(json) => {
                self.verdicts
                    .extend([Verdict::OpenStepsFall, Verdict::BodyStands]);
                self.state.row.outcome = Some(Outcome::Ok(json));
                self.end(Phase::Completed);
                Ok(())
            }
            Work::Failed {
                failure,
                retry,
                chance,
            } => {
                self.body_failed(failure, retry, chance);
                Ok(())
            }
        }
    }

    /// The step's row as it is on record, or a new one; refuses a step that is something else now, waits, or has ended.
    fn step(&self, key: StepKey) -> Result<StepRow, Refused> {
        let StepKey {
            id,
            verb,
            target,
            began_at,
        } = key;
        let Some(row) = self.state.steps.get(&id) else {
            if self.state.steps.len() >= limits::STEPS_PER_RUN {
                return Err(Refused::TooManySteps { step: id });
            }
            let state = StepState::Open {
                next_at: self.now,
                error: None,
            };
            return Ok(StepRow {
                run: self.state.row.id,
                step: id,
                verb,
                target,
                attempts: 0,
                state,
                began_at: began_at.unwrap_or(self.now),
                changed_at: self.now,
            });
        };
        if row.verb != verb || row.target != target {
            let (recorded, now) = (describe(row.verb, &row.target), describe(verb, &target));
            return Err(Refused::StepChanged {
                step: id,
                recorded,
                now,
            });
        }
        match row.state {
            StepState::Done { .. } => Err(Refused::Stale("the step has ended")),
            // Only what it waits for ends a wait, and clears what it left behind.
            StepState::Waiting { .. } => Err(Refused::Stale("the wait is recorded")),
            StepState::Open { .. } => Ok(row.clone()),
        }
    }

    fn put_step(&mut self, row: StepRow) {
        let row = StepRow {
            changed_at: self.now,
            ..row
        };
        self.writes.push(Write::Step(Box::new(row.clone())));
        let before = self.state.steps.insert(row.step.clone(), row);
        if let Some(before) = before {
            self.clear_pause(&before);
        }
    }

    /// Removes the timer that may stand for the pause of an open step.
    fn clear_pause(&mut self, row: &StepRow) {
        if let Some(timer) = pause_of(row) {
            self.clear_timer(timer);
        }
    }

    fn step_ended(&mut self, key: StepKey, outcome: Outcome) -> Result<(), Refused> {
        let mut row = self.step(key)?;
        row.attempts += 1;
        self.check_size(&row.step, &outcome)?;
        let (step, attempt) = (row.step.clone(), row.attempts);
        self.verdicts.push(match &outcome {
            Outcome::Ok(_) => Verdict::StepStands(step, attempt),
            Outcome::Err(_) => Verdict::StepFalls(step, attempt),
        });
        self.record(row, outcome);
        Ok(())
    }

    fn check_size(&self, step: &StepId, outcome: &Outcome) -> Result<(), Refused> {
        let bytes = outcome.bytes();
        let too_large = |what, limit| Refused::ResultTooLarge {
            step: step.clone(),
            bytes,
            what,
            limit,
        };
        if bytes > limits::MEMO_BYTES {
            return Err(too_large("one step", limits::MEMO_BYTES));
        }
        if self.state.result_bytes + bytes > limits::RUN_STATE_BYTES {
            return Err(too_large(
                "all steps of a run together",
                limits::RUN_STATE_BYTES,
            ));
        }
        Ok(())
    }

    /// Gives a step its result and its place in the order of results. That is progress: earlier crashes are forgiven.
    fn record(&mut self, mut row: StepRow, outcome: Outcome) {
        let seq = self.state.next_seq;
        self.state.next_seq += 1;
        self.state.result_bytes += outcome.bytes();
        if std::mem::take(&mut self.state.row.crashes) > 0 {
            self.row_changed = true;
        }
        self.effects.push(Effect::StepDone {
            step: row.step.clone(),
            seq,
            outcome: outcome.clone(),
        });
        row.state = StepState::Done { seq, outcome };
        self.put_step(row);
    }

    fn step_failed(
        &mut self,
        key: StepKey,
        failure: Failure,
        retry: Retry,
        chance: f64,
    ) -> Result<(), Refused> {
        let attempts = self.step(key.clone())?.attempts + 1;
        let pause = if failure.terminal {
            None
        } else {
            retry.pause(attempts, chance)
        };
        let Some(pause) = pause else {
            return self.step_ended(key, Outcome::Err(failure.error));
        };
        let next_at = self.now + pause;
        let attempts = self.open_step(key, Some(failure.error), next_at)?;
        let (run, step) = (self.state.row.id, attempts.0);
        if pause > limits::PARK_AFTER {
            self.set_timer(Timer {
                at: next_at,
                run,
                step: Some(step.clone()),
            });
        }
        self.effects.push(Effect::StepRetry {
            step,
            attempts: attempts.1,
            at: next_at,
        });
        Ok(())
    }

    /// Uses up an attempt and leaves the step open for the next.
    fn open_step(
        &mut self,
        key: StepKey,
        error: Option<RunError>,
        next_at: Timestamp,
    ) -> Result<(StepId, u32), Refused> {
        let mut row = self.step(key)?;
        row.attempts += 1;
        row.state = StepState::Open { next_at, error };
        let opened = (row.step.clone(), row.attempts);
        self.verdicts
            .push(Verdict::StepFalls(row.step.clone(), row.attempts));
        self.put_step(row);
        Ok(opened)
    }

    fn start_wait(
        &mut self,
        key: StepKey,
        until: Option<Timestamp>,
        event: Option<Box<EventWait>>,
    ) -> Result<(), Refused> {
        let mut row = self.step(key)?;
        row.attempts += 1;
        row.state = StepState::Waiting { until };
        let step = row.step.clone();
        self.put_step(row);
        if let Some(at) = until {
            self.set_timer(Timer {
                at,
                run: self.state.row.id,
                step: Some(step.clone()),
            });
        }
        if let Some(event) = event {
            self.writes.push(Write::EventWait(event.clone()));
            self.effects.push(Effect::StartEventWait(event));
        }
        self.effects.push(Effect::Waiting(step));
        Ok(())
    }

    fn end_wait(&mut self, step: &StepId, outcome: Outcome) -> Result<(), Refused> {
        let row = self
            .waiting(step)
            .ok_or(Refused::Stale("the step does not wait"))?;
        self.clear_wait(&row);
        let outcome = match self.check_size(step, &outcome) {
            Ok(()) => outcome,
            // What was sent cannot be refused any more, so the step fails with the bound it hit.
            Err(refused) => Outcome::Err(RunError::new(refused.code(), refused)),
        };
        self.record(row, outcome);
        self.wake();
        Ok(())
    }

    fn waiting(&self, step: &StepId) -> Option<StepRow> {
        self.state
            .steps
            .get(step)
            .filter(|row| matches!(row.state, StepState::Waiting { .. }))
            .cloned()
    }

    /// Removes what a recorded wait left behind: its timer and its place among those who wait for an event.
    fn clear_wait(&mut self, row: &StepRow) {
        if let StepState::Waiting { until: Some(at) } = row.state {
            self.clear_timer(Timer {
                at,
                run: row.run,
                step: Some(row.step.clone()),
            });
        }
        if row.verb == Verb::WaitForEvent {
            self.writes
                .push(Write::ClearEventWait(row.run, row.step.clone()));
            self.effects
                .push(Effect::EndEventWait(row.step.clone(), row.target.clone()));
        }
    }

    fn timer_fired(&mut self, timer: Timer) {
        self.writes.push(Write::ClearTimer(timer.clone()));
        let Some(step) = timer.step else {
            if self.state.row.phase == Phase::Queued && self.state.row.due_at <= self.now {
                self.effects.push(Effect::Ready);
            }
            return;
        };
        if let Some(row) = self.waiting(&step) {
            if matches!(row.state, StepState::Waiting { until: Some(at) } if at <= self.now) {
                let outcome = ended_by_time(row.verb);
                self.clear_wait(&row);
                self.record(row, outcome);
                self.wake();
            }
        } else if self.state.steps.get(&step).is_some_and(
            |row| matches!(row.state, StepState::Open { next_at, .. } if next_at <= self.now),
        ) {
            // The pause of an open step is over.
            self.wake();
        }
    }

    /// A parked run has something to go on with.
    fn wake(&mut self) {
        if self.state.row.phase == Phase::Parked {
            self.requeue(self.now);
        }
    }

    fn park(&mut self, seen: u64, decided_at: Timestamp) {
        self.state.row.phase = Phase::Parked;
        self.row_changed = true;
        self.effects.push(Effect::Unheld);
        let pauses: Vec<_> = self.state.steps.values().filter_map(pause_of).collect();
        let waits = |row: &StepRow| matches!(row.state, StepState::Waiting { .. });
        let can_wake =
            self.state.steps.values().any(waits) || pauses.iter().any(|timer| timer.at > self.now);
        // While the report was on its way, a result may have come or a pause may have ended: what would have woken the run is gone.
        let missed = self.state.next_seq - 1 > seen
            || pauses
                .iter()
                .any(|timer| (decided_at..=self.now).contains(&timer.at));
        if missed || !can_wake {
            return self.requeue(self.now);
        }
        for timer in pauses {
            if timer.at > self.now {
                self.set_timer(timer);
            }
        }
    }

    fn requeue(&mut self, due_at: Timestamp) {
        let held = self.state.row.phase == Phase::Leased;
        self.state.row.phase = Phase::Queued;
        self.state.row.due_at = due_at;
        self.row_changed = true;
        if held {
            self.effects.push(Effect::Unheld);
        }
        if due_at <= self.now {
            self.effects.push(Effect::Ready);
        } else {
            self.set_timer(Timer {
                at: due_at,
                run: self.state.row.id,
                step: None,
            });
        }
    }

    fn body_failed(&mut self, failure: Failure, retry: Retry, chance: f64) {
        let pause = if failure.terminal {
            None
        } else {
            retry.pause(self.state.row.attempt, chance)
        };
        self.state.row.outcome = Some(Outcome::Err(failure.error));
        self.verdicts.push(Verdict::OpenStepsFall);
        match pause {
            None => {
                self.verdicts.push(Verdict::BodyStands);
                self.end(Phase::Failed);
            }
            Some(pause) => {
                self.verdicts.push(Verdict::BodyFalls);
                self.state.row.attempt += 1;
                self.requeue(self.now + pause);
            }
        }
    }

    fn end(&mut self, phase: Phase) {
        let rows: Vec<_> = self.state.steps.values().cloned().collect();
        for row in &rows {
            match row.state {
                StepState::Waiting { .. } => self.clear_wait(row),
                StepState::Open { .. } => self.clear_pause(row),
                StepState::Done { .. } => {}
            }
        }
        self.clear_due();
        let row = &mut self.state.row;
        row.phase = phase;
        row.ended_at = Some(self.now);
        self.row_changed = true;
        self.effects.push(Effect::Ended);
    }

    /// Removes the timer that may stand for the time at which a queued run is due.
    fn clear_due(&mut self) {
        let row = &self.state.row;
        if row.phase == Phase::Queued && row.due_at > row.created_at {
            self.clear_timer(Timer {
                at: row.due_at,
                run: row.id,
                step: None,
            });
        }
    }

    fn set_timer(&mut self, timer: Timer) {
        self.writes.push(Write::Timer(timer.clone()));
        self.effects.push(Effect::SetTimer(timer));
    }

    fn clear_timer(&mut self, timer: Timer) {
        self.writes.push(Write::ClearTimer(timer.clone()));
        self.effects.push(Effect::ClearTimer(timer));
    }
}

/// The pause of a step whose last attempt failed.
fn pause_of(row: &StepRow) -> Option<Timer> {
    match row.state {
        StepState::Open {
            next_at,
            error: Some(_),
        } => Some(Timer {
            at: next_at,
            run: row.run,
            step: Some(row.step.clone()),
        }),
        StepState::Open { error: None, .. }
        | StepState::Waiting { .. }
        | StepState::Done { .. } => None,
    }
}

/// What a wait that ends by itself results in: a sleep is over, an event did not come, an invoked run took too long.
fn ended_by_time(verb: Verb) -> Outcome {
    match verb {
        Verb::Sleep | Verb::WaitForEvent | Verb::Run | Verb::Publish | Verb::SendEvent => {
            Outcome::Ok(Bytes::from_static(b"null"))
        }
        Verb::Invoke => Outcome::Err(RunError::new(
            ErrorCode::TimedOut,
            "the invoked run did not end before the step's timeout",
        )),
    }
}

/// A step's verb and target as an error shows them.
#[must_use]
pub fn describe(verb: Verb, target: &str) -> String {
    if target.is_empty() {
        format!("`{}`", verb.as_str())
    } else {
        format!("`{}` of `{target}`", verb.as_str())
    }
}

#[cfg(test)]
mod tests;

//! What becomes of a run's steps: their attempts, results and waits.

use std::sync::Arc;

use bytes::Bytes;
use stepcast_protocol::{ErrorCode, RunError, StepId, Timestamp, limits};

use super::{Next, Refused, Verdict};
use crate::{
    runs::{
        command::{Effect, Failure, StepKey},
        retry::Retry,
        signals::signal_event,
    },
    store::{EventWait, Outcome, StepRow, StepState, Timer, Verb, Write},
};

impl Next {
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
            StepState::Open { .. } => Ok(StepRow::clone(row)),
        }
    }

    fn put_step(&mut self, row: StepRow) {
        let row = StepRow {
            changed_at: self.now,
            ..row
        };
        self.writes.push(Write::Step(Box::new(row.clone())));
        let steps = Arc::make_mut(&mut self.state.steps);
        let before = steps.insert(row.step.clone(), Arc::new(row));
        if let Some(before) = before {
            self.clear_pause(&before);
        }
    }

    /// Removes the timer that may stand for the pause of an open step.
    pub(super) fn clear_pause(&mut self, row: &StepRow) {
        if let Some(timer) = pause_of(row) {
            self.clear_timer(timer);
        }
    }

    pub(super) fn step_ended(&mut self, key: StepKey, outcome: Outcome) -> Result<(), Refused> {
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

    pub(super) fn step_failed(
        &mut self,
        key: StepKey,
        failure: Failure,
        retry: Retry,
        chance: f64,
    ) -> Result<(), Refused> {
        let attempts = self.step(key.clone())?.attempts + 1;
        let pause = failure.pause_after(attempts, retry, chance);
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
    pub(super) fn open_step(
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

    pub(super) fn start_wait(
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

    pub(super) fn end_wait(&mut self, step: &StepId, outcome: Outcome) -> Result<(), Refused> {
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

    /// The time has come that a step waits for: the end of its wait, or of the pause before its next attempt.
    pub(super) fn time_is_up(&mut self, step: &StepId) {
        if let Some(row) = self.waiting(step) {
            if matches!(row.state, StepState::Waiting { until: Some(at) } if at <= self.now) {
                let outcome = ended_by_time(row.verb);
                self.clear_wait(&row);
                self.record(row, outcome);
                self.wake();
            }
        } else if self.state.steps.get(step).is_some_and(
            |row| matches!(row.state, StepState::Open { next_at, .. } if next_at <= self.now),
        ) {
            // The pause of an open step is over.
            self.wake();
        }
    }

    fn waiting(&self, step: &StepId) -> Option<StepRow> {
        self.state
            .steps
            .get(step)
            .filter(|row| matches!(row.state, StepState::Waiting { .. }))
            .map(|row| StepRow::clone(row))
    }

    /// Removes what a recorded wait left behind: its timer and its place among those who wait for an event.
    pub(super) fn clear_wait(&mut self, row: &StepRow) {
        if let StepState::Waiting { until: Some(at) } = row.state {
            self.clear_timer(Timer {
                at,
                run: row.run,
                step: Some(row.step.clone()),
            });
        }
        let event = match row.verb {
            Verb::WaitForEvent => row.target.clone(),
            Verb::WaitForSignal => signal_event(&row.target),
            Verb::Run | Verb::Publish | Verb::Sleep | Verb::Invoke | Verb::SendEvent => return,
        };
        self.writes
            .push(Write::ClearEventWait(row.run, row.step.clone()));
        self.effects
            .push(Effect::EndEventWait(row.step.clone(), event));
    }
}

/// The pause of a step whose last attempt failed.
pub(super) fn pause_of(row: &StepRow) -> Option<Timer> {
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
        Verb::Sleep
        | Verb::WaitForEvent
        | Verb::WaitForSignal
        | Verb::Run
        | Verb::Publish
        | Verb::SendEvent => Outcome::Ok(Bytes::from_static(b"null")),
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

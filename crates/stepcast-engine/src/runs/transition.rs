//! What a run does next. Pure: the state, a command and the time go in; the next state, what must be written and what must happen
//! afterwards come out. Nothing here reads a clock, waits, or touches a disk.
//!
//! [`apply`] says what each command means; `run` is what becomes of the run, `steps` of its steps, `guards` of what ends it from outside;
//! [`Refused`] why nothing changes.
//!
//! A run ends exactly once: a final phase refuses every command. A worker's commands carry its lease; an old one is refused.

mod guards;
mod refused;
mod run;
mod steps;

use stepcast_protocol::{ErrorCode, RunError, StepId, Timestamp};

pub use self::{refused::Refused, steps::describe};
use super::{
    command::{CancelReason, Command, Effect, Work},
    state::RunState,
};
use crate::store::{Outcome, Phase, Timer, Write};

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
        // It has begun while this was on its way.
        Command::Cancel(CancelReason::NotBegun(_)) if state.row.started_at.is_some() => {
            return Err(Refused::Stale("the run has begun"));
        }
        Command::Cancel(reason) => {
            let error = RunError::new(ErrorCode::RunCancelled, reason);
            next.state.row.outcome = Some(Outcome::Err(error));
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
                let body = failure.verdict(Verdict::BodyStands);
                self.step_failed(step, failure, retry, chance)?;
                self.verdicts.push(body);
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

    fn timer_fired(&mut self, timer: Timer) {
        self.writes.push(Write::ClearTimer(timer.clone()));
        let Some(step) = timer.step else {
            if self.state.row.phase == Phase::Queued && self.state.row.due_at <= self.now {
                self.effects.push(Effect::Ready);
            }
            return;
        };
        self.time_is_up(&step);
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

#[cfg(test)]
mod tests;

//! What becomes of the run itself: who holds it, when it goes on, how it ends.

use std::sync::Arc;

use stepcast_protocol::{ErrorCode, RunError, Timestamp, limits};

use super::{Next, Refused, Verdict, steps::pause_of};
use crate::{
    runs::{
        command::{Effect, Failure},
        retry::Retry,
    },
    store::{Outcome, Phase, StepRow, StepState, Timer},
};

impl Next {
    pub(super) fn lease(&mut self) -> Result<(), Refused> {
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
        let is_first = row.started_at.is_none();
        row.started_at.get_or_insert(self.now);
        if is_first {
            self.on_first_lease();
        }
        self.row_changed = true;
        self.effects.push(Effect::Start);
        Ok(())
    }

    /// A parked run has something to go on with.
    pub(super) fn wake(&mut self) {
        if self.state.row.phase == Phase::Parked {
            self.requeue(self.now);
        }
    }

    pub(super) fn park(&mut self, seen: u64, decided_at: Timestamp) {
        self.state.row.phase = Phase::Parked;
        self.row_changed = true;
        self.effects.push(Effect::Unheld);
        let steps = self.state.steps.values();
        let pauses: Vec<_> = steps.filter_map(|row| pause_of(row)).collect();
        let waits = |row: &Arc<StepRow>| matches!(row.state, StepState::Waiting { .. });
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

    pub(super) fn requeue(&mut self, due_at: Timestamp) {
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

    pub(super) fn body_failed(&mut self, failure: Failure, retry: Retry, chance: f64) {
        let pause = failure.pause_after(self.state.row.attempt, retry, chance);
        let body = failure.verdict(Verdict::BodyFalls);
        self.state.row.outcome = Some(Outcome::Err(failure.error));
        self.verdicts.push(Verdict::OpenStepsFall);
        match pause {
            None => {
                self.verdicts.push(Verdict::BodyStands);
                self.end(Phase::Failed);
            }
            Some(pause) => {
                self.verdicts.push(body);
                self.state.row.attempt += 1;
                self.requeue(self.now + pause);
            }
        }
    }

    pub(super) fn end(&mut self, phase: Phase) {
        let steps = Arc::clone(&self.state.steps);
        for row in steps.values() {
            match row.state {
                StepState::Waiting { .. } => self.clear_wait(row),
                StepState::Open { .. } => self.clear_pause(row),
                StepState::Done { .. } => {}
            }
        }
        self.clear_due();
        self.drop_guards();
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
}

//! What commits come to.

use stepcast_engine::{runs::Failure, store::Outcome};
use stepcast_protocol::{ErrorCode, RunError, StepId, Timestamp, sdk::StepHash};

use super::{Plan, Saying};
use crate::worker::{
    memory::{Reporter, Standing},
    report::{News, Report},
};

impl Plan {
    /// A step has its result. That is progress: earlier failures of the function are forgiven.
    pub(in crate::worker) fn on_done(&mut self, step: &StepId, seq: u64, outcome: &Outcome) {
        let hash = StepHash::of_step(step);
        self.memory.end(hash, seq, outcome);
        self.body.forgiven = self.body.failures;
        for flight in self.flights.values_mut() {
            if flight.reported.remove(&hash) {
                flight.knows = flight.knows.max(seq);
            }
        }
    }

    /// A step is to be tried again.
    pub(in crate::worker) fn on_retry(&mut self, step: &StepId, attempts: u32, at: Timestamp) {
        if let Some(step) = self.memory.get_mut(StepHash::of_step(step)) {
            step.standing = Standing::Open { attempts, at };
        }
    }

    /// A wait is recorded; it may have ended in the same commit.
    pub(in crate::worker) fn on_waiting(&mut self, step: &StepId) {
        if let Some(step) = self.memory.get_mut(StepHash::of_step(step))
            && let Standing::Reported { .. } = step.standing
        {
            step.standing = Standing::Waiting;
        }
    }

    /// A report was refused. The sender of a checkpoint is told, and decides; otherwise the step fails, or the run if that cannot be recorded.
    pub(in crate::worker) fn on_refused(&mut self, step: &StepId, error: RunError) -> Vec<Saying> {
        let hash = StepHash::of_step(step);
        let Some(step) = self.memory.get_mut(hash) else {
            return Vec::new();
        };
        let Standing::Reported { attempts, by } = step.standing else {
            return Vec::new();
        };
        let is_size = error.code == ErrorCode::TooLarge.as_str();
        match by {
            Reporter::Checkpoint if attempts == 0 => {
                self.memory.forget(hash);
                Vec::new()
            }
            Reporter::Checkpoint => {
                let at = Timestamp::from_millis(0);
                step.standing = Standing::Open { attempts, at };
                Vec::new()
            }
            Reporter::Answer if is_size => {
                let by = Reporter::Refusal;
                step.standing = Standing::Reported { attempts, by };
                let news = News::Ended(Outcome::Err(error));
                vec![Saying::Step(Report::about(step, news))]
            }
            Reporter::Answer | Reporter::Refusal => {
                let terminal = true;
                vec![Saying::Failed(Failure {
                    terminal,
                    ..Failure::of(error)
                })]
            }
        }
    }
}

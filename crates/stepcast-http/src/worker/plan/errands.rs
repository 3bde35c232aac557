//! Errands of a run: those that wait for their turn, and those that are under way.

use std::collections::BTreeMap;

use bytes::Bytes;
use stepcast_engine::{
    runs::{BodyFate, Failure},
    store::Outcome,
};
use stepcast_protocol::{Timestamp, limits, sdk::StepHash};

use super::{Next, Plan, Saying};
use crate::worker::{
    errand::Errand,
    memory::{Reporter, Standing},
    report::{News, Report},
};

/// The errands of a run, by their steps.
#[derive(Debug, Default)]
pub(super) struct Errands {
    waiting: BTreeMap<StepHash, Waiting>,
    running: BTreeMap<StepHash, Running>,
}

#[derive(Debug)]
struct Waiting {
    errand: Errand,
    asked: Asked,
}

#[derive(Debug)]
struct Running {
    began_at: Timestamp,
    asked: Asked,
}

/// The call that has asked.
#[derive(Debug, Clone, Copy)]
struct Asked {
    published: BodyFate,
    /// How many calls there had been then.
    calls: u64,
    /// Attempts of the step that were used up before.
    attempts: u32,
}

impl Errands {
    /// Whether one is under way.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// The one that is due.
    pub(super) fn due(&self) -> Option<StepHash> {
        let first = self.waiting.keys().next().copied();
        first.filter(|_| self.running.len() < limits::CALLS_PER_RUN)
    }
}

impl Plan {
    pub(super) fn wait_for_errand(
        &mut self,
        step: StepHash,
        errand: Errand,
        attempts: u32,
        published: BodyFate,
    ) {
        let asked = Asked {
            published,
            calls: self.calls,
            attempts,
        };
        let waiting = Waiting { errand, asked };
        self.errands.waiting.insert(step, waiting);
    }

    /// Begins the errand that is due.
    pub(super) fn set_out(&mut self, step: StepHash, now: Timestamp) -> Next {
        let waiting = self.errands.waiting.remove(&step);
        let Waiting { errand, asked } = waiting.expect("it was found among those that wait");
        let began_at = now;
        let running = Running { began_at, asked };
        self.errands.running.insert(step, running);
        Next::Errand {
            step,
            attempt: asked.attempts,
            errand,
        }
    }

    /// An errand is over.
    pub(in crate::worker) fn on_brought(
        &mut self,
        hash: StepHash,
        result: Result<Bytes, Failure>,
    ) -> Vec<Saying> {
        let Some(Running { began_at, asked }) = self.errands.running.remove(&hash) else {
            return Vec::new();
        };
        let Some(step) = self.memory.get_mut(hash) else {
            return Vec::new();
        };
        step.standing = Standing::Reported {
            attempts: asked.attempts,
            by: Reporter::Answer,
        };
        // What another call may have published since stands.
        let body = if self.calls == asked.calls {
            asked.published
        } else {
            BodyFate::Stands
        };
        let news = match result {
            Ok(json) => News::Ended(Outcome::Ok(json)),
            Err(failure) => News::Failed(Failure { body, ..failure }),
        };
        vec![Saying::Step(
            Report::about(step, news).beginning_at(began_at),
        )]
    }
}

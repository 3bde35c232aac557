//! What answers and checkpoints come to.

use std::collections::BTreeSet;

use stepcast_engine::{
    runs::{BodyFate, Failure},
    store::Outcome,
};
use stepcast_protocol::{
    ErrorCode, RunError, Timestamp, limits,
    sdk::{Action, Op, Parallel, StepHash, StepOp, call::Target, op::in_order},
};

use super::{CallId, Flight, Plan, Saying};
use crate::worker::{
    errand,
    heard::{Heard, What},
    memory::{Reporter, Standing, Step},
    report::{Moment, News, Report, step_id, subject},
};

impl Plan {
    /// A call has been answered, or will never be.
    pub(in crate::worker) fn on_answer(
        &mut self,
        id: CallId,
        heard: Heard,
        now: Timestamp,
    ) -> Vec<Saying> {
        let Some(flight) = self.flights.remove(&id) else {
            return Vec::new();
        };
        let Heard {
            what,
            pause,
            version,
        } = heard;
        self.version = version.unwrap_or(self.version);
        let moment = Moment {
            called_at: flight.began_at,
            now,
            pause,
            published: flight.published(),
        };
        let what = what.with_published(flight.published());
        match (what, flight.target) {
            (What::Returned(json), _) => vec![Saying::Returned(json)],
            (What::Ops(ops), Target::Function) => self.on_found(&flight, ops, moment),
            (What::Ops(ops), Target::Step(hash)) => self.on_step_ops(hash, ops, moment),
            // An error of the function that forbids another try is one of the run, whatever step was asked for.
            (What::Threw(failure), _) if failure.terminal => vec![Saying::Failed(failure)],
            (What::Threw(failure) | What::Lost(failure), Target::Function) => self.fail(failure),
            (What::Threw(failure) | What::Lost(failure), Target::Step(hash)) => {
                self.fail_step(hash, failure)
            }
        }
    }

    fn on_found(&mut self, flight: &Flight, ops: Vec<Op>, moment: Moment) -> Vec<Saying> {
        let is_race = |op: &Op| matches!(op, Op::Step(step) if step.parallel == Parallel::Race);
        let goes_on = self.memory.unfinished().next().is_some();
        self.eager = ops.iter().any(is_race) || (self.eager && goes_on);
        self.discovered = Some(flight.knows);
        let mut taken = self.take_all(ops, None, moment);
        if taken.is_over() {
            return taken.sayings;
        }
        let body = moment.published;
        if let Some(failure) = taken.unknown.take() {
            let failure = Failure { body, ..failure };
            taken.sayings.extend(self.fail(failure));
            return taken.sayings;
        }
        if taken.moved {
            self.without_progress = 0;
            return taken.sayings;
        }
        let goes_on = self.memory.unfinished().next().is_some()
            || self.memory.open().next().is_some()
            || self.memory.seen() > flight.knows;
        if taken.again {
            self.again = true;
            self.without_progress += 1;
        }
        if self.without_progress >= limits::CALLS_WITHOUT_PROGRESS || !(goes_on || taken.again) {
            let failure = nowhere();
            self.fail(Failure { body, ..failure })
        } else {
            Vec::new()
        }
    }

    fn on_step_ops(&mut self, hash: StepHash, ops: Vec<Op>, moment: Moment) -> Vec<Saying> {
        let mut taken = self.take_all(ops, Some(hash), moment);
        let still_called = |step: &Step| matches!(step.standing, Standing::Called { .. });
        if !taken.is_over() && self.memory.get(hash).is_some_and(still_called) {
            let failure = taken.unknown.unwrap_or_else(|| without_result(hash));
            let body = moment.published;
            let failure = Failure { body, ..failure };
            taken.sayings.extend(self.fail_step(hash, failure));
        }
        taken.sayings
    }

    /// The function fails: now when that is for good, else when nothing is in flight any more.
    fn fail(&mut self, failure: Failure) -> Vec<Saying> {
        if failure.terminal {
            return vec![Saying::Failed(failure)];
        }
        self.failed = Some(failure);
        Vec::new()
    }

    fn fail_step(&mut self, hash: StepHash, failure: Failure) -> Vec<Saying> {
        let Some(step) = self.memory.get_mut(hash) else {
            return Vec::new();
        };
        let Standing::Called { attempts } = step.standing else {
            return Vec::new();
        };
        step.standing = Standing::Reported {
            attempts,
            by: Reporter::Answer,
        };
        vec![Saying::Step(Report::about(step, News::Failed(failure)))]
    }

    /// The call that may send checkpoints now, if it is that one.
    pub(in crate::worker) fn may_report(&self, id: CallId) -> bool {
        let flight = self.flights.get(&id);
        flight.is_some_and(|flight| flight.target == Target::Function)
    }

    /// A call reports before its answer. The steps whose commits its sender waits for come back with what is to be said.
    pub(in crate::worker) fn on_checkpoint(
        &mut self,
        id: CallId,
        ops: Vec<Op>,
        now: Timestamp,
    ) -> (Vec<Saying>, BTreeSet<StepHash>) {
        let Some(flight) = self.flights.get(&id) else {
            return (Vec::new(), BTreeSet::new());
        };
        let moment = Moment {
            called_at: flight.began_at,
            now,
            pause: None,
            // The call goes on, and says nothing twice.
            published: BodyFate::Stands,
        };
        // What is planned there is planned in the answer as well.
        let counts = |op: &Op| !matches!(op, Op::Step(step) if matches!(step.action, Action::Planned { .. }));
        let ops: Vec<_> = ops.into_iter().filter(counts).collect();
        let hash = |op: &Op| match op {
            Op::Step(step) => Some(step.hash),
            _ => None,
        };
        let named: BTreeSet<_> = ops.iter().filter_map(hash).collect();
        let taken = self.take_all(ops, None, moment);
        for saying in &taken.sayings {
            if let Saying::Step(report) = saying
                && let Some(step) = self.memory.get_mut(StepHash::of_step(&report.key.id))
                && let Standing::Reported { by, .. } = &mut step.standing
            {
                *by = Reporter::Checkpoint;
            }
        }
        let waits = |hash: &StepHash| {
            let step = self.memory.get(*hash);
            step.is_some_and(|step| matches!(step.standing, Standing::Reported { .. }))
        };
        let awaited: BTreeSet<_> = named.into_iter().filter(waits).collect();
        if let Some(flight) = self.flights.get_mut(&id) {
            flight.reported.extend(&awaited);
        }
        (taken.sayings, awaited)
    }

    fn take_all(&mut self, ops: Vec<Op>, asked: Option<StepHash>, moment: Moment) -> Taken {
        let mut taken = Taken::default();
        for op in in_order(ops) {
            match op {
                Op::Step(op) => self.take(op, asked, moment, &mut taken),
                Op::RunComplete { data } => taken.sayings.push(Saying::Returned(data)),
                Op::SyncRunComplete { .. } => {
                    taken.unknown = Some(not_understood("SyncRunComplete"))
                }
                Op::Unknown { opcode } => taken.unknown = Some(not_understood(&opcode)),
                Op::DiscoveryRequest => taken.again = true,
                Op::None => {}
            }
            if taken.is_over() {
                break;
            }
        }
        taken
    }

    /// What has ended, waits, or is under way elsewhere is not taken a second time.
    fn take(&mut self, op: StepOp, asked: Option<StepHash>, moment: Moment, taken: &mut Taken) {
        let hash = op.hash;
        let known = self.memory.get(hash);
        let errand = errand::of(&op.action);
        let attempts = match known.map(|step| step.standing) {
            None => 0,
            // The function was called for something else, and waits for the next attempt of this one as well.
            Some(Standing::Open { at, .. }) if errand.is_some() && at > moment.now => return,
            Some(Standing::Open { attempts, .. }) => attempts,
            Some(Standing::Called { attempts }) if asked == Some(hash) => attempts,
            Some(
                Standing::Called { .. }
                | Standing::Requested { .. }
                | Standing::Reported { .. }
                | Standing::Waiting
                | Standing::Done,
            ) => return,
        };
        let (verb, target) = subject(&op, known);
        let mut step = Step {
            id: step_id(&op, known),
            verb,
            target,
            planned: known.is_some_and(|step| step.planned),
            standing: Standing::Reported {
                attempts,
                by: Reporter::Answer,
            },
        };
        if let Action::Planned { .. } = op.action {
            if asked == Some(hash) {
                return;
            }
            let at = match known.map(|step| step.standing) {
                Some(Standing::Open { at, .. }) => at,
                _ => moment.now,
            };
            taken.moved |= !step.planned;
            step.planned = true;
            step.standing = Standing::Open { attempts, at };
            self.memory.insert(hash, step);
            return;
        }
        taken.moved = true;
        match errand {
            Some(Ok(errand)) => {
                step.standing = Standing::Requested { attempts };
                self.wait_for_errand(hash, errand, attempts, moment.published);
            }
            Some(Err(error)) => {
                let news = News::Ended(Outcome::Err(error));
                taken.sayings.push(Saying::Step(Report::about(&step, news)));
            }
            None => {
                let report = Report::of(op, known, moment);
                taken.sayings.push(Saying::Step(report));
            }
        }
        self.memory.insert(hash, step);
    }
}

/// What came of the ops of one answer.
#[derive(Default)]
struct Taken {
    sayings: Vec<Saying>,
    /// Something is on record, or planned, that was not before.
    moved: bool,
    again: bool,
    unknown: Option<Failure>,
}

impl Taken {
    fn is_over(&self) -> bool {
        matches!(self.sayings.last(), Some(Saying::Returned(_)))
    }
}

fn not_understood(opcode: &str) -> Failure {
    let text = format!(
        "the app answered with `{opcode}`, which this server does not understand; use npm inngest 4.24 or update the server"
    );
    Failure::of(RunError::new(ErrorCode::BadResult, text))
}

fn without_result(hash: StepHash) -> Failure {
    let text = format!("the app was called for step {hash} and answered without its result");
    Failure::of(RunError::new(ErrorCode::BadResult, text))
}

fn nowhere() -> Failure {
    let text = "the app answered with nothing by which the run gets any further: no step that is new, no result, no wait";
    Failure::of(RunError::new(ErrorCode::BadResult, text))
}

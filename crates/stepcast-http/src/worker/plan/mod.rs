//! What is reported and whom to call next: the decisions about one run, from what is remembered of its steps, the calls in flight and what
//! they come to. Pure: no clock, no I/O.
//!
//! A function is called to find out what it does next; steps that it plans are called for one by one, several at once. It is called again
//! after the last of them, or after each when its steps race. Nothing is called before what was reported is committed.
//!
//! [`answers`] says what answers and checkpoints come to, [`updates`] what commits do, [`errands`] what requests do that the server makes
//! itself.

mod answers;
mod errands;
#[cfg(test)]
mod tests;
mod updates;

use std::collections::{BTreeMap, BTreeSet};

use stepcast_engine::{
    runs::{BodyFate, Failure, Retry},
    store::StepRow,
};
use stepcast_protocol::{
    RunId, Timestamp, limits,
    sdk::{Call, Dispatch, Immediate, Json, ProtocolVersion, SdkEvent, StepHash, call::Target},
};

use self::errands::Errands;
use super::{
    errand::Errand,
    memory::{Memory, Standing},
    recollection::Remembered,
    report::Report,
};

/// The decisions about one run, under one lease.
#[derive(Debug)]
pub(super) struct Plan {
    memory: Memory,
    flights: BTreeMap<CallId, Flight>,
    errands: Errands,
    calls: u64,
    version: ProtocolVersion,
    eager: bool,
    discovered: Option<u64>,
    again: bool,
    without_progress: u32,
    body: Attempts,
    /// The function has failed; it will be tried again when nothing is in flight any more.
    failed: Option<Failure>,
    resting: bool,
}

/// How often the function itself has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempts {
    /// Retries it has.
    pub(super) retries: u32,
    /// Failures in all its life.
    pub(super) failures: u32,
    /// Those before its last progress.
    pub(super) forgiven: u32,
}

/// One call of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallId(u64);

#[derive(Debug)]
struct Flight {
    target: Target,
    began_at: Timestamp,
    /// The last result that it knows of.
    knows: u64,
    /// What it has reported before its answer.
    reported: BTreeSet<StepHash>,
    /// No other call of the run has been open while it was.
    alone: bool,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Calling {
    pub(super) id: CallId,
    pub(super) target: Target,
    /// From 0.
    pub(super) attempt: u32,
    pub(super) immediate: Immediate,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// Make a call, and ask again.
    Call(Calling),
    /// Run an errand, and ask again.
    Errand {
        /// The step that has its result.
        step: StepHash,
        /// From 0.
        attempt: u32,
        /// The errand.
        errand: Errand,
    },
    /// Wait for news, at most until a time.
    Wait(Option<Timestamp>),
    /// All that the run waits for is recorded.
    Park {
        /// The last result that was heard of.
        seen: u64,
    },
    /// Give it back although there is something to do.
    Release,
    /// The function failed, and may be tried again.
    Fail(Failure),
}

/// What is to be reported.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Saying {
    /// Of a step.
    Step(Report),
    /// The function returned. Nothing else is said afterwards.
    Returned(Json),
    /// The function failed for good. Nothing else is said afterwards.
    Failed(Failure),
}

impl Saying {
    /// Whether the run ends with it.
    pub(super) fn ends(&self) -> bool {
        matches!(self, Self::Returned(_) | Self::Failed(_))
    }
}

impl Flight {
    /// What becomes of what it has published, when it fails. What another call may have published stands: a message that is lost is worse
    /// than one that is repeated.
    fn published(&self) -> BodyFate {
        if self.alone {
            BodyFate::Falls
        } else {
            BodyFate::Stands
        }
    }
}

enum Due {
    Errand(StepHash),
    Function,
    Step(StepHash),
}

impl Plan {
    pub(super) fn new(rows: &[StepRow], body: Attempts, remembered: Option<Remembered>) -> Self {
        let mut memory = Memory::new(rows);
        let remembered = remembered.unwrap_or(Remembered {
            version: ProtocolVersion::Chosen,
            eager: false,
            discovered: None,
            planned: BTreeSet::new(),
            // The failures of an earlier life may lie before its progress; at least its last try is left.
            forgiven: body.failures.saturating_sub(body.retries),
        });
        for hash in &remembered.planned {
            if let Some(step) = memory.get_mut(*hash) {
                step.planned = true;
            }
        }
        Self {
            memory,
            flights: BTreeMap::new(),
            errands: Errands::default(),
            calls: 0,
            version: remembered.version,
            eager: remembered.eager,
            discovered: remembered.discovered,
            again: false,
            without_progress: 0,
            body: Attempts {
                forgiven: remembered.forgiven.min(body.failures),
                ..body
            },
            failed: None,
            resting: false,
        }
    }

    /// What the next lease is to know. The function is called first, unless the run only waits.
    pub(super) fn remembered(&self, discovered: Option<u64>) -> Remembered {
        let planned = self.memory.unfinished().filter(|(_, step)| step.planned);
        Remembered {
            version: self.version,
            eager: self.eager,
            discovered,
            planned: planned.map(|(hash, _)| hash).collect(),
            forgiven: self.body.forgiven,
        }
    }

    /// The last result that the function was called with.
    pub(super) fn discovered(&self) -> Option<u64> {
        self.discovered
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// How the function's failures are tried again. Those before its last progress do not count.
    pub(super) fn retry(&self, retry: Retry) -> Retry {
        retry.forgiving(self.body.forgiven)
    }

    /// What to do now.
    pub(super) fn next(&mut self, now: Timestamp) -> Next {
        let busy =
            !self.flights.is_empty() || self.errands.is_running() || self.memory.is_reporting();
        if self.failed.is_some() {
            let failed = if busy { None } else { self.failed.take() };
            return failed.map_or(Next::Wait(None), Next::Fail);
        }
        let due = self.due(now);
        let park = Next::Park {
            seen: self.memory.seen(),
        };
        match due {
            _ if self.resting && busy => Next::Wait(None),
            Some(_) if self.resting => Next::Release,
            Some(Due::Errand(step)) => self.set_out(step, now),
            Some(Due::Function) => Next::Call(self.begin(Target::Function, now)),
            Some(Due::Step(step)) => Next::Call(self.begin(Target::Step(step), now)),
            None if !busy => park,
            // What is due already waits for something else than its time.
            None => {
                let times = self.memory.open().map(|(.., at)| at);
                Next::Wait(times.filter(|at| *at > now).min())
            }
        }
    }

    fn due(&self, now: Timestamp) -> Option<Due> {
        if let Some(step) = self.errands.due() {
            return Some(Due::Errand(step));
        }
        let mut open = self.memory.open();
        let planned = open.find(|(_, step, _, at)| step.planned && *at <= now);
        if let Some((hash, ..)) = planned {
            return (self.flights.len() < limits::CALLS_PER_RUN).then_some(Due::Step(hash));
        }
        let is_called = |flight: &Flight| flight.target == Target::Function;
        let waits = self.flights.values().any(is_called) || self.memory.is_reporting();
        (!waits && self.is_function_due(now)).then_some(Due::Function)
    }

    fn is_function_due(&self, now: Timestamp) -> bool {
        let is_news = self.discovered.is_none_or(|seen| self.memory.seen() > seen);
        let is_joined = self.memory.unfinished().next().is_none();
        let after_each =
            self.eager || self.version == ProtocolVersion::One || self.discovered.is_none();
        let mut inline = self.memory.open().filter(|(_, step, ..)| !step.planned);
        let nothing_left = is_joined && self.memory.open().next().is_none();
        self.again
            || nothing_left
            || (is_news && (is_joined || after_each))
            || inline.any(|(.., at)| at <= now)
    }

    fn begin(&mut self, target: Target, now: Timestamp) -> Calling {
        let later = self.memory.open().any(|(.., at)| at > now);
        let (attempt, immediate) = match target {
            Target::Step(hash) => (self.begin_step(hash), Immediate::Planned),
            Target::Function => {
                self.again = false;
                let is_joined = self.memory.unfinished().next().is_none();
                let immediate = if is_joined && !later {
                    Immediate::Allowed
                } else {
                    Immediate::Planned
                };
                (self.attempt(), immediate)
            }
        };
        self.calls += 1;
        let id = CallId(self.calls);
        let alone = self.flights.is_empty();
        self.flights
            .values_mut()
            .for_each(|other| other.alone = false);
        let flight = Flight {
            target,
            began_at: now,
            knows: self.memory.seen(),
            reported: BTreeSet::new(),
            alone,
        };
        self.flights.insert(id, flight);
        Calling {
            id,
            target,
            attempt,
            immediate,
        }
    }

    fn begin_step(&mut self, hash: StepHash) -> u32 {
        let Some(step) = self.memory.get_mut(hash) else {
            return 0;
        };
        let attempts = match step.standing {
            Standing::Open { attempts, .. }
            | Standing::Called { attempts }
            | Standing::Requested { attempts }
            | Standing::Reported { attempts, .. } => attempts,
            Standing::Waiting | Standing::Done => 0,
        };
        step.standing = Standing::Called { attempts };
        attempts
    }

    /// A call that finds the one step that is open is an attempt of that step, any other one of the function.
    fn attempt(&self) -> u32 {
        let mut open = self.memory.open();
        match (open.next(), open.next()) {
            (Some((_, _, attempts, _)), None) => attempts,
            _ => self.body.failures.saturating_sub(self.body.forgiven),
        }
    }

    /// A call, as it is made for this dispatch.
    pub(super) fn call(
        &self,
        run: RunId,
        events: &[SdkEvent],
        calling: &Calling,
        dispatch: Dispatch,
    ) -> Call {
        Call {
            run,
            target: calling.target,
            attempt: calling.attempt,
            max_attempts: self.body.retries.saturating_add(1),
            events: events.to_vec(),
            steps: self.memory.memos().clone(),
            stack: self.memory.stack().to_vec(),
            immediate: calling.immediate,
            dispatch,
            version: self.version,
        }
    }

    /// Nothing begins any more.
    pub(super) fn rest(&mut self) {
        self.resting = true;
    }
}

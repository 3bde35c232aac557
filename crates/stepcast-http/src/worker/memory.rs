//! What is known of the steps of one run: what they came to, in the order of results, and where the others are. Pure.

use std::collections::BTreeMap;

use stepcast_engine::store::{Outcome, StepRow, StepState, Verb};
use stepcast_protocol::{
    ErrorCode, RunError, StepId, Timestamp,
    sdk::{Failure, Json, Memo, Opcode, SdkEvent, StepHash},
};

/// The steps of a run.
#[derive(Debug, Default)]
pub(super) struct Memory {
    steps: BTreeMap<StepHash, Step>,
    memos: BTreeMap<StepHash, Memo>,
    stack: Vec<StepHash>,
    seen: u64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// Its id on record.
    pub(super) id: StepId,
    /// What it does.
    pub(super) verb: Verb,
    /// What it does it to.
    pub(super) target: String,
    /// Whether it runs in a call of its own, rather than in the one that finds it.
    pub(super) planned: bool,
    /// Where it is.
    pub(super) standing: Standing,
}

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may be tried, not before `at`.
    Open {
        /// Attempts that are used up.
        attempts: u32,
        /// Not before.
        at: Timestamp,
    },
    /// A call of its own is under way.
    Called {
        /// Attempts that were used up before.
        attempts: u32,
    },
    /// The server makes its request, or is about to.
    Requested {
        /// Attempts that were used up before.
        attempts: u32,
    },
    /// Something was reported, and its commit is on its way.
    Reported {
        /// Attempts that were used up before.
        attempts: u32,
        /// Who said it.
        by: Reporter,
    },
    /// Its wait is recorded.
    Waiting,
    /// It has ended.
    Done,
}

/// Where a report came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reporter {
    /// The answer to a call.
    Answer,
    /// A checkpoint, whose sender is told when it is refused.
    Checkpoint,
    /// The refusal of an earlier report.
    Refusal,
}

impl Memory {
    /// What the store has, ended steps first.
    pub(super) fn new(rows: &[StepRow]) -> Self {
        let mut memory = Self::default();
        for row in rows {
            let standing = match &row.state {
                StepState::Open { next_at, .. } => Standing::Open {
                    attempts: row.attempts,
                    at: *next_at,
                },
                StepState::Waiting { .. } => Standing::Waiting,
                StepState::Done { .. } => Standing::Done,
            };
            let step = Step {
                id: row.step.clone(),
                verb: row.verb,
                target: row.target.clone(),
                planned: false,
                standing,
            };
            let hash = StepHash::of_step(&row.step);
            memory.steps.insert(hash, step);
            if let StepState::Done { seq, outcome } = &row.state {
                memory.end(hash, *seq, outcome);
            }
        }
        memory
    }

    /// A step has its result.
    pub(super) fn end(&mut self, hash: StepHash, seq: u64, outcome: &Outcome) {
        self.seen = self.seen.max(seq);
        let Some(step) = self.steps.get_mut(&hash) else {
            return;
        };
        step.standing = Standing::Done;
        if !is_lazy(step) {
            self.memos.insert(hash, memo(step.verb, outcome));
            self.stack.push(hash);
        }
    }

    pub(super) fn get(&self, hash: StepHash) -> Option<&Step> {
        self.steps.get(&hash)
    }

    pub(super) fn get_mut(&mut self, hash: StepHash) -> Option<&mut Step> {
        self.steps.get_mut(&hash)
    }

    pub(super) fn insert(&mut self, hash: StepHash, step: Step) {
        self.steps.insert(hash, step);
    }

    /// Nothing is on record of it after all.
    pub(super) fn forget(&mut self, hash: StepHash) {
        self.steps.remove(&hash);
    }

    /// What functions get back, by step.
    pub(super) fn memos(&self) -> &BTreeMap<StepHash, Memo> {
        &self.memos
    }

    /// Its keys in the order of results.
    pub(super) fn stack(&self) -> &[StepHash] {
        &self.stack
    }

    /// The place of the last result; 0 before the first.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Steps that have not ended and are not left to the call that finds them.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = (StepHash, &Step)> {
        let open = |step: &Step| match step.standing {
            Standing::Open { .. } => step.planned,
            Standing::Called { .. }
            | Standing::Requested { .. }
            | Standing::Reported { .. }
            | Standing::Waiting => true,
            Standing::Done => false,
        };
        self.all().filter(move |(_, step)| open(step))
    }

    /// Steps that may be tried: attempts that are used up, and when.
    pub(super) fn open(&self) -> impl Iterator<Item = (StepHash, &Step, u32, Timestamp)> {
        self.all().filter_map(|(hash, step)| match step.standing {
            Standing::Open { attempts, at } => Some((hash, step, attempts, at)),
            Standing::Called { .. }
            | Standing::Requested { .. }
            | Standing::Reported { .. }
            | Standing::Waiting
            | Standing::Done => None,
        })
    }

    /// Whether a commit is on its way.
    pub(super) fn is_reporting(&self) -> bool {
        let reported = |step: &Step| matches!(step.standing, Standing::Reported { .. });
        self.steps.values().any(reported)
    }

    fn all(&self) -> impl Iterator<Item = (StepHash, &Step)> {
        self.steps.iter().map(|(hash, step)| (*hash, step))
    }
}

/// A step that only records that something is not supported. Functions do not wait for it, and would not know its result.
fn is_lazy(step: &Step) -> bool {
    [Opcode::DeferAdd, Opcode::DeferAbort]
        .iter()
        .any(|opcode| step.target == opcode.to_string())
}

fn memo(verb: Verb, outcome: &Outcome) -> Memo {
    match (verb, outcome) {
        (Verb::Invoke, Outcome::Err(error)) if timed_out(error) => {
            Memo::Failed(Failure::invoke_timed_out())
        }
        (_, Outcome::Err(error)) => Memo::Failed(Failure::from(error)),
        (Verb::Sleep, Outcome::Ok(_)) => Memo::Over,
        (Verb::WaitForEvent, Outcome::Ok(json)) => event(json).map_or(Memo::Over, Memo::Event),
        (Verb::WaitForSignal, Outcome::Ok(json)) => signal(json).unwrap_or(Memo::Over),
        (Verb::Run | Verb::Publish | Verb::Invoke | Verb::SendEvent, Outcome::Ok(json)) => {
            Memo::Data(Json::try_from(json).unwrap_or_default())
        }
    }
}

fn timed_out(error: &RunError) -> bool {
    error.code == ErrorCode::TimedOut.as_str()
}

/// The signal that a step waited for; nothing when it waited in vain.
fn signal(json: &[u8]) -> Option<Memo> {
    #[derive(serde::Deserialize)]
    struct Received {
        signal: String,
        data: Json,
    }
    let Received { signal, data } = serde_json::from_slice(json).ok()?;
    Some(Memo::Signal { signal, data })
}

/// The event that a step waited for; nothing when it waited in vain.
fn event(json: &[u8]) -> Option<SdkEvent> {
    #[derive(serde::Deserialize)]
    struct Stored {
        id: String,
        name: stepcast_protocol::EventName,
        data: Json,
        ts: i64,
        #[serde(default = "Json::empty")]
        user: Json,
        v: Option<String>,
    }
    let stored: Stored = serde_json::from_slice(json).ok()?;
    let at = Timestamp::from_millis(stored.ts);
    Some(SdkEvent {
        user: stored.user,
        v: stored.v,
        ..SdkEvent::new(stored.name, stored.data, stored.id, at)
    })
}

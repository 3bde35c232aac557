//! The steps of one execution: what is on record, what is in use, and which results wait for their turn. Pure but for wakers.

use std::{
    collections::{BTreeMap, VecDeque},
    task::Waker,
};

use stepcast_engine::{
    runs::{StepKey, Update, transition::describe},
    store::{Outcome, StepRow, StepState, Verb},
};
use stepcast_protocol::{ErrorCode, RunError, StepId, Timestamp};

use crate::error::Error;

/// A step as its user sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Standing {
    /// Nothing is on record, or an earlier attempt failed: execute it, not before `at`.
    Open {
        /// Attempts that are used up.
        attempts: u32,
        /// When the next may begin.
        at: Option<Timestamp>,
    },
    /// Something was reported and its commit is on its way.
    Reported,
    /// A wait is on record.
    Waiting,
    /// It has ended; its result waits for its turn.
    Ended,
    /// Its result may be taken.
    Delivered(Outcome),
    /// The engine refused the report.
    Refused(RunError),
}

struct Record {
    verb: Verb,
    target: String,
    standing: Standing,
    outcome: Option<Outcome>,
    attempts: u32,
    in_use: bool,
    reached: bool,
    waker: Option<Waker>,
}

/// All steps of an execution.
pub(super) struct Table {
    records: BTreeMap<StepId, Record>,
    /// Ended steps whose results have not been handed out, in the order in which they ended.
    undelivered: VecDeque<StepId>,
    /// The place of the last result that the engine has told of.
    seen: u64,
    /// Results of an earlier execution are being handed out: what is not on record begins after them.
    replaying: bool,
    /// What the function does that takes its time and is not on record; in a replay the next result waits for it.
    held: usize,
    /// Attempts whose code may run.
    executing: usize,
    /// Set when the run is to come to rest: no attempt begins any more.
    resting: bool,
}

impl Table {
    /// From what the store has: ended steps first, in their order.
    pub(super) fn new(rows: &[StepRow]) -> Self {
        let mut table = Self {
            records: BTreeMap::new(),
            undelivered: VecDeque::new(),
            seen: 0,
            replaying: false,
            held: 0,
            executing: 0,
            resting: false,
        };
        for row in rows {
            let (standing, outcome) = match &row.state {
                StepState::Open { next_at, .. } => (
                    Standing::Open {
                        attempts: row.attempts,
                        at: Some(*next_at),
                    },
                    None,
                ),
                StepState::Waiting { .. } => (Standing::Waiting, None),
                StepState::Done { seq, outcome } => {
                    table.seen = table.seen.max(*seq);
                    table.undelivered.push_back(row.step.clone());
                    (Standing::Ended, Some(outcome.clone()))
                }
            };
            let record = Record {
                verb: row.verb,
                target: row.target.clone(),
                standing,
                outcome,
                attempts: row.attempts,
                in_use: false,
                reached: false,
                waker: None,
            };
            table.records.insert(row.step.clone(), record);
        }
        table.replaying = !table.undelivered.is_empty();
        table
    }

    /// Uses a step id, once per execution; what was dropped while it was recorded may be taken up again.
    pub(super) fn claim(&mut self, key: &StepKey) -> Result<(), Error> {
        let Some(record) = self.records.get_mut(&key.id) else {
            let record = Record {
                verb: key.verb,
                target: key.target.clone(),
                standing: Standing::Open {
                    attempts: 0,
                    at: None,
                },
                outcome: None,
                attempts: 0,
                in_use: true,
                reached: true,
                waker: None,
            };
            self.records.insert(key.id.clone(), record);
            return Ok(());
        };
        if record.in_use {
            return Err(reused(&key.id));
        }
        if record.verb != key.verb || record.target != key.target {
            return Err(changed(key, record));
        }
        record.in_use = true;
        record.reached = true;
        Ok(())
    }

    /// How a step stands, once there is something to do about it; `waker` is told when that may be so.
    ///
    /// In a replay nothing begins before the recorded results are handed out: one of them may make the function drop it.
    pub(super) fn standing(&mut self, step: &StepId, waker: &Waker) -> Option<Standing> {
        let replaying = self.replaying;
        let record = self.record(step);
        record.waker = Some(waker.clone());
        match &record.standing {
            Standing::Reported | Standing::Waiting | Standing::Ended => None,
            Standing::Open { .. } if replaying => None,
            standing => Some(standing.clone()),
        }
    }

    /// An attempt begins, unless the run comes to rest. Says which attempt it is.
    pub(super) fn begin_attempt(&mut self, step: &StepId) -> Option<u32> {
        if self.resting {
            return None;
        }
        self.executing += 1;
        let record = self.record(step);
        record.attempts += 1;
        Some(record.attempts)
    }

    /// An attempt's code runs no more. What it came to is reported, or it was dropped.
    pub(super) fn end_attempt(&mut self, step: &StepId, reported: bool) {
        self.executing -= 1;
        if reported {
            self.report(step);
        }
    }

    /// Something about the step is on its way to the store.
    pub(super) fn report(&mut self, step: &StepId) {
        self.record(step).standing = Standing::Reported;
    }

    /// A step's future was dropped before it had its result. The id may be used again: for what is recorded, or from the start.
    pub(super) fn drop_claim(&mut self, step: &StepId) {
        let record = self.record(step);
        record.in_use = false;
        record.waker = None;
    }

    /// An attempt was dropped: nothing of it is memoized.
    pub(super) fn abandon(&mut self, step: &StepId) {
        self.executing -= 1;
        let record = self.record(step);
        record.standing = Standing::Open {
            attempts: record.attempts,
            at: None,
        };
    }

    /// What the engine says about a step.
    pub(super) fn hear(&mut self, update: Update) {
        match update {
            Update::StepDone { step, seq, outcome } => {
                self.seen = self.seen.max(seq);
                let Some(record) = self.records.get_mut(&step) else {
                    return;
                };
                record.outcome = Some(outcome);
                record.set(Standing::Ended);
                self.undelivered.push_back(step);
            }
            Update::StepRetry { step, attempts, at } => {
                self.set(
                    &step,
                    Standing::Open {
                        attempts,
                        at: Some(at),
                    },
                );
            }
            Update::Waiting(step) => {
                // The wait may have ended in the same commit.
                if self
                    .records
                    .get(&step)
                    .is_some_and(|record| record.standing == Standing::Reported)
                {
                    self.set(&step, Standing::Waiting);
                }
            }
            Update::StepRefused { step, error } => self.set(&step, Standing::Refused(error)),
            Update::GiveBack => self.resting = true,
            Update::Over => {}
        }
    }

    /// The function is about something of which nothing is on record. Live, its later steps came after it; so do their results in a replay.
    pub(super) fn hold(&mut self) {
        self.held += 1;
    }

    /// It is done. The function is woken, as what it was about may have been given to a task of its own.
    pub(super) fn release(&mut self) {
        self.held -= 1;
        if self.replaying {
            let wakers = self
                .records
                .values()
                .filter_map(|record| record.waker.as_ref());
            wakers.for_each(Waker::wake_by_ref);
        }
    }

    /// Hands out the next result; after the last of a replay, lets begin what is not on record. Says whether there was anything to do.
    pub(super) fn deliver_next(&mut self) -> bool {
        if self.replaying && self.held > 0 {
            return false;
        }
        let Some(step) = self.undelivered.pop_front() else {
            return self.end_replay();
        };
        let record = self.record(&step);
        let outcome = record
            .outcome
            .clone()
            .expect("a step that has ended has an outcome");
        record.set(Standing::Delivered(outcome));
        true
    }

    fn end_replay(&mut self) -> bool {
        if !std::mem::take(&mut self.replaying) {
            return false;
        }
        for record in self.records.values_mut() {
            if let Standing::Open { .. } = record.standing
                && let Some(waker) = record.waker.take()
            {
                waker.wake();
            }
        }
        true
    }

    /// Whether nothing executes and nothing is on its way.
    pub(super) fn is_at_rest(&self) -> bool {
        let under_way =
            |record: &Record| matches!(record.standing, Standing::Reported | Standing::Ended);
        self.executing == 0 && !self.records.values().any(under_way)
    }

    /// Whether the function waits for something recorded that may take `long`, and for nothing shorter.
    pub(super) fn waits_only(&self, now: Timestamp, long: std::time::Duration) -> bool {
        let mut waits = 0;
        for record in self.records.values().filter(|record| record.in_use) {
            match &record.standing {
                Standing::Delivered(_) => {}
                Standing::Waiting => waits += 1,
                Standing::Open { at: Some(at), .. } if at.since(now) > long => waits += 1,
                Standing::Open { .. }
                | Standing::Reported
                | Standing::Ended
                | Standing::Refused(_) => return false,
            }
        }
        waits > 0
    }

    /// The place of the last result that the engine has told of; 0 before the first.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether the function awaits anything of its context.
    pub(super) fn is_awaited(&self) -> bool {
        self.executing > 0
            || self
                .records
                .values()
                .any(|record| record.in_use && !matches!(record.standing, Standing::Delivered(_)))
    }

    pub(super) fn is_resting(&self) -> bool {
        self.resting
    }

    /// Recorded steps that the function never came to.
    pub(super) fn unreached(&self) -> Vec<StepId> {
        self.records
            .iter()
            .filter(|(_, record)| !record.reached)
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn set(&mut self, step: &StepId, standing: Standing) {
        if let Some(record) = self.records.get_mut(step) {
            record.set(standing);
        }
    }

    fn record(&mut self, step: &StepId) -> &mut Record {
        self.records
            .get_mut(step)
            .expect("a claimed step has a record")
    }
}

impl Record {
    fn set(&mut self, standing: Standing) {
        if let Standing::Open { attempts, .. } = &standing {
            self.attempts = *attempts;
        }
        self.standing = standing;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn reused(step: &StepId) -> Error {
    let text = format!(
        "step `{step}` is used twice in one execution; give each use an id of its own, e.g. `format!(\"{step}-{{i}}\")`"
    );
    Error::coded(ErrorCode::StepReused, text).terminal()
}

fn changed(key: &StepKey, record: &Record) -> Error {
    let (recorded, now) = (
        describe(record.verb, &record.target),
        describe(key.verb, &key.target),
    );
    let text = format!(
        "step `{}` is recorded as {recorded} and came back as {now}; give the new step another id",
        key.id
    );
    Error::coded(ErrorCode::StepChanged, text).terminal()
}

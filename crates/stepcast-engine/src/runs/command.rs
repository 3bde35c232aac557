//! What can happen to a run, and what follows from it. Values only.

use std::{fmt, time::Duration};

use bytes::Bytes;
use stepcast_protocol::{EventId, EventName, RunError, StepId, Timestamp};

use super::{retry::Retry, transition::Verdict};
use crate::store::{EventWait, Outcome, Timer, Verb};

/// Which step a worker speaks of, and what the step does to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepKey {
    /// The step's id.
    pub id: StepId,
    /// What it does.
    pub verb: Verb,
    /// What it does it to; see [`crate::store::StepRow::target`].
    pub target: String,
    /// When its first attempt began, if the worker knows.
    pub began_at: Option<Timestamp>,
}

/// A failure of user code, or of the engine on its behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub error: RunError,
    /// Whether trying again is pointless.
    pub terminal: bool,
    /// How long whoever failed asks to be left alone; else the next try has the pause of its turn.
    pub pause: Option<Duration>,
    /// What becomes of what the body has published since the last commit.
    pub body: BodyFate,
}

/// What becomes of what a body has published since the last commit, when something of its run has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyFate {
    /// It stands when a step has failed, as that goes on in place; it is void when the body runs again.
    #[default]
    Usual,
    /// It stands.
    Stands,
    /// It is void: who failed had published it.
    Falls,
}

impl Failure {
    /// What becomes of the body's messages, when that is the usual.
    pub(super) fn verdict(&self, usual: Verdict) -> Verdict {
        match self.body {
            BodyFate::Usual => usual,
            BodyFate::Stands => Verdict::BodyStands,
            BodyFate::Falls => Verdict::BodyFalls,
        }
    }

    /// The pause before the next try, after so many failures; nothing when there is no next try.
    pub(super) fn pause_after(&self, failures: u32, retry: Retry, chance: f64) -> Option<Duration> {
        if self.terminal {
            return None;
        }
        let pause = retry.pause(failures, chance)?;
        Some(self.pause.unwrap_or(pause))
    }
}

/// What can happen to a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// The scheduler has a place for it.
    Lease,
    /// From the holder of this lease.
    Work(u32, Work),
    /// Something outside that a step waited for has come: the event, the end of the invoked run.
    WaitEnded(StepId, Outcome),
    /// A timer has fired.
    TimerFired(Timer),
    /// It is to end.
    Cancel(CancelReason),
}

/// Why a run is to end before its function does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelReason {
    /// Somebody asked for it.
    Asked,
    /// An event came that its function names.
    Event(EventName, EventId),
    /// It has not begun within the time that its function allows.
    NotBegun(Duration),
    /// It has not ended within the time that its function allows.
    NotEnded(Duration),
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("the run was cancelled"),
            Self::Event(name, id) => write!(f, "the run was cancelled by event `{name}` {id}"),
            Self::NotBegun(limit) => write!(
                f,
                "the run was cancelled, as it had not begun within {limit:?} after its creation"
            ),
            Self::NotEnded(limit) => write!(
                f,
                "the run was cancelled, as it had not ended within {limit:?} after its beginning"
            ),
        }
    }
}

/// What the worker that holds a run reports.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// A step has its result.
    StepEnded(StepKey, Outcome),
    /// An attempt of a step has failed. `chance`, from 0 to 1, is for the pause.
    StepFailed {
        /// The step.
        step: StepKey,
        /// Why.
        failure: Failure,
        /// When it is tried again.
        retry: Retry,
        /// A random number.
        chance: f64,
    },
    /// An attempt of a step was dropped before it ended.
    StepAbandoned(StepKey),
    /// A step waits, until a time or for something that [`Command::WaitEnded`] brings.
    WaitStarted {
        /// The step.
        step: StepKey,
        /// When the wait ends by itself.
        until: Option<Timestamp>,
        /// The event it waits for, if it waits for one.
        event: Option<Box<EventWait>>,
    },
    /// All it awaits is recorded; the lease is given back.
    Parked {
        /// The place of the last result the worker has heard of; 0 before the first.
        seen: u64,
        /// When it decided to.
        decided_at: Timestamp,
    },
    /// The process ends; the lease is given back and nothing counts against the run.
    Released,
    /// The function returned.
    Returned(Bytes),
    /// The function failed.
    Failed {
        /// Why.
        failure: Failure,
        /// When it is tried again.
        retry: Retry,
        /// A random number.
        chance: f64,
    },
}

/// What must happen once a transition is on disk.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Hand the run to the worker, under its new lease.
    Start,
    /// Tell the worker that a step has ended.
    StepDone {
        /// The step.
        step: StepId,
        /// Its place in the order of results.
        seq: u64,
        /// Its result.
        outcome: Outcome,
    },
    /// Tell the worker when a step is tried again.
    StepRetry {
        /// The step.
        step: StepId,
        /// How many attempts are used up.
        attempts: u32,
        /// When.
        at: Timestamp,
    },
    /// Tell the worker that a wait is recorded.
    Waiting(StepId),
    /// Watch for a timer.
    SetTimer(Timer),
    /// A timer is no longer needed.
    ClearTimer(Timer),
    /// Watch for an event.
    StartEventWait(Box<EventWait>),
    /// A step no longer waits for the event of that name.
    EndEventWait(StepId, String),
    /// The worker holds it no longer: it waits in the queue, for its time, or for what it awaits.
    Unheld,
    /// It is queued and due: the scheduler may lease it.
    Ready,
    /// It has ended.
    Ended,
}

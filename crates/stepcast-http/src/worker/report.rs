//! What is to be said of a step, made from what an SDK reports of it. Pure.

use std::time::Duration;

use bytes::Bytes;
use stepcast_engine::{
    runs::{BodyFate, Failure, StepKey},
    store::{Outcome, Verb},
};
use stepcast_protocol::{
    ErrorCode, EventName, FunctionId, RunError, StepId, Timestamp,
    sdk::{Action, Conflict, Json, Opcode, StepHash, StepOp, Timing, Until},
};

use super::{heard, memory::Step};

/// What is to be said of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    /// The step.
    pub(super) key: StepKey,
    /// What became of it.
    pub(super) news: News,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum News {
    /// It has its result.
    Ended(Outcome),
    /// An attempt failed; the last one, if that is terminal.
    Failed(Failure),
    /// It sleeps until a time.
    Sleeps(Timestamp),
    /// It waits for an event.
    Waits {
        /// The event.
        event: EventName,
        /// What must hold of it.
        expression: Option<String>,
        /// When it goes on without.
        until: Timestamp,
    },
    /// It waits for the signal that is its target.
    WaitsForSignal {
        /// What happens when another run waits for it.
        conflict: Conflict,
        /// When it goes on without.
        until: Timestamp,
    },
    /// It calls another function.
    Invokes {
        /// The function.
        function: FunctionId,
        /// What its user calls the step.
        name: String,
        /// What the function is called with.
        data: Json,
        /// When it goes on without.
        until: Timestamp,
    },
}

/// When an op was heard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// When its call began.
    pub(super) called_at: Timestamp,
    /// Now.
    pub(super) now: Timestamp,
    /// How long the SDK wants to be left alone before the next attempt.
    pub(super) pause: Option<Duration>,
    /// What becomes of what the call has published since the last commit, when it reports a failure.
    pub(super) published: BodyFate,
}

impl Report {
    /// What an op says, beside that it is planned.
    pub(super) fn of(op: StepOp, known: Option<&Step>, moment: Moment) -> Self {
        let (verb, target) = subject(&op, known);
        let key = StepKey {
            began_at: op.timing.map(|timing| moment.beginning(timing)),
            ..StepKey::new(step_id(&op, known), verb).with_target(target)
        };
        let news = news(op, moment).unwrap_or_else(|error| News::Ended(Outcome::Err(error)));
        Self { key, news }
    }

    /// A step ends with an error, or an attempt of it does.
    pub(super) fn about(step: &Step, news: News) -> Self {
        let key = StepKey::new(step.id.clone(), step.verb).with_target(step.target.clone());
        Self { key, news }
    }

    /// The same of a step that began then.
    pub(super) fn beginning_at(mut self, at: Timestamp) -> Self {
        self.key.began_at = Some(at);
        self
    }
}

impl Moment {
    /// By our clock: how long it took is what the SDK's clock is good for.
    fn beginning(self, timing: Timing) -> Timestamp {
        let took = i64::try_from(timing.took.as_millis()).unwrap_or(i64::MAX);
        let began = Timestamp::from_millis(self.now.as_millis().saturating_sub(took));
        began.max(self.called_at)
    }
}

/// The id under which a step is recorded. Names of the engine's own are not for users.
pub(super) fn step_id(op: &StepOp, known: Option<&Step>) -> StepId {
    match known {
        Some(step) => step.id.clone(),
        None if op.step.is_reserved() => op.hash.step_id([]),
        None => op.step.clone(),
    }
}

/// What a step does to what. One that runs code stays what it was when it was found: its SDK may say less of an attempt that fails.
pub(super) fn subject(op: &StepOp, known: Option<&Step>) -> (Verb, String) {
    let runs_code = |verb| matches!(verb, Verb::Run | Verb::Publish | Verb::SendEvent);
    let opcode = op.action.opcode();
    match &op.action {
        Action::Planned { .. } | Action::Ran { .. } | Action::Failed { .. } => match known {
            Some(step) if runs_code(step.verb) => (step.verb, step.target.clone()),
            Some(_) | None => (flavour(op), String::new()),
        },
        Action::Sleep { .. } => (Verb::Sleep, String::new()),
        Action::WaitForEvent { event, .. } => (Verb::WaitForEvent, event.clone()),
        Action::Invoke { function, .. } => (Verb::Invoke, function.clone()),
        Action::WaitForSignal { signal, .. } => (Verb::WaitForSignal, signal.clone()),
        Action::Gateway { .. }
        | Action::AiGateway { .. }
        | Action::DeferAdd { .. }
        | Action::DeferAbort { .. } => (Verb::Run, opcode.to_string()),
    }
}

fn flavour(op: &StepOp) -> Verb {
    match op.flavour.as_deref() {
        Some("step.sendEvent") => Verb::SendEvent,
        Some("step.realtime.publish") => Verb::Publish,
        Some(_) | None => Verb::Run,
    }
}

fn news(op: StepOp, moment: Moment) -> Result<News, RunError> {
    let opcode = op.action.opcode();
    let due = |until: Until| until.due(moment.now).map_err(bad_request);
    Ok(match op.action {
        Action::Ran { data } => News::Ended(Outcome::Ok(Bytes::from(data))),
        Action::Failed { failure, verdict } => {
            let body = moment.published;
            News::Failed(Failure {
                body,
                ..heard::thrown(&failure, verdict, moment.pause)
            })
        }
        Action::Sleep { until } => News::Sleeps(due(until)?),
        Action::WaitForEvent {
            event,
            expression,
            timeout,
        } => News::Waits {
            event: EventName::parse(event).map_err(bad_request)?,
            expression,
            until: due(timeout)?,
        },
        Action::Invoke {
            function,
            data,
            timeout,
        } => News::Invokes {
            function: FunctionId::parse(function).map_err(bad_request)?,
            name: op.display_name.unwrap_or_else(|| op.step.to_string()),
            data,
            until: due(timeout)?,
        },
        Action::WaitForSignal {
            conflict, timeout, ..
        } => News::WaitsForSignal {
            conflict,
            until: due(timeout)?,
        },
        // A planned step is called for, and an errand is run; a report about either never gets here.
        Action::Planned { .. }
        | Action::Gateway { .. }
        | Action::AiGateway { .. }
        | Action::DeferAdd { .. }
        | Action::DeferAbort { .. } => return Err(unsupported(opcode, op.hash)),
    })
}

fn bad_request(error: impl ToString) -> RunError {
    RunError::new(ErrorCode::BadRequest, error)
}

fn unsupported(opcode: Opcode, step: StepHash) -> RunError {
    let text = format!("`{opcode}` (step {step}) is not supported by this server; do without it");
    RunError::new(ErrorCode::BadRequest, text)
}

//! Why a command changes nothing.

use stepcast_protocol::{ErrorCode, RunId, StepId, limits};

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The run has ended.
    #[error("run {0} has ended")]
    RunEnded(RunId),
    /// Another lease holds the run, or none.
    #[error("run {run} is no longer held by lease {lease}; another execution of it has taken over")]
    LeaseLost {
        /// The run.
        run: RunId,
        /// The lease that is over.
        lease: u32,
    },
    /// The command came too late or twice: what it speaks of is not so any more.
    #[error("nothing to do: {0}")]
    Stale(&'static str),
    /// A recorded step came back as something else.
    #[error(
        "step `{step}` is recorded as {recorded} and came back as {now}; give the new step another id"
    )]
    StepChanged {
        /// The step.
        step: StepId,
        /// Verb and target on record.
        recorded: String,
        /// Verb and target now.
        now: String,
    },
    /// Too many steps.
    #[error(
        "step `{step}` would be one more than the {} steps a run may have",
        limits::STEPS_PER_RUN
    )]
    TooManySteps {
        /// The step.
        step: StepId,
    },
    /// Results that are too large.
    #[error(
        "the result of step `{step}` has {bytes} bytes, {what} may have {limit}; keep large values elsewhere and return a reference"
    )]
    ResultTooLarge {
        /// The step.
        step: StepId,
        /// Its size.
        bytes: usize,
        /// One step or all of a run.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
}

impl Refused {
    /// The code this has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::RunEnded(_) => ErrorCode::RunEnded,
            Self::LeaseLost { .. } => ErrorCode::LeaseLost,
            Self::Stale(_) => ErrorCode::AttemptOver,
            Self::StepChanged { .. } => ErrorCode::StepChanged,
            Self::TooManySteps { .. } => ErrorCode::TooManySteps,
            Self::ResultTooLarge { .. } => ErrorCode::TooLarge,
        }
    }
}

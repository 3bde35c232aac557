//! What the answer to a call came to, whatever it was. Pure.

use std::time::Duration;

use stepcast_engine::runs::{BodyFate, Failure};
use stepcast_protocol::{
    ErrorCode, RunError, Timestamp,
    sdk::{
        Answer, Failure as Thrown, Json, Op, Outcome, ProtocolVersion, Response, ResponseError,
        Verdict,
    },
};

use super::served::Answered;

/// What a call came to.
#[derive(Debug)]
pub(super) struct Heard {
    /// What happened.
    pub(super) what: What,
    /// How long the SDK wants to be left alone before the next attempt.
    pub(super) pause: Option<Duration>,
    /// The version in which the run goes on.
    pub(super) version: Option<ProtocolVersion>,
}

/// What happened.
#[derive(Debug)]
pub(super) enum What {
    /// The function returned.
    Returned(Json),
    /// The function got somewhere.
    Ops(Vec<Op>),
    /// The function failed.
    Threw(Failure),
    /// There was no answer, or one that means nothing.
    Lost(Failure),
}

impl What {
    /// Whether nobody has heard of its end.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// Whether the call has come to nothing.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self, Self::Threw(_) | Self::Lost(_))
    }

    /// The same, with what becomes of what the call has published if it failed.
    pub(super) fn with_published(self, body: BodyFate) -> Self {
        match self {
            Self::Returned(_) | Self::Ops(_) => self,
            Self::Threw(failure) => Self::Threw(Failure { body, ..failure }),
            Self::Lost(failure) => Self::Lost(Failure { body, ..failure }),
        }
    }
}

impl Heard {
    pub(super) fn read(result: Result<Answered, Failure>, now: Timestamp) -> Self {
        match result {
            Ok(answered) => Self::answer(&answered, now),
            Err(failure) => Self::lost(failure),
        }
    }

    /// There is no answer.
    pub(super) fn lost(failure: Failure) -> Self {
        Self {
            what: What::Lost(failure),
            pause: None,
            version: None,
        }
    }

    fn answer(answered: &Answered, now: Timestamp) -> Self {
        let header = |name: &str| {
            let value = answered.headers.get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let response = Response::read(&Answer {
            status: answered.status,
            header: &header,
            body: &answered.body,
        });
        let pause = response.retry_after.map(|after| after.wait(now));
        let what = match response.outcome {
            Ok(Outcome::Finished { data }) => What::Returned(data),
            Ok(Outcome::Ops(ops)) => What::Ops(ops),
            Ok(Outcome::Failed { failure, verdict }) => {
                What::Threw(thrown(&failure, verdict, pause))
            }
            Err(error) => What::Lost(Failure {
                terminal: !may_be_tried_again(&error),
                pause,
                ..Failure::of(RunError::new(code(&error), error))
            }),
        };
        Self {
            what,
            pause,
            version: response.version,
        }
    }
}

/// What an SDK's error means for the run or the step that threw it.
pub(super) fn thrown(failure: &Thrown, verdict: Verdict, pause: Option<Duration>) -> Failure {
    Failure {
        terminal: verdict == Verdict::Final,
        pause,
        ..Failure::of(RunError::from(failure))
    }
}

/// An answer that is too large may come from a proxy, or from code that is being mended.
fn may_be_tried_again(error: &ResponseError) -> bool {
    matches!(error, ResponseError::TooLarge) || error.is_retryable()
}

fn code(error: &ResponseError) -> ErrorCode {
    match error {
        ResponseError::NotAnSdk { .. }
        | ResponseError::Status { .. }
        | ResponseError::Stream { .. } => ErrorCode::Unreachable,
        ResponseError::Unauthorized => ErrorCode::Forbidden,
        ResponseError::TooLarge => ErrorCode::TooLarge,
        ResponseError::Result(_) | ResponseError::Ops(_) => ErrorCode::BadResult,
    }
}

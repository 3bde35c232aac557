//! What an SDK's answer to a call means.

mod stream;

use std::borrow::Cow;

use crate::{
    limits,
    sdk::{
        failure::{Failure, Verdict},
        headers,
        json::{Json, JsonError},
        op::{Op, OpError, read_ops},
        retry_after::RetryAfter,
        version::ProtocolVersion,
    },
};

/// An answer as it came. `header` gives the value of a header by its lower-case name.
#[expect(missing_debug_implementations, reason = "it borrows a closure")]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// Gives the value of a header.
    pub header: &'a dyn Fn(&str) -> Option<String>,
    /// The body, which the caller has to cut one byte after [`limits::ANSWER_FROM_SDK_BYTES`] at the latest.
    pub body: &'a [u8],
}

/// What an answer means.
#[derive(Debug)]
pub struct Response {
    /// What became of the call.
    pub outcome: Result<Outcome, ResponseError>,
    /// When the SDK wants its next attempt, if it says so.
    pub retry_after: Option<RetryAfter>,
    /// The version in which the run goes on, if the SDK says so.
    pub version: Option<ProtocolVersion>,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The function returned.
    Finished {
        /// What it returned.
        data: Json,
    },
    /// The function got somewhere.
    Ops(Vec<Op>),
    /// The function failed.
    Failed {
        /// What it threw.
        failure: Failure,
        /// Whether it may be called again.
        verdict: Verdict,
    },
}

/// Why an answer means nothing.
#[derive(Debug, thiserror::Error)]
pub enum ResponseError {
    /// Something else than an SDK answered.
    #[error(
        "status {status} did not come from an SDK, but from a proxy or another server: `{start}`; check the app's URL"
    )]
    NotAnSdk {
        /// The status.
        status: u16,
        /// How the body begins.
        start: String,
    },
    /// The SDK does not accept our signature.
    #[error(
        "the app did not accept the signature of the call; give app and server the same signing key"
    )]
    Unauthorized,
    /// Too many bytes.
    #[error(
        "the answer has more than {} bytes; let steps and functions return less",
        limits::ANSWER_FROM_SDK_BYTES
    )]
    TooLarge,
    /// A status that no SDK answers a call with.
    #[error("status {status} is none that an SDK answers a call with: `{start}`")]
    Status {
        /// The status.
        status: u16,
        /// How the body begins.
        start: String,
    },
    /// The function returned something that is not JSON.
    #[error("the function's result cannot be read: {0}")]
    Result(#[from] JsonError),
    /// Ops that cannot be read.
    #[error(transparent)]
    Ops(#[from] OpError),
    /// A stream that ended before the answer was in it.
    #[error(
        "the stream ended after {bytes} bytes without the answer; the app's host may limit how long it may run"
    )]
    Stream {
        /// How much came.
        bytes: usize,
    },
}

impl ResponseError {
    /// Whether the same call may be answered later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotAnSdk { .. }
            | Self::Unauthorized
            | Self::Status { .. }
            | Self::Result(_)
            | Self::Stream { .. } => true,
            Self::TooLarge => false,
            Self::Ops(error) => error.is_retryable(),
        }
    }
}

impl Response {
    /// Reads an answer.
    #[must_use]
    pub fn read(answer: &Answer<'_>) -> Self {
        if answer.body.len() > limits::ANSWER_FROM_SDK_BYTES {
            return Self::nothing(ResponseError::TooLarge);
        }
        if answer.status == 201 && answer.is_from_an_sdk() {
            return match stream::unwrap(answer) {
                Ok(inner) => Self::of(&inner.as_answer(&|name| inner.header(name, answer))),
                Err(error) => Self::nothing(error),
            };
        }
        Self::of(answer)
    }

    fn of(answer: &Answer<'_>) -> Self {
        let header = |name: &str| (answer.header)(name);
        Self {
            outcome: answer.outcome(),
            retry_after: header(headers::RETRY_AFTER).and_then(|text| RetryAfter::parse(&text)),
            version: header(headers::REQUEST_VERSION)
                .and_then(|text| ProtocolVersion::parse(&text)),
        }
    }

    fn nothing(error: ResponseError) -> Self {
        Self {
            outcome: Err(error),
            retry_after: None,
            version: None,
        }
    }
}

impl Answer<'_> {
    fn outcome(&self) -> Result<Outcome, ResponseError> {
        match self.status {
            401 if self.is_handled() => Err(ResponseError::Unauthorized),
            status if !self.is_from_an_sdk() => Err(ResponseError::NotAnSdk {
                status,
                start: self.start(),
            }),
            206 => Ok(Outcome::Ops(read_ops(self.body)?)),
            200 if self.verdict() == Verdict::TryAgain => Ok(Outcome::Finished {
                data: self.result()?,
            }),
            200 | 400..=404 | 406..=599 => Ok(Outcome::Failed {
                failure: Failure::read(self.body),
                verdict: self.verdict(),
            }),
            status => Err(ResponseError::Status {
                status,
                start: self.start(),
            }),
        }
    }

    /// A body of no bytes means `null`.
    fn result(&self) -> Result<Json, JsonError> {
        if self.body.trim_ascii().is_empty() {
            Ok(Json::default())
        } else {
            Json::parse(self.body)
        }
    }

    /// What the SDK forbids decides alone; the status does not matter.
    fn verdict(&self) -> Verdict {
        match (self.header)(headers::NO_RETRY) {
            Some(text) if text.trim().eq_ignore_ascii_case("true") => Verdict::Final,
            Some(_) | None => Verdict::TryAgain,
        }
    }

    fn is_from_an_sdk(&self) -> bool {
        (self.header)(headers::SDK).is_some()
    }

    /// An SDK that does not trust us keeps its name back.
    fn is_handled(&self) -> bool {
        self.is_from_an_sdk() || (self.header)(headers::SDK_HANDLED).is_some()
    }

    fn start(&self) -> String {
        let start = &self.body[..self.body.len().min(400)];
        let text: Cow<'_, str> = String::from_utf8_lossy(start);
        text.trim().chars().take(100).collect()
    }
}

#[cfg(test)]
mod tests;

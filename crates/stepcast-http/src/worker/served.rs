//! What the worker needs of others: which functions apps serve, and somebody who calls them.

use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use stepcast_protocol::{ErrorCode, FunctionId, limits, sdk::config::StepUrl};

use super::errand::{Brought, Errand, ErrandError};

/// Knows the functions that apps serve.
///
/// A function must be known here before the engine is told of it, as its runs may begin at once.
pub trait Served: Send + Sync + 'static {
    /// How a function is called; nothing when no app serves it.
    fn function(&self, id: &FunctionId) -> Option<ServedFunction>;
}

/// How a function is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedFunction {
    /// Where.
    pub url: StepUrl,
    /// The UUID by which SDKs know it: the same for the same function id, always.
    pub function: String,
    /// Attempts after the first one, of the function and of each of its steps.
    pub retries: u32,
}

/// Makes requests to apps, and to others on behalf of their functions: signs the former, sends them, and gives up in time.
pub trait Caller: Send + Sync + 'static {
    /// Sends a request and reads the answer. Dropping the future ends the request.
    fn call(&self, request: CallRequest) -> BoxFuture<'static, Result<Answered, CallError>>;

    /// Makes a request that this function has the server make. Dropping the future ends the request.
    fn run(
        &self,
        function: &FunctionId,
        errand: Errand,
    ) -> BoxFuture<'static, Result<Brought, ErrandError>>;
}

/// A `POST` to an app, but for its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRequest {
    /// Where.
    pub url: String,
    /// Names are lower-case.
    pub headers: Vec<(&'static str, String)>,
    /// Canonical JSON, which can be signed as it is.
    pub body: Bytes,
}

/// What an app answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer. Each may be different at the next attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody listens there, or the name is not known.
    #[error("the app at {url} cannot be reached: {cause}; start it, or correct its URL")]
    Unreachable {
        /// The URL.
        url: String,
        /// What the system says.
        cause: String,
    },
    /// It took too long.
    #[error(
        "the app at {url} took longer than {limit:?} to {phase}; make its steps shorter or raise the limit"
    )]
    TimedOut {
        /// The URL.
        url: String,
        /// What took too long: `connect`, `answer`, `end its answer`.
        phase: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// The connection ended before the answer did.
    #[error("the connection to the app at {url} broke: {cause}")]
    Broken {
        /// The URL.
        url: String,
        /// What the system says.
        cause: String,
    },
    /// Too many bytes.
    #[error(
        "the app at {url} answered with more than {} bytes; let steps and functions return less",
        limits::ANSWER_FROM_SDK_BYTES
    )]
    TooLarge {
        /// The URL.
        url: String,
    },
    /// It sends its callers elsewhere.
    #[error(
        "the app at {url} redirects to {location} (status {status}), which is not followed; register it with that URL"
    )]
    Redirected {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
        /// Where to.
        location: String,
    },
    /// An answer that the app has not signed.
    #[error("the answer of the app at {url} cannot be trusted: {cause}")]
    Untrusted {
        /// The URL.
        url: String,
        /// What is wrong with its signature.
        cause: String,
    },
    /// A URL that is not called.
    #[error("{url} is not called: {cause}")]
    Forbidden {
        /// The URL.
        url: String,
        /// Why not.
        cause: String,
    },
}

impl CallError {
    /// The code this has on the run or the step.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Redirected { .. } => {
                ErrorCode::Unreachable
            }
            Self::TimedOut { .. } => ErrorCode::TimedOut,
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::Untrusted { .. } => ErrorCode::BadToken,
            Self::Forbidden { .. } => ErrorCode::Forbidden,
        }
    }
}

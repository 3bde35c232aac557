//! Errands: HTTP requests that a function has the server make, so that nothing of the app is held while they go on. Pure.
//!
//! - `asked`: what an op asks for; `redirect`: where an answer sends it.
//! - `brought`: what the answer comes to, as the result of the step.
//!
//! An errand is an attempt of a step. It is never stored, as it holds its user's keys: after a failure or a restart the function is called
//! and asks for it anew.

mod asked;
mod brought;
mod redirect;

use std::{fmt, time::Duration};

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use stepcast_protocol::{ErrorCode, RunError, limits};

use self::brought::Purpose;
pub use self::{asked::of, brought::Brought};

/// A request that a function has the server make.
#[derive(Clone, PartialEq, Eq)]
pub struct Errand {
    /// What its answer is for.
    purpose: Purpose,
    pub(super) method: Method,
    /// An absolute http or https URL without a fragment.
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Its headers, its query and its body are secrets of its user.
impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errand")
            .field("method", &self.method)
            .field("url", &shown(&self.url))
            .finish_non_exhaustive()
    }
}

/// Why an errand has brought nothing. URLs are shown without their queries, which may hold keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrandError {
    /// Nobody listens there, or the name is not known.
    #[error("{url} cannot be reached: {cause}")]
    Unreachable {
        /// The URL.
        url: String,
        /// What the system says.
        cause: String,
    },
    /// It took too long.
    #[error(
        "{url} took longer than {limit:?}, the wait for its turn included; ask for less at once"
    )]
    TimedOut {
        /// The URL.
        url: String,
        /// How long everything may take.
        limit: Duration,
    },
    /// It was given up while it waited for what other errands had.
    #[error("{url} was given up after {limit:?}, while it waited for {awaited}")]
    Crowded {
        /// The URL.
        url: String,
        /// How long everything may take.
        limit: Duration,
        /// What it waited for.
        awaited: Awaited,
    },
    /// The connection ended before the answer did.
    #[error("the connection to {url} broke: {cause}")]
    Broken {
        /// The URL.
        url: String,
        /// What the system says.
        cause: String,
    },
    /// Too many bytes for the result of a step.
    #[error(
        "{url} answered with more than {} bytes; fetch it inside `step.run`, and return where you have put it",
        limits::MEMO_BYTES
    )]
    TooLarge {
        /// The URL.
        url: String,
    },
    /// A redirect that is not followed.
    #[error("{url} redirects to {location}, which is not followed: {cause}")]
    Redirect {
        /// The URL.
        url: String,
        /// Where to.
        location: String,
        /// Why not.
        cause: String,
    },
    /// A place that is not called.
    #[error("{url} is not called: {cause}")]
    Forbidden {
        /// The URL.
        url: String,
        /// Why not.
        cause: String,
    },
}

/// What errands have only so much of together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// A place among those of its function.
    PlaceOfFunction,
    /// A place among those of all functions.
    PlaceOfAll,
    /// Room for its answer.
    Room,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlaceOfFunction => write!(
                f,
                "its turn, as at most {} requests of one function are made at once; limit the function's `concurrency`, or make the request \
                 inside `step.run`",
                limits::ERRANDS_PER_FUNCTION
            ),
            Self::PlaceOfAll => write!(
                f,
                "its turn, as at most {} requests of all functions are made at once; limit the `concurrency` of functions, or make the \
                 request inside `step.run`",
                limits::ERRANDS
            ),
            Self::Room => write!(
                f,
                "room, as at most {} bytes of all answers are held at once; ask for less at once, or make the request inside `step.run`",
                limits::ERRAND_ANSWERS_BYTES
            ),
        }
    }
}

impl ErrandError {
    /// The code this has on the step.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Redirect { .. } => {
                ErrorCode::Unreachable
            }
            Self::TimedOut { .. } | Self::Crowded { .. } => ErrorCode::TimedOut,
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::Forbidden { .. } => ErrorCode::Forbidden,
        }
    }

    /// Whether it may be different at the next attempt.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Crowded { .. }
            | Self::Broken { .. } => true,
            Self::TooLarge { .. } | Self::Redirect { .. } | Self::Forbidden { .. } => false,
        }
    }
}

/// An errand that cannot be run, whoever would run it.
fn wrong(sentence: impl ToString) -> RunError {
    RunError::new(ErrorCode::BadRequest, sentence)
}

/// A URL as it may be shown: without what may be secret, its query, a user and a password.
pub(super) fn shown(url: &str) -> String {
    const CHARS: usize = 200;
    let public = url.split(['?', '#']).next().unwrap_or_default();
    let host_at = public.find("//").map_or(0, |slashes| slashes + 2);
    let (scheme, rest) = public.split_at(host_at);
    let path_at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{host}{path}")
        .chars()
        .take(CHARS)
        .collect()
}

#[cfg(test)]
mod tests;

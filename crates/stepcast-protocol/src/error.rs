//! Every refusal has one code. The code owns its HTTP status and says whether trying again can help.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $retry:ident;)*) => {
        /// What went wrong, as a stable name. Clients match on this, never on a sentence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name on the wire and in TypeScript.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status it is answered with.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// Whether the same request may succeed later.
            #[must_use]
            pub fn is_retryable(self) -> bool {
                match self { $(Self::$name => codes!(@retry $retry),)* }
            }
        }
    };
    (@retry later) => { true };
    (@retry never) => { false };
}

codes! {
    /// The request cannot be read.
    BadRequest = "bad_request", 400, never;
    /// The body is not the JSON that was expected.
    BadJson = "bad_json", 400, never;
    /// An event's name, data, id or time is not allowed.
    BadEvent = "bad_event", 400, never;
    /// A channel's name or a parameter in it is not allowed.
    BadChannel = "bad_channel", 400, never;
    /// A topic's name is not allowed, or the channel declares no such topic.
    BadTopic = "bad_topic", 400, never;
    /// A cursor is malformed, of another channel or of the future.
    BadCursor = "bad_cursor", 400, never;
    /// The token is missing, malformed, expired or signed by somebody else.
    BadToken = "bad_token", 401, never;
    /// The token is good and does not allow this.
    Forbidden = "forbidden", 403, never;
    /// An operator route was called from another host or origin in dev mode.
    ForeignOrigin = "foreign_origin", 403, never;
    /// There is no such run.
    UnknownRun = "unknown_run", 404, never;
    /// There is no such function.
    UnknownFunction = "unknown_function", 404, never;
    /// There is no such route.
    NotFound = "not_found", 404, never;
    /// The run has ended; it cannot change any more.
    RunEnded = "run_ended", 409, never;
    /// The run was cancelled.
    RunCancelled = "run_cancelled", 409, never;
    /// Another life of this run has taken over; this one cannot write any more.
    LeaseLost = "lease_lost", 409, never;
    /// The attempt this belongs to is over.
    AttemptOver = "attempt_over", 409, never;
    /// Another step waits for the signal already.
    SignalTaken = "signal_taken", 409, never;
    /// A reader that wants messages only has lost some.
    Gap = "gap", 409, never;
    /// A reader that wants messages only has been given some that are void now.
    RolledBack = "rolled_back", 409, never;
    /// A page was built against another schema of a topic than the server has now.
    OutdatedClient = "outdated_client", 409, never;
    /// A payload, event or result has too many bytes.
    TooLarge = "too_large", 413, never;
    /// A payload does not fit the topic's schema.
    SchemaViolation = "schema_violation", 422, never;
    /// A step id was used twice in one execution.
    StepReused = "step_reused", 422, never;
    /// A recorded step id came back with another verb, channel or topic.
    StepChanged = "step_changed", 422, never;
    /// A step was used inside another step.
    StepNested = "step_nested", 422, never;
    /// A run has more steps than it may have.
    TooManySteps = "too_many_steps", 422, never;
    /// A run's body has published more messages outside its steps than it may.
    TooManyBodyPublishes = "too_many_body_publishes", 422, never;
    /// A step's or a run's result could not be turned into JSON or back.
    BadResult = "bad_result", 422, never;
    /// User code failed.
    FunctionFailed = "function_failed", 422, never;
    /// User code panicked.
    Panicked = "panicked", 422, never;
    /// An attempt took longer than it may.
    TimedOut = "timed_out", 422, never;
    /// The process died several times in a row without the run getting any further.
    CrashedRepeatedly = "crashed_repeatedly", 422, never;
    /// Too much waits to be written.
    Overloaded = "overloaded", 429, later;
    /// Too many connections from one address, or too many subscriptions on one connection.
    TooMany = "too_many", 429, later;
    /// A bug of ours, or a disk that fails.
    Internal = "internal", 500, never;
    /// Other servers of this protocol can do it, this one does not.
    NotSupported = "not_supported", 501, never;
    /// It may or may not have been committed: the disk failed in the middle, or the connection to the server broke.
    OutcomeUnknown = "outcome_unknown", 500, later;
    /// The process is shutting down.
    Closing = "closing", 503, later;
    /// The server takes no writes at the moment.
    NotReady = "not_ready", 503, later;
    /// A client cannot reach the server; nothing has happened.
    Unreachable = "unreachable", 503, later;
    /// Another process owns the file.
    InUse = "in_use", 503, later;
    /// The file is not a Stepcast database.
    ForeignFile = "foreign_file", 500, never;
    /// The file was written by a newer Stepcast.
    NewerFile = "newer_file", 500, never;
    /// The disk is full, or nearly so.
    NoSpace = "no_space", 507, later;
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ErrorCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

/// A code that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error code `{0}` is unknown to this version")]
pub struct UnknownCode(String);

/// The JSON body of every error answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The code's name.
    pub code: String,
    /// A sentence for people: the value, the limit and the next step.
    pub error: String,
    /// What a program may want to know beside the code, e.g. `{"pointer": "/age"}`.
    pub data: serde_json::Value,
    /// The HTTP status again.
    pub status: u16,
}

impl ErrorBody {
    /// The body for a code and a sentence.
    #[must_use]
    pub fn new(code: ErrorCode, error: impl ToString) -> Self {
        Self {
            code: code.as_str().to_owned(),
            error: error.to_string(),
            data: serde_json::Value::Null,
            status: code.status(),
        }
    }

    /// The same with data for programs.
    #[must_use]
    pub fn with_data(self, data: serde_json::Value) -> Self {
        Self { data, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!((400..600).contains(&code.status()));
        }
        assert!("nonsense".parse::<ErrorCode>().is_err());
    }
}

//! What the engine refuses, and why.

use serde_json::{Value, json};
use stepcast_protocol::{
    ErrorCode, FunctionId, NameError, RunId, StepId, TopicName, event::EventError, limits,
    template::ParameterError,
};

use crate::{
    hub::{PublishError, ReadError},
    runs::{CommandError, Refused},
    store::{CommitError, StoreError},
};

/// Why the engine did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A channel's parameter is not allowed.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// An event is not allowed.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Too many events at once.
    #[error(
        "{count} events were sent at once, at most {} are allowed; send them in parts",
        limits::EVENTS_PER_REQUEST
    )]
    TooManyEvents {
        /// How many.
        count: usize,
    },
    /// A seed for event ids that cannot be read.
    #[error("event id seed `{0}` is not of the form <milliseconds>,<base64 of 10 bytes>")]
    BadSeed(String),
    /// A payload with too many bytes.
    #[error(
        "payload for topic `{topic}` has {bytes} bytes, at most {} are allowed; publish a reference instead",
        limits::MESSAGE_BYTES
    )]
    PayloadTooLarge {
        /// The topic.
        topic: TopicName,
        /// Its size.
        bytes: usize,
    },
    /// A payload that is not JSON.
    #[error("payload for topic `{topic}` is not JSON: {cause}")]
    PayloadNotJson {
        /// The topic.
        topic: TopicName,
        /// What the parser said.
        cause: String,
    },
    /// A topic of the engine's own.
    #[error("topic `{0}` starts with `$`; such topics are written by the engine alone")]
    ReservedTopic(TopicName),
    /// A topic that the channel does not declare.
    #[error("channel `{channel}` declares no topic `{topic}`; it has {declared}")]
    UnknownTopic {
        /// The channel.
        channel: String,
        /// The topic.
        topic: TopicName,
        /// Those it has.
        declared: String,
    },
    /// A payload that does not fit the topic's schema.
    #[error("payload for topic `{topic}` does not fit its schema at `{pointer}`: {problem}")]
    SchemaViolation {
        /// The topic.
        topic: TopicName,
        /// Where, as a JSON pointer; empty for the whole payload.
        pointer: String,
        /// What is wrong there.
        problem: String,
    },
    /// A schema that cannot be compiled.
    #[error("the schema of topic `{topic}` of channel `{channel}` cannot be used: {cause}")]
    BadSchema {
        /// The channel's template.
        channel: String,
        /// The topic.
        topic: TopicName,
        /// Why.
        cause: String,
    },
    /// Two channels of one app that can have the same name.
    #[error("channels `{0}` and `{1}` can have the same name; give one another prefix")]
    ChannelsOverlap(String, String),
    /// Two functions of one id.
    #[error("two functions have the id `{0}`; give one another id")]
    FunctionTwice(FunctionId),
    /// No such function.
    #[error("this program has no function `{0}`")]
    UnknownFunction(FunctionId),
    /// A run that cannot be run again, as its function is gone.
    #[error(
        "run {run} cannot be run again: its function `{function}` is not known any more; start the app that has it"
    )]
    FunctionGone {
        /// The run.
        run: RunId,
        /// Its function.
        function: FunctionId,
    },
    /// A signal's name that is not allowed.
    #[error("signal cannot be named so: {0}")]
    BadSignal(NameError),
    /// A signal's data that is not JSON.
    #[error("data of a signal is not JSON: {0}")]
    SignalNotJson(String),
    /// A signal that another step waits for.
    #[error(
        "run {run} waits for signal `{signal}` already; name it otherwise, or replace that wait"
    )]
    SignalTaken {
        /// The signal.
        signal: String,
        /// The run.
        run: RunId,
    },
    /// No such run.
    #[error("run {0} does not exist")]
    UnknownRun(RunId),
    /// A lease that is over.
    #[error("run {run} is no longer held by lease {lease}; another execution of it has taken over")]
    LeaseLost {
        /// The run.
        run: RunId,
        /// The lease.
        lease: u32,
    },
    /// An attempt that is over.
    #[error(
        "attempt {attempt} of {} of run {run} is over; publish before its future ends",
        match step { Some(step) => format!("step `{step}`"), None => "the function".to_owned() }
    )]
    AttemptOver {
        /// The run.
        run: RunId,
        /// The step; nothing for the function itself.
        step: Option<StepId>,
        /// The attempt.
        attempt: u32,
    },
    /// A function that publishes too much outside its steps.
    #[error(
        "the function of run {run} has published {} messages outside its steps, more are not remembered; publish inside a step",
        limits::BODY_MESSAGES_PER_RUN
    )]
    TooManyBodyPublishes {
        /// The run.
        run: RunId,
    },
    /// The engine is shutting down.
    #[error("the engine is shutting down")]
    Closing,
    /// A message could not be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A channel cannot be read from there.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Something could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A command does not fit the run's state.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store cannot be read or opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EngineError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Name(error) | Self::BadSignal(error) => error.code(),
            Self::Parameter(_) | Self::ChannelsOverlap(..) => ErrorCode::BadChannel,
            Self::Event(error) => error.code(),
            Self::TooManyEvents { .. } | Self::PayloadTooLarge { .. } => ErrorCode::TooLarge,
            Self::BadSeed(_) | Self::FunctionTwice(_) | Self::BadSchema { .. } => {
                ErrorCode::BadRequest
            }
            Self::SignalTaken { .. } => ErrorCode::SignalTaken,
            Self::PayloadNotJson { .. } | Self::SignalNotJson(_) => ErrorCode::BadJson,
            Self::ReservedTopic(_) | Self::UnknownTopic { .. } => ErrorCode::BadTopic,
            Self::SchemaViolation { .. } => ErrorCode::SchemaViolation,
            Self::UnknownFunction(_) | Self::FunctionGone { .. } => ErrorCode::UnknownFunction,
            Self::UnknownRun(_) => ErrorCode::UnknownRun,
            Self::LeaseLost { .. } => ErrorCode::LeaseLost,
            Self::AttemptOver { .. } => ErrorCode::AttemptOver,
            Self::TooManyBodyPublishes { .. } => ErrorCode::TooManyBodyPublishes,
            Self::Closing => ErrorCode::Closing,
            Self::Publish(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Commit(error) => error.code(),
            Self::Refused(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// What a program may want to know beside the code.
    #[must_use]
    pub fn data(&self) -> Value {
        match self {
            Self::SchemaViolation { topic, pointer, .. } => {
                json!({ "topic": topic, "pointer": pointer })
            }
            Self::PayloadTooLarge { bytes, .. } => {
                json!({ "bytes": bytes, "limit": limits::MESSAGE_BYTES })
            }
            _ => Value::Null,
        }
    }
}

impl From<CommandError> for EngineError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refused) => Self::Refused(refused),
            CommandError::Commit(error) => Self::Commit(error),
        }
    }
}

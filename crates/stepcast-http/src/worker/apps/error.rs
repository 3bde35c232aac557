//! Why an app is not taken in.

use stepcast_engine::{EngineError, expression::ExpressionError, schedule::ScheduleError};
use stepcast_protocol::{ErrorCode, FunctionId, limits, names::AppId, sdk::ConfigError};

use crate::{gateway::ServerKind, worker::served::CallError};

/// Why an app is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// It cannot be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Something else answers.
    #[error(
        "{url} answers with status {status}, but not as an app: `{start}`; check the path, which is usually /api/inngest"
    )]
    NotAnApp {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
        /// How the body begins.
        start: String,
    },
    /// It does not accept our signature.
    #[error(
        "the app at {url} does not accept this server (status 401); for development start it with INNGEST_DEV=1, in production give it the \
         server's signing key as INNGEST_SIGNING_KEY"
    )]
    Unauthorized {
        /// The URL.
        url: String,
    },
    /// It says that it cannot.
    #[error("the app at {url} did not sync (status {status}): {message}")]
    Refused {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// It takes us for something else.
    #[error(
        "the app takes this server for one of kind `{expected}`, and it is one of kind `{}`; {}",
        .kind.as_str(),
        match .kind {
            ServerKind::Dev => "start the app with INNGEST_DEV=1, or this server with `stepcast start`",
            ServerKind::Cloud => "start the app without INNGEST_DEV and with INNGEST_SIGNING_KEY",
        }
    )]
    Kind {
        /// What it expects.
        expected: String,
        /// What we are.
        kind: ServerKind,
    },
    /// An SDK that must not be used.
    #[error(
        "the app's SDK `{sdk}` shows its environment variables to anybody who asks; update it to 3.54.0 or later"
    )]
    Sdk {
        /// Its version.
        sdk: String,
    },
    /// A URL that points here.
    #[error(
        "function `{function}` is served at {url}, which is this server itself; give the app's own URL"
    )]
    Itself {
        /// The function.
        function: FunctionId,
        /// The URL.
        url: String,
    },
    /// What it says cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An expression that cannot be read.
    #[error("`{option}` of function `{function}`: {source}")]
    Expression {
        /// The function.
        function: FunctionId,
        /// Where it stands.
        option: String,
        /// What is wrong.
        source: ExpressionError,
    },
    /// A schedule that cannot be read.
    #[error("`cron` of function `{function}`: {source}")]
    Schedule {
        /// The function.
        function: FunctionId,
        /// What is wrong.
        source: ScheduleError,
    },
    /// An option with a value that cannot be followed.
    #[error("`{option}` of function `{function}` is `{value}`; give it {expected}")]
    Value {
        /// The function.
        function: FunctionId,
        /// The option.
        option: String,
        /// Its value.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// An option that is not followed.
    #[error(
        "function `{function}` asks for `{option}`, which this server does not do; take it out, or start the server with \
         `--ignore-unsupported {option}`"
    )]
    Unsupported {
        /// The function.
        function: FunctionId,
        /// The option.
        option: &'static str,
    },
    /// More apps than a server has.
    #[error(
        "{} apps are registered, which is as many as may be; take one away with `DELETE /fn/remove?url=`",
        limits::APPS
    )]
    TooManyApps,
    /// Apps that say more of themselves than a server stores.
    #[error(
        "with app `{app}` the registrations of all apps have {bytes} bytes, at most {} are stored; take one away with \
         `DELETE /fn/remove?url=`, or give this one fewer functions",
        limits::APPS_BYTES
    )]
    AppsTooLarge {
        /// The app.
        app: AppId,
        /// The bytes of all.
        bytes: usize,
    },
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl SyncError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Call(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::NotAnApp { .. } | Self::Refused { .. } => ErrorCode::Unreachable,
            Self::Unauthorized { .. } => ErrorCode::BadToken,
            Self::TooManyApps => ErrorCode::TooMany,
            Self::AppsTooLarge { .. } => ErrorCode::TooLarge,
            Self::Expression { source, .. } => source.code(),
            Self::Schedule { source, .. } => source.code(),
            Self::Kind { .. }
            | Self::Sdk { .. }
            | Self::Itself { .. }
            | Self::Config(_)
            | Self::Value { .. }
            | Self::Unsupported { .. } => ErrorCode::BadRequest,
        }
    }

    /// What distinguishes it from other reasons. Of what comes from the network only the kind counts, as its details differ each time.
    pub(super) fn mark(&self) -> String {
        match self {
            Self::Call(error) => format!("{:?}", std::mem::discriminant(error)),
            Self::NotAnApp { status, .. } | Self::Refused { status, .. } => {
                format!("status {status}")
            }
            Self::Unauthorized { .. }
            | Self::Kind { .. }
            | Self::Sdk { .. }
            | Self::Itself { .. }
            | Self::Config(_)
            | Self::Expression { .. }
            | Self::Schedule { .. }
            | Self::Value { .. }
            | Self::Unsupported { .. }
            | Self::TooManyApps
            | Self::AppsTooLarge { .. }
            | Self::Engine(_) => self.to_string(),
        }
    }
}

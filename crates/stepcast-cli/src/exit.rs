//! How a command can end, and what a script sees of it.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use stepcast::Error;

/// Stands in `--help` and in the README.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused by the server, or something of this command failed
  2  the command line, the configuration or a key cannot be used
  3  the server cannot be reached, or the connection broke before it had answered
  4  the run that was followed has failed or was cancelled";

/// What a server's refusal of a key cannot know: how this command is given one.
const KEYS: &str = "  the keys of the server go into --signing-key (STEPCAST_SIGNING_KEY) and, to send events, --event-key (STEPCAST_EVENT_KEY)";

/// Why a command has not done what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server said no, or something went wrong here.
    #[error("{0}")]
    Failed(String),
    /// What the user gave cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The server is not there, or went away before it had answered.
    #[error("{0}")]
    Unreachable(String),
    /// The run that was followed has not completed. What there is to say is printed.
    #[error("run {0}")]
    Run(String),
    /// Nobody reads what is printed any more.
    #[error("the output is closed")]
    OutputClosed,
}

impl Failure {
    pub(crate) fn failed(why: impl ToString) -> Self {
        Self::Failed(why.to_string())
    }

    pub(crate) fn usage(why: impl ToString) -> Self {
        Self::Usage(why.to_string())
    }

    fn code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Run(_) => 4,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let sentence = format!("{error:?}");
        match error.code() {
            "bad_token" => Self::Failed(format!("{sentence}\n{KEYS}")),
            "unreachable" | "outcome_unknown" => Self::Unreachable(sentence),
            _ => Self::Failed(sentence),
        }
    }
}

impl From<io::Error> for Failure {
    /// Of writing to the output.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("the output cannot be written: {error}")),
        }
    }
}

/// Says why on the error output, and ends with the code for it.
pub(crate) fn report(outcome: Result<(), Failure>) -> ExitCode {
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    if !matches!(failure, Failure::OutputClosed) {
        // Nobody is left to be told when this fails as well.
        drop(writeln!(io::stderr(), "error: {failure}"));
    }
    ExitCode::from(failure.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_code_that_help_names() {
        for (failure, code) in [
            (Failure::OutputClosed, 0),
            (Failure::failed("x"), 1),
            (Failure::usage("x"), 2),
            (Failure::Unreachable("x".to_owned()), 3),
            (Failure::Run("x".to_owned()), 4),
            (Error::msg("x").into(), 1),
        ] {
            assert_eq!(failure.code(), code, "{failure:?}");
            assert!(EXIT_CODES.contains(&format!("\n  {code}  ")));
        }
    }
}

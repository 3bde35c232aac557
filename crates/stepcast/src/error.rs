//! The one error of user functions and of the verbs they call.

use std::{error::Error as StdError, fmt};

use stepcast_protocol::{ErrorCode, RunError};

/// Why a step, a function or a call failed.
///
/// Every error converts into it with `?`. It deliberately does not implement [`std::error::Error`] itself: only so can `?` take any
/// error. An error ends an attempt, which is tried again; [`Error::terminal`], or [`ResultExt::terminal`] on a result, ends the run instead.
///
/// ```
/// use stepcast::{Error, ResultExt};
///
/// fn parse(text: &str) -> Result<u32, Error> {
///     // A wrong number stays wrong: no retry.
///     Ok(text.parse().terminal()?)
/// }
///
/// assert!(parse("x").unwrap_err().is_terminal());
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    error: RunError,
    terminal: bool,
}

impl Error {
    /// An error from a sentence.
    #[must_use]
    pub fn msg(message: impl fmt::Display) -> Self {
        Self::coded(ErrorCode::FunctionFailed, message)
    }

    pub(crate) fn coded(code: ErrorCode, message: impl fmt::Display) -> Self {
        Self(Box::new(Inner {
            error: RunError::new(code, message.to_string()),
            terminal: false,
        }))
    }

    #[cfg_attr(
        not(any(feature = "client", feature = "embedded")),
        expect(dead_code, reason = "only engines record errors")
    )]
    pub(crate) fn recorded(error: RunError) -> Self {
        Self(Box::new(Inner {
            error,
            terminal: false,
        }))
    }

    /// The same error once more.
    #[cfg(feature = "embedded")]
    pub(crate) fn again(&self) -> Self {
        Self(Box::new(Inner {
            error: self.0.error.clone(),
            terminal: self.0.terminal,
        }))
    }

    /// The same error, after which nothing is tried again.
    #[must_use]
    pub fn terminal(mut self) -> Self {
        self.0.terminal = true;
        self
    }

    /// Whether nothing is tried again after it.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.0.terminal
    }

    /// The code's name: `function_failed` for what user code returned, else one of [`ErrorCode`]'s.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.error.code
    }

    /// The sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.error.message
    }

    /// What is recorded of it.
    #[must_use]
    pub fn into_run_error(self) -> RunError {
        self.0.error
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let mut recorded = RunError::new(ErrorCode::FunctionFailed, &error);
        let mut cause = error.source();
        while let Some(source) = cause {
            recorded.causes.push(source.to_string());
            cause = source.source();
        }
        Self(Box::new(Inner {
            error: recorded,
            terminal: false,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.error.message)
    }
}

impl fmt::Debug for Error {
    /// The message and its causes, one per line, as it looks best when `main` returns it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.error.message, self.0.error.code)?;
        self.0
            .error
            .causes
            .iter()
            .try_for_each(|cause| write!(f, "\n  caused by: {cause}"))
    }
}

/// Ends retries on a result.
pub trait ResultExt<T> {
    /// An error becomes terminal: the run fails, nothing is tried again.
    ///
    /// # Errors
    /// The error, terminal.
    fn terminal(self) -> Result<T, Error>;
}

impl<T, E: Into<Error>> ResultExt<T> for Result<T, E> {
    fn terminal(self) -> Result<T, Error> {
        self.map_err(|error| error.into().terminal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_kept_and_shown() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not read the table")]
        struct Outer(#[source] std::fmt::Error);
        let error = Error::from(Outer(std::fmt::Error));
        assert_eq!(error.code(), "function_failed");
        assert!(
            format!("{error:?}")
                .starts_with("could not read the table (function_failed)\n  caused by: ")
        );
        assert!(!error.is_terminal());
        assert!(Err::<(), _>(error).terminal().unwrap_err().is_terminal());
    }
}

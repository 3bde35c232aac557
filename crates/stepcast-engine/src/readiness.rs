//! Whether an engine takes new work at the moment, and what stands in the way.

use std::time::Duration;

use stepcast_protocol::ErrorCode;

use crate::store::CommitError;

/// How long the store may take to say that it takes writes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Why an engine takes no new work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It ends.
    #[error("the server is shutting down; send to another one, or wait for its next start")]
    Closing,
    /// A commit has failed in the middle, and nothing in memory is believed.
    #[error(
        "a commit has failed in the middle and the database is being opened again; wait for it, and restart the server when this stays \
         for more than a minute"
    )]
    Reopening,
    /// There is too little room for more.
    #[error(
        "no space: {0}; free space on the database's disk, runs go on by themselves once there is some"
    )]
    NoSpace(String),
    /// The store has not answered.
    #[error(
        "the store has not answered for {} s; look at its disk, and at what else writes to it",
        PATIENCE.as_secs()
    )]
    Stuck,
    /// The store answers that it takes nothing.
    #[error("the store takes no writes: {0}; look at the log, then restart the server")]
    Failing(String),
}

impl NotReady {
    /// The code this has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Closing => ErrorCode::Closing,
            Self::NoSpace(_) => ErrorCode::NoSpace,
            Self::Reopening | Self::Stuck | Self::Failing(_) => ErrorCode::NotReady,
        }
    }

    /// Its name, for programs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Closing => "closing",
            Self::Reopening => "reopening",
            Self::NoSpace(_) => "no_space",
            Self::Stuck => "stuck",
            Self::Failing(_) => "failing",
        }
    }
}

/// What the store has answered, or that it has not.
pub(crate) fn judge(answer: Option<Result<(), CommitError>>) -> Result<(), NotReady> {
    match answer {
        Some(Ok(())) => Ok(()),
        None => Err(NotReady::Stuck),
        Some(Err(CommitError::NoSpace(problem))) => Err(NotReady::NoSpace(problem)),
        Some(Err(CommitError::OutcomeUnknown(_) | CommitError::Closed)) => Err(NotReady::Reopening),
        Some(Err(error @ (CommitError::Refused(_) | CommitError::Rejected(_)))) => {
            Err(NotReady::Failing(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_reason_and_a_next_step() {
        let no_space = || CommitError::NoSpace("1 byte is free".to_owned());
        let rejected = || CommitError::Rejected("locked".to_owned());
        for (answer, name, part) in [
            (None, "stuck", "for 2 s; look at its disk"),
            (
                Some(Err(no_space())),
                "no_space",
                "1 byte is free; free space",
            ),
            (
                Some(Err(CommitError::Closed)),
                "reopening",
                "restart the server",
            ),
            (Some(Err(rejected())), "failing", "locked"),
        ] {
            let problem = judge(answer).unwrap_err();
            assert_eq!(problem.as_str(), name);
            assert!(problem.to_string().contains(part), "{problem}");
        }
        assert_eq!(judge(Some(Ok(()))), Ok(()));
    }
}

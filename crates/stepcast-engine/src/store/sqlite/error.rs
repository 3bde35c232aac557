//! From what SQLite says to what the store says.

use std::{fmt::Display, path::Path};

use rusqlite::ErrorCode;

use super::os;
use crate::store::{CommitError, StoreError};

/// An error of the operating system or of SQLite, with what was being done.
pub(super) fn backend(doing: impl Display, cause: impl Display) -> StoreError {
    StoreError::Backend {
        doing: doing.to_string(),
        cause: cause.to_string(),
    }
}

/// An error of SQLite while a file was opened or copied.
pub(super) fn on_file(file: &Path, doing: &str, error: &rusqlite::Error) -> StoreError {
    if is_full(error) {
        return no_space(file, 0);
    }
    backend(format_args!("{doing} `{}`", file.display()), error)
}

/// No room for so many bytes.
pub(super) fn no_space(file: &Path, needed: u64) -> StoreError {
    let directory = file.parent().unwrap_or(file);
    StoreError::NoSpace {
        file: file.display().to_string(),
        free: os::free_bytes(directory).ok().flatten().unwrap_or(0),
        needed,
    }
}

/// Why one batch was not written.
pub(super) fn on_batch(error: &rusqlite::Error) -> CommitError {
    if is_full(error) {
        CommitError::NoSpace(error.to_string())
    } else {
        CommitError::Rejected(error.to_string())
    }
}

/// Whether the disk, or the bound on the file, is what stands in the way.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

//! Where the database and the files beside it are.

use std::path::{Path, PathBuf};

use super::error::backend;
use crate::store::StoreError;

/// The database's real path, so that two names of one file are one database.
pub(super) fn resolve(given: &Path) -> Result<PathBuf, StoreError> {
    let fail = |cause: String| {
        backend(
            format_args!("opening database `{}`", given.display()),
            cause,
        )
    };
    if given.is_dir() {
        return Err(fail("it is a directory; give a file in it".to_owned()));
    }
    if let Ok(real) = given.canonicalize() {
        return Ok(real);
    }
    let name = given
        .file_name()
        .ok_or_else(|| fail("it has no file name".to_owned()))?;
    let directory = match given.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let directory = directory.canonicalize().map_err(|error| {
        fail(format!(
            "directory `{}` cannot be used, create it first: {error}",
            directory.display()
        ))
    })?;
    Ok(directory.join(name))
}

/// The file `<database>.<extension>`.
pub(super) fn beside(database: &Path, extension: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

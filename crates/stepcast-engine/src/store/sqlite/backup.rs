//! Copies of the whole database while it is in use.

use std::{fs, path::Path};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{
    error::{backend, no_space, on_file},
    file, os,
};
use crate::store::StoreError;

/// Copies a database into a new file, whether or not somebody owns it at the moment: what is committed now. For other processes than its
/// owner, which has [`Store::backup`](crate::store::Store::backup). Blocks.
///
/// # Errors
/// [`StoreError`] when there is no such database, or the new file exists or cannot be written.
pub fn back_up(database: &Path, to: &Path) -> Result<(), StoreError> {
    file::recognise(database)?;
    copy(&file::open_reader(database)?, database, to)
}

/// Copies what is committed now into a new file for its owner alone. What was copied before a failure is removed.
///
/// All in one step, so that the copy is one moment of the database, whatever is written meanwhile.
pub(super) fn copy(from: &Connection, file: &Path, to: &Path) -> Result<(), StoreError> {
    refuse_existing(to)?;
    make_room(from, file, to)?;
    os::open_private(to)
        .map_err(|error| backend(format_args!("making backup `{}`", to.display()), error))?;
    let copied = write(from, to);
    if copied.is_err()
        && let Err(error) = fs::remove_file(to)
    {
        tracing::warn!(%error, file = %to.display(), "a backup that failed could not be removed");
    }
    copied
}

fn refuse_existing(to: &Path) -> Result<(), StoreError> {
    let bytes = fs::metadata(to).map_or(0, |found| found.len());
    if bytes == 0 {
        return Ok(());
    }
    Err(backend(
        format_args!("making backup `{}`", to.display()),
        format_args!("it exists and has {bytes} bytes; give a new file"),
    ))
}

fn make_room(from: &Connection, file: &Path, to: &Path) -> Result<(), StoreError> {
    let size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    let bytes: i64 = from
        .query_row(size, [], |row| row.get(0))
        .map_err(|error| on_file(file, "reading database", &error))?;
    let needed = u64::try_from(bytes).unwrap_or(0);
    let directory = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    match os::free_bytes(directory) {
        Ok(Some(free)) if free < needed => Err(no_space(to, needed)),
        // What cannot be asked shows when it is written.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn write(from: &Connection, to: &Path) -> Result<(), StoreError> {
    let fail = |error: rusqlite::Error| on_file(to, "making backup", &error);
    let mut target = Connection::open(to).map_err(fail)?;
    let backup = Backup::new(from, &mut target).map_err(fail)?;
    match backup.step(-1).map_err(fail)? {
        StepResult::Done => Ok(()),
        other => Err(backend(
            format_args!("making backup `{}`", to.display()),
            format_args!("{other:?}"),
        )),
    }
}

//! Where files have no mode and free space is not asked for.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
};

/// Opens a file for reading and writing.
pub(in crate::store::sqlite) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Bytes that may still be written where the path is; nothing when that cannot be known.
pub(in crate::store::sqlite) fn free_bytes(_path: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}

//! One owner per file: the lock beside the database.
//!
//! The operating system lets go of the lock when its holder dies, so it is never stale. The lock file stays where it is, because
//! deleting it would let two processes lock two files of the same name. It holds the owner's process id for people to read.

use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{error::backend, os, path};
use crate::store::StoreError;

const POLL: Duration = Duration::from_millis(20);

/// Holds the file while it lives.
#[derive(Debug)]
pub(super) struct Owner {
    _locked: File,
}

impl Owner {
    /// Takes the file, waiting for its owner to go.
    pub(super) fn take(database: &Path, wait: Duration) -> Result<Self, StoreError> {
        let lock = path::beside(database, "lock");
        let failed = |cause: &dyn std::fmt::Display| {
            backend(format_args!("locking `{}`", lock.display()), cause)
        };
        let mut file = os::open_private(&lock).map_err(|error| failed(&error))?;
        let deadline = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(POLL),
                Err(TryLockError::WouldBlock) => return Err(in_use(database, file)),
                Err(TryLockError::Error(error)) => return Err(failed(&error)),
            }
        }
        sign(&mut file).map_err(|error| failed(&error))?;
        Ok(Self { _locked: file })
    }
}

fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn in_use(database: &Path, mut file: File) -> StoreError {
    let mut text = [0; 20];
    let length = file.read(&mut text).unwrap_or(0);
    let pid = str::from_utf8(&text[..length]).unwrap_or_default().trim();
    let is_pid = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    StoreError::InUse {
        file: database.display().to_string(),
        pid: if is_pid { pid } else { "unknown" }.to_owned(),
    }
}

//! What differs between operating systems: private files and free space.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(super) use other::{free_bytes, open_private};
#[cfg(unix)]
pub(super) use unix::{free_bytes, open_private};

//! The examples as their users start them: programs with arguments, files and exit codes.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests speak by panicking, too"
)]

mod import;

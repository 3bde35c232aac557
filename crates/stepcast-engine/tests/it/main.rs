//! What the engine does, seen from outside.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests speak by panicking, too"
)]

mod hub;
mod runs;
mod store;
mod support;

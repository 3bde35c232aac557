//! The crate as its users see it, on real files.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod attempts;
mod channels;
#[cfg(feature = "client")]
mod client;
mod handle;
mod kill;
mod lifecycle;
mod mistakes;
mod parking;
mod publisher;
mod races;
mod refusals;
mod replay;
mod rollback;
mod space;
mod standstill;
mod support;
mod timers;
mod waits;

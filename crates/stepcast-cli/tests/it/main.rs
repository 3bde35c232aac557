//! The real binary: servers that are started and ended, and commands against them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod bench;
mod commands;
mod configuration;
mod generate;
mod lives;
mod prepared;
mod process;
mod proxy;
mod run_frames;
mod servers;
#[cfg(feature = "otel")]
mod traces;

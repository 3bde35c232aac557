//! The engine of Stepcast: what is true ([`store`]), who hears of it ([`hub`]), and what runs next ([`runs`]).
//!
//! Knows no HTTP and no sockets. Read in this order:
//!
//! - [`engine`]: the one handle that others call.
//! - [`runs`]: durable runs: what executes, what waits, what happens next.
//! - [`hub`]: channels in memory: numbers, tails, readers.
//! - [`store`]: rows and batches on disk; the only truth.
//! - [`catalog`]: which topics channels declare and what fits them.
//! - [`expression`]: what a wait, a cancel or a trigger demands of an event.
//! - [`schedule`]: when a cron trigger runs next.
//! - [`stats`] and [`readiness`]: what it has done and holds, and whether it takes more, for those who watch over it.
//! - [`clock`]: time and chance, passed in.
//! - [`error`]: what is refused, and why.

pub mod catalog;
pub mod clock;
pub mod engine;
pub mod error;
pub mod expression;
mod histogram;
pub mod hub;
pub mod readiness;
pub mod runs;
pub mod schedule;
pub mod stats;
pub mod store;

pub use engine::{
    Addressed, Broadcast, ChannelView, Engine, EngineOptions, Publication, TopicView,
};
pub use error::EngineError;
pub use histogram::Distribution;
pub use readiness::NotReady;
pub use stats::{EngineStats, FunctionStats, StepStats};

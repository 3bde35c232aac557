//! The engine of Stepcast: what is true ([`store`]), who hears of it ([`hub`]), and what runs next ([`runs`]).
//!
//! Knows no HTTP and no sockets. Read in this order:
//!
//! - [`clock`]: time and chance, passed in.
//! - [`store`]: rows and batches on disk; the only truth.
//! - [`hub`]: channels in memory: numbers, tails, readers.

pub mod clock;
pub mod hub;
pub mod store;

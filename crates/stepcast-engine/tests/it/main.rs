//! What the engine does, seen from outside.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests speak by panicking, too"
)]

/// How the SDK executes functions, as it is: simulations run it over the engine.
#[allow(
    dead_code,
    unused_imports,
    reason = "simulations do not need all of it"
)]
#[path = "../../../stepcast/src/execution/mod.rs"]
mod execution;
mod hub;
mod runs;
mod simulation;
mod store;
mod support;

use simulation::sdk::{channels, error};

//! What Stepcast and an SDK that serves functions over HTTP say to each other.
//!
//! The SDK is the npm package `inngest` in the form in which it is published. Stepcast calls its functions with what is
//! remembered of their steps; it answers with ops. Everything here is data: nothing connects, waits or looks at a clock.
//! Read in this order:
//!
//! - [`config`]: what an app says of its functions when it is synced.
//! - [`json`], [`StepHash`], [`Until`] and [`Failure`]: values, steps, durations and errors in the SDK's form.
//! - [`op`]: what an SDK reports; [`response`]: what its answer means; [`checkpoint`]: what it reports before it answers.
//! - [`SdkEvent`], [`Memo`] and [`call`]: what a function is called with, in [`canonical()`] JSON.
//! - [`Signature`] and [`SigningKey`]: how both sides know each other; [`internal`]: the engine's own events.
//! - [`headers`]: the names of all headers.

pub mod call;
pub mod canonical;
pub mod checkpoint;
pub mod config;
pub mod event;
#[cfg(test)]
mod exchange;
pub mod failure;
pub mod headers;
mod hex;
pub mod internal;
pub mod json;
pub mod memo;
pub mod op;
pub mod response;
pub mod retry_after;
pub mod signature;
pub mod signing_key;
pub mod step;
pub mod until;
pub mod version;

pub use call::{Call, CallBody, Checkpoints, Dispatch, Immediate, State, Target};
pub use canonical::{CanonicalError, canonical};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use config::{AppConfig, ConfigError, FunctionConfig};
pub use event::SdkEvent;
pub use failure::{Failure, Verdict};
pub use internal::{Caller, CallerError, CronTick, Ending, InternalEvent, Invocation, RunEnd};
pub use json::{Json, JsonError};
pub use memo::Memo;
pub use op::{Action, Conflict, Op, OpError, Opcode, Parallel, StepOp, Timing};
pub use response::{Answer, Outcome, Response, ResponseError};
pub use retry_after::RetryAfter;
pub use signature::{Signature, SignatureError};
pub use signing_key::{SigningKey, SigningKeyError};
pub use step::{StepHash, StepHashError};
pub use until::{Until, UntilError};
pub use version::ProtocolVersion;

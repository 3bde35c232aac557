//! The HTTP and WebSocket surface of Stepcast: an engine's events, channels and runs for the network.
//!
//! Read in this order:
//!
//! - [`gateway`]: the one handle ([`Gateway`]) and its options.
//! - [`keys`]: who may use the operator routes; `origins`: which pages may read.
//! - [`tokens`]: what a browser is allowed, signed.
//! - `api`: one handler per route: decode, one call of the engine, encode.
//! - `invitation`: a token for a reader that is about to come; `entrance`: where a reader begins.
//! - `readers`: who reads otherwise. `metrics`: what operators are shown of all this.
//! - `fanout`: WebSocket connections, spread over shards that read channels by cursor.
//! - [`worker`]: executes functions that apps serve over HTTP.

mod api;
mod entrance;
mod fanout;
pub mod gateway;
mod invitation;
pub mod keys;
mod metrics;
mod origins;
mod readers;
mod readiness;
pub mod tokens;
pub mod worker;

pub use self::{
    fanout::{Sent, Stats},
    gateway::{Gateway, GatewayError, GatewayOptions, ServerKind},
    invitation::Invitation,
    keys::{BadKey, Keys},
    origins::{BadOrigin, Origin},
    tokens::{History, TokenError, Tokens},
};

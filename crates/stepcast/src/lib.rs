//! Durable functions with realtime channels.
//!
//! A function runs as steps that survive crashes and retries; while it runs it publishes typed messages to channels, and browsers and
//! services see them at once. Everything lives in this process, on one SQLite file, or behind the address of a server.
//!
//! - [`channel`]: what is published: an enum whose variants are topics.
//! - [`Event`]: what triggers functions.
//! - [`App`], [`function`] and [`Ctx`]: functions, and what they are given.
//! - [`Step`]: work whose result is remembered.
//! - [`Stepcast`]: the engine: sending, publishing, subscribing, serving.
//! - `Client`: the same verbs on a server, from another process. With the feature `client`; without `embedded`, which is on by default,
//!   neither the engine nor SQLite is compiled.
//! - `JsonChannel`: a channel by its name, for programs without a type for it.
//! - [`Error`]: what goes wrong, and whether it is tried again.

// What the derives write names this crate `::stepcast`, in its own tests too.
#[cfg(test)]
extern crate self as stepcast;

#[doc(hidden)]
#[path = "macro_support.rs"]
pub mod __macro;
#[cfg(feature = "embedded")]
mod app;
pub mod channel;
#[cfg(feature = "embedded")]
mod channels;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "embedded")]
mod context;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod event;
#[cfg(feature = "embedded")]
mod execution;
pub mod prelude;
#[cfg(feature = "embedded")]
mod step;
#[cfg(any(feature = "client", feature = "embedded"))]
mod verbs;

#[cfg(feature = "client")]
pub use crate::client::Client;
#[cfg(any(feature = "client", feature = "embedded"))]
pub use crate::verbs::{
    Gap, JsonChannel, ListRuns, Message, Messages, MintToken, Publish, Rollback, Run, RunUpdate,
    Send, Sent, Snapshot, Subscription, Update, WatchRun,
};
#[cfg(feature = "embedded")]
pub use crate::{
    app::{App, Function, function},
    context::{Ctx, Publisher},
    embedded::{Options, Stepcast},
    step::{Invoke, Step, WaitForEvent},
};
pub use crate::{
    channel::{Channel, ChannelAt, PayloadError},
    error::{Error, ResultExt},
    event::Event,
};
#[cfg(feature = "embedded")]
pub use stepcast_engine::{
    EngineOptions,
    clock::{Clock, Entropy},
    runs::{Retry, RunFrames},
    store::sqlite::{Durability, SqliteOptions},
};
#[cfg(feature = "embedded")]
pub use stepcast_http::{GatewayOptions, Keys, Stats as ConnectionStats};
/// Makes an enum a [`channel`]: each variant is a topic.
///
/// Derive serde's `Serialize` and `Deserialize` beside it, and schemars' `JsonSchema` unless every topic is `unchecked`.
///
/// `#[channel("pipeline:{job}")]` on the enum is the channel's name, with parameters in braces. The derive adds `at`, which
/// gives the channel for some values ([`ChannelAt`]): `Chat::at()` where there are no parameters, `Pipeline::at(value)`
/// for one, and for several `Pipeline::at(PipelineParams { org, job })` with a struct of `String`s that it adds too.
///
/// `#[topic(..)]` on a variant, all of it optional:
///
/// | key | meaning |
/// |---|---|
/// | `name = ".."` | the topic's name; the variant in snake_case if absent |
/// | `keep = ".."` | `live`, `latest`, `text` or `log` (default): see [`Keep`](stepcast_protocol::Keep) |
/// | `text = ".."` | with `keep = "text"`: the `String` field whose values are joined |
/// | `unchecked` | payloads are not held against a JSON Schema |
/// | `null` | fields that are `None` are sent as `null` and not left out |
///
/// ```
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use stepcast::{Channel, channel::Keep};
///
/// /// Progress of one build.
/// #[derive(Channel, Serialize, Deserialize, JsonSchema)]
/// #[channel("build:{org}:{job}")]
/// enum Build {
///     #[topic(keep = "latest")]
///     Status { message: String, step: Option<String> },
///     #[topic(name = "output", keep = "text", text = "line")]
///     Line { line: String },
///     Done,
/// }
///
/// let build = Build::at(BuildParams { org: "acme".into(), job: "7".into() });
/// assert_eq!(build.name().unwrap().as_str(), "build:acme:7");
///
/// let line = Build::Line { line: "ok\n".into() };
/// assert_eq!(line.topic().name, "output");
/// assert_eq!(line.topic().keep, Keep::Text { field: "line".into() });
/// ```
pub use stepcast_macros::Channel;
/// Names an event's data.
///
/// `#[event("app/generate")]` is the name: 1 to 256 bytes, no control characters, and not `inngest/…`, as the engine's
/// own events are called. Derive serde's `Serialize` and `Deserialize` beside it.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use stepcast::Event;
///
/// #[derive(Event, Serialize, Deserialize)]
/// #[event("app/generate")]
/// struct Generate {
///     job: String,
/// }
///
/// assert_eq!(Generate::NAME, "app/generate");
/// ```
pub use stepcast_macros::Event;
pub use stepcast_protocol::Beginning as Position;
pub use stepcast_protocol::{Bounds, GapReason, Progress, RunNews, StepNews};
pub use stepcast_protocol::{
    Cursor, ErrorCode, EventId, Manifest, RunError, RunId, RunStatus, RunView, Timestamp,
};

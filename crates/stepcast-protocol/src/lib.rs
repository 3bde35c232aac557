//! The data Stepcast exchanges, and nothing that acts on it.
//!
//! Everything here is a value with a meaning, a text form and a border check: no I/O, no clock, no
//! async runtime. Read in this order:
//!
//! - [`ids`] and [`names`]: what things are called ([`RunId`], [`ChannelName`], …), checked once when parsed.
//! - [`cursor`]: where a reader is ([`Cursor`] = epoch and offset); [`beginning`]: where one starts.
//! - [`topic`] and [`template`]: what a channel declares: topics, how each is kept, names with parameters.
//! - [`manifest`]: the channels of an app, for code generators; [`schema_hash`]: whether generated code still fits.
//! - [`message`] and [`event`]: what is published, and what triggers functions; [`pattern`]: which events do.
//! - [`frame`]: what the server and a native reader say to each other.
//! - [`run`]: a run's status as the outside sees it.
//! - [`sdk`]: what Stepcast and functions that npm `inngest` serves say to each other.
//! - [`claims`]: what a token permits.
//! - [`error`]: one [`ErrorCode`] for every refusal, with HTTP status and retryability.
//! - [`limits`] and [`paths`]: every bound and every route, each in one file.

pub mod beginning;
pub mod claims;
pub mod cursor;
pub mod error;
pub mod event;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod manifest;
pub mod message;
pub mod names;
pub mod paths;
pub mod pattern;
pub mod run;
pub mod schema_hash;
pub mod sdk;
pub mod template;
pub mod timestamp;
pub mod topic;

pub use beginning::Beginning;
pub use claims::{ChannelGrant, Claims};
pub use cursor::{Cursor, Epoch, Offset};
pub use error::{ErrorBody, ErrorCode};
pub use event::{Event, EventInput};
pub use frame::{Gap, GapReason, Snapshot};
pub use ids::{EventId, RequestId, RunId};
pub use manifest::Manifest;
pub use message::{Kind, Message, Origin, Told};
pub use names::{ChannelName, EventName, FunctionId, NameError, StepId, TopicName};
pub use pattern::EventPattern;
pub use run::{Progress, RunError, RunNews, RunStatus, RunView, StepNews};
pub use schema_hash::SchemaHash;
pub use template::ChannelTemplate;
pub use timestamp::Timestamp;
pub use topic::{Bounds, ChannelSpec, Keep, Retention, TopicSpec};

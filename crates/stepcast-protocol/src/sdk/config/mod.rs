//! What an app says of itself and of its functions when it is synced.
//!
//! - [`AppConfig`]: an app, from a registration or from its answer to an in-band sync.
//! - [`FunctionConfig`]: one function; [`trigger`]: what starts it; [`limit`]: what holds it back or stops it.
//! - [`ConfigError`]: a value that cannot be, with function, option and what would be right.
//!
//! Keys that we do not know are ignored, as newer SDKs bring some. Values that we know and that are wrong are refused.

mod app;
mod error;
mod function;
pub mod limit;
mod options;
pub mod trigger;
mod url;

pub use app::{AppConfig, SyncReply, SyncRequest};
pub use error::ConfigError;
pub use function::{FunctionConfig, Unsupported};
pub use limit::{Cancel, Concurrency, Scope, Timeouts};
pub use trigger::{Cron, Trigger};
pub use url::StepUrl;

#[cfg(test)]
mod tests;

//! A build without traces.

use axum::Router;

use super::endpoint;
use crate::{exit::Failure, logging::Logging};

/// No traces.
#[derive(Debug)]
pub(crate) struct Traces;

impl Traces {
    /// Logs from now on. Called once.
    #[expect(clippy::unnecessary_wraps, reason = "builds with traces can fail here")]
    pub(crate) fn begin(logging: Logging) -> Result<Self, Failure> {
        logging.begin();
        if let Some(name) = endpoint() {
            tracing::warn!(
                "{name} is set, and this build exports no traces; build it with `--features otel`"
            );
        }
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "builds with traces add spans here")]
    pub(crate) fn around(&self, app: Router) -> Router {
        app
    }

    #[expect(clippy::unused_async, reason = "builds with traces wait here")]
    pub(crate) async fn end(self) {}
}

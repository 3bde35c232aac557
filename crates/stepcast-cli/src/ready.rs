//! `stepcast ready`: whether a server takes new work.

use clap::Args;
use serde_json::json;

use crate::{exit::Failure, output::Output, target::Target};

/// Ask whether a server takes new work; for health checks of containers and deployments
///
/// Ends with 0 when it does, 1 when it says what stands in the way, 3 when it cannot be reached. Needs no key.
#[derive(Debug, Args)]
pub(crate) struct Ready {
    #[command(flatten)]
    target: Target,
}

impl Ready {
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let url = self.target.url.clone();
        self.target.client()?.ready().await?;
        let fact = json!({ "ready": true, "url": url });
        output.fact(&fact, format_args!("{url} takes new work"))
    }
}

//! `stepcast cancel`: ends a run.

use clap::Args;
use serde_json::json;
use stepcast::RunId;

use crate::{exit::Failure, output::Output, target::Target};

/// Cancel a run; what it has done stays
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The run's id
    #[arg(value_name = "ID")]
    run: RunId,
    #[command(flatten)]
    target: Target,
}

impl Cancel {
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self { run, target } = self;
        target.client()?.run(run).cancel().await?;
        let fact = json!({ "run_id": run, "status": "cancelled" });
        output.fact(&fact, format_args!("cancelled run {run}"))
    }
}

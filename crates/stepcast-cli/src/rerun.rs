//! `stepcast rerun`: runs a run again.

use clap::Args;
use serde_json::json;
use stepcast::RunId;

use crate::{exit::Failure, output::Output, target::Target};

/// Run a run again: the same function, by the same event; prints the new run
#[derive(Debug, Args)]
pub(crate) struct Rerun {
    /// The run's id
    #[arg(value_name = "ID")]
    run: RunId,
    #[command(flatten)]
    target: Target,
}

impl Rerun {
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self { run, target } = self;
        let again = target.client()?.run(run).rerun().await?.id();
        let fact = json!({ "run_id": again, "rerun_of": run });
        output.fact(
            &fact,
            format_args!("started run {again} by the event of run {run}"),
        )
    }
}

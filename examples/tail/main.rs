//! Another process: follows a channel of a quickstart that is running.
//!
//! `cargo run --example tail` asks the quickstart on <http://127.0.0.1:8288> for a run and prints what it says until it has ended.
//! `-- --job <name>` reads the channel `pipeline:<name>` from its start and goes on until Ctrl-C: restart the quickstart meanwhile, and
//! it comes back by itself. `--server` names another address.

#![expect(clippy::print_stdout, reason = "an example talks to its terminal")]

use clap::Parser;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::prelude::*;

/// Follows a channel of a running quickstart.
#[derive(Parser)]
struct Args {
    /// Where the quickstart serves.
    #[arg(long, default_value = "http://127.0.0.1:8288")]
    server: String,
    /// The job whose channel is followed; without it, a new run is started.
    #[arg(long)]
    job: Option<String>,
}

#[derive(Event, Serialize, Deserialize)]
#[event("app/generate")]
struct Generate {
    job: String,
}

#[derive(Debug, Channel, Serialize, Deserialize, JsonSchema)]
#[channel("pipeline:{job}")]
enum Pipeline {
    #[topic(keep = "latest")]
    Status {
        message: String,
        step: Option<String>,
    },
    #[topic(keep = "text", text = "token")]
    Tokens { token: String },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    let client = Client::new(&args.server)?;
    let updates = match args.job {
        Some(job) => client.subscribe(&Pipeline::at(job)),
        None => {
            let job = format!("tail-{}", std::process::id());
            // Opened before the run begins, so that every message comes by itself.
            let updates = client.subscribe(&Pipeline::at(&job)).opened().await?;
            let run = client.send(Generate { job }).await?.run().await?;
            updates.until_run_ends(run)
        }
    };
    print(updates).await
}

async fn print(mut updates: stepcast::Subscription<Pipeline>) -> Result<(), Error> {
    while let Some(update) = updates.try_next().await? {
        match update {
            Update::Message(message) => println!("{:?}", message.data),
            Update::Snapshot(snapshot) => {
                for piece in snapshot.pieces {
                    println!("{:?} (so far)", piece.data);
                }
            }
            Update::Rollback(rollback) => println!("{}: an attempt is void", rollback.topic),
            Update::Gap(gap) => println!("{}: something is gone", gap.topic),
            Update::Run(run) => println!("{}", run.status),
            _ => {}
        }
    }
    Ok(())
}

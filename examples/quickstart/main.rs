//! The main job, in one process: a durable function streams typed updates to a page.
//!
//! `cargo run --example quickstart` serves a page with a button on <http://127.0.0.1:8288/>. `-- --once` does the same without a page:
//! it subscribes, starts one run, prints each message as a JSON line, then the run's final status. `-- --manifest` prints what `channels.ts`
//! is generated from.

#![expect(clippy::print_stdout, reason = "an example talks to its terminal")]

mod generate;
mod once;
mod server;

use std::path::PathBuf;

use clap::Parser;
use stepcast::prelude::*;

/// A durable function that streams to a page.
#[derive(Parser)]
struct Args {
    /// The port to serve on; 0 takes a free one.
    #[arg(long, env = "STEPCAST_PORT", default_value_t = 8288)]
    port: u16,
    /// The database file, made where there is none.
    #[arg(long, default_value = "quickstart.db")]
    db: PathBuf,
    /// Starts one run, prints its messages and its status, and exits.
    #[arg(long)]
    once: bool,
    /// Prints the app's channels, for `stepcast gen ts`, and exits.
    #[arg(long)]
    manifest: bool,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let app = App::new("quickstart")
        .channel::<generate::Pipeline>()
        .function(function("generate", generate::generate));
    if args.manifest {
        println!("{}", app.manifest()?);
        return Ok(());
    }
    // The port first: when it is taken, nothing else should have happened.
    let listener = if args.once {
        None
    } else {
        Some(server::listen(args.port).await?)
    };
    let stepcast = Stepcast::open(&args.db, app).await?;
    let done = match listener {
        None => once::run(&stepcast).await,
        Some(listener) => server::serve(listener, stepcast.clone()).await,
    };
    stepcast.shutdown().await?;
    done
}

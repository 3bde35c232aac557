//! Real input: a CSV or TSV file becomes a table, one durable step per batch of rows.
//!
//! `cargo run --example import -- examples/data/zone1970.tab --db state.db --out out.db` imports the sample. Kill it with `kill -9` at any
//! moment and start it again with the same arguments: it goes on at the first batch that is not recorded. `--batch 5 --delay-ms 200`
//! makes it slow enough to try. `--manifest` alone prints what `channels.ts` is generated from. In reading order:
//!
//! - `args`: what is asked for, and mistakes in it.
//! - `format`, `fields`, `records`: the file, row by row, with the place of each.
//! - `header`, `source`: the whole file as it was found: its columns, what it is recognised by, how many rows.
//! - `output`: the SQLite file that the rows go to, and what makes a batch idempotent.
//! - `function`: the durable function, its event and its channel.
//! - `terminal`: what is shown, from the same subscription a page would have.
//! - `start`: a new import, or the one that was begun before.

mod args;
mod fields;
mod format;
mod function;
mod header;
mod output;
mod records;
mod source;
mod start;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let done = if std::env::args().skip(1).eq(["--manifest"]) {
        start::manifest()
    } else {
        start::run(Args::parse()).await
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&error);
            ExitCode::FAILURE
        }
    }
}

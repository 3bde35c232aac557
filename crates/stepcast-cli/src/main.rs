//! The binary `stepcast`: a server for durable functions and channels, and commands for those who use one.
//!
//! Read in this order:
//!
//! - [`args`]: the command line; [`exit`]: how a command can end, and what a script sees of it.
//! - [`serve`]: `dev` and `start`, from settings to a server and back to nothing.
//! - [`target`]: the server that the other commands talk to; [`data`] and [`manifest`]: what they are given; [`output`]: what they print.
//! - [`send`], [`publish`], [`tail`], [`runs`], [`cancel`], [`rerun`], [`token`], [`ready`], [`generate`], [`backup`],
//!   [`completions`]: one command each; [`bench`]: load on a server, and what it costs.
//! - [`logging`], [`traces`], [`span`], [`secret`]: log lines, spans for collectors, lengths of time, and what is never printed.

mod args;
mod backup;
mod bench;
mod cancel;
mod completions;
mod data;
mod exit;
mod generate;
mod logging;
mod manifest;
mod output;
mod publish;
mod ready;
mod rerun;
mod runs;
mod secret;
mod send;
mod serve;
mod span;
mod tail;
mod target;
mod token;
mod traces;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    exit::report(args::Cli::parse().run())
}

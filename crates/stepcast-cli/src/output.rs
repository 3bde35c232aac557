//! What commands print: data on the standard output, notes on the error output.

use std::{
    fmt::Display,
    io::{self, Write},
};

use clap::Args;
use serde::Serialize;

use crate::exit::Failure;

/// Whom a command talks to.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// Print JSON, one object per line, for scripts.
    #[arg(long, global = true)]
    json: bool,
}

impl Output {
    /// Prints a fact: for scripts as JSON, for people as text.
    pub(crate) fn fact(self, json: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, json).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{text}")?;
        }
        Ok(out.flush()?)
    }

    /// Prints what only people want to know, beside the data.
    pub(crate) fn note(self, text: impl Display) {
        if !self.json {
            // A note that nobody can read is no reason to stop.
            drop(writeln!(io::stderr(), "{text}"));
        }
    }
}

/// Prints text as it is, for scripts and people alike.
pub(crate) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    Ok(out.flush()?)
}

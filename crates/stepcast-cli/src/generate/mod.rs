//! `stepcast gen`: code for those who use an app's channels, from the app's manifest.
//!
//! - [`source`]: the manifest; [`typescript`]: what is written of it, pure; [`file`]: where that goes.

mod file;
mod source;
mod typescript;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use self::{file::Target, source::Source};
use crate::{exit::Failure, output::Output, secret::Secret};

/// Write code for those who use an app's channels
#[derive(Debug, Args)]
pub(crate) struct Generate {
    #[command(subcommand)]
    language: Language,
}

#[derive(Debug, Subcommand)]
enum Language {
    Ts(TypeScript),
}

/// Write channels and the types of their payloads as TypeScript
///
/// The manifest says what there is: an app prints it (`App::manifest()`), and a server has it at /v1/manifest. The same manifest gives the
/// same text, so that the file can be committed and checked.
#[derive(Debug, Args)]
struct TypeScript {
    /// A manifest: a file, the address of a server, or `-` for the standard input
    #[arg(long, value_name = "FILE|URL|-")]
    from: Source,
    /// The file to write, in a folder that is there
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write nothing; fail when the file is not what would be written
    #[arg(long)]
    check: bool,
    /// The key that the server asks operators for; also read from INNGEST_SIGNING_KEY
    #[arg(
        long,
        value_name = "KEY",
        env = "STEPCAST_SIGNING_KEY",
        hide_env_values = true
    )]
    signing_key: Option<Secret>,
}

impl Generate {
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        match self.language {
            Language::Ts(typescript) => typescript.run(output).await,
        }
    }
}

impl TypeScript {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let Self {
            from,
            out,
            check,
            signing_key,
        } = self;
        let manifest = from.read(signing_key).await?;
        let code = typescript::write(&manifest).map_err(Failure::failed)?;
        for warning in &code.warnings {
            output.note(format_args!("warning: {warning}"));
        }
        let target = Target::new(out);
        if check {
            target.check(&code.text, &from)?;
        }
        let is_written = !check && target.write(&code.text)?;
        let (file, channels) = (target.shown(), manifest.channels.len());
        let fact = json!({ "file": file, "channels": channels, "written": is_written });
        let what = if is_written {
            "is written"
        } else {
            "is up to date"
        };
        let noun = if channels == 1 { "channel" } else { "channels" };
        output.fact(&fact, format_args!("{file} {what}, with {channels} {noun}"))
    }
}

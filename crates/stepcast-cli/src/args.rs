//! The command line: which commands there are.

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::{
    backup::Backup,
    bench::Bench,
    cancel::Cancel,
    completions::Completions,
    exit::{EXIT_CODES, Failure},
    generate::Generate,
    logging::Logging,
    output::Output,
    publish::Publish,
    ready::Ready,
    rerun::Rerun,
    runs::Runs,
    send::Send,
    serve::{Dev, Start},
    tail::Tail,
    token::Token,
};

/// Durable functions with realtime channels.
#[derive(Debug, Parser)]
#[command(name = "stepcast", version, after_help = EXIT_CODES, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    logging: Logging,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(Dev),
    Start(Start),
    Send(Send),
    Publish(Publish),
    Tail(Tail),
    Runs(Runs),
    Cancel(Cancel),
    Rerun(Rerun),
    Token(Token),
    Ready(Ready),
    #[command(name = "gen")]
    Generate(Generate),
    Backup(Backup),
    Bench(Bench),
    Completions(Completions),
}

impl Cli {
    /// Does what is asked for.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Self {
            command,
            logging,
            output,
        } = self;
        // Servers read a file first, which may say how to log.
        if !matches!(command, Command::Dev(_) | Command::Start(_)) {
            logging.begin();
        }
        match command {
            Command::Dev(dev) => many_threads()?.block_on(dev.run(logging, output)),
            Command::Start(start) => many_threads()?.block_on(start.run(logging, output)),
            Command::Send(send) => one_thread()?.block_on(send.run(output)),
            Command::Publish(publish) => one_thread()?.block_on(publish.run(output)),
            Command::Tail(tail) => one_thread()?.block_on(tail.run(output)),
            Command::Runs(runs) => one_thread()?.block_on(runs.run(output)),
            Command::Cancel(cancel) => one_thread()?.block_on(cancel.run(output)),
            Command::Rerun(rerun) => one_thread()?.block_on(rerun.run(output)),
            Command::Token(token) => one_thread()?.block_on(token.run(output)),
            Command::Ready(ready) => one_thread()?.block_on(ready.run(output)),
            Command::Generate(generate) => one_thread()?.block_on(generate.run(output)),
            Command::Backup(backup) => backup.run(output),
            Command::Bench(bench) => {
                let runtime = many_threads()?;
                let done = runtime.block_on(bench.run(output));
                // What was put under load may still be waited for.
                runtime.shutdown_background();
                done
            }
            Command::Completions(completions) => completions.run(),
        }
    }
}

fn many_threads() -> Result<Runtime, Failure> {
    built(&mut Builder::new_multi_thread())
}

fn one_thread() -> Result<Runtime, Failure> {
    built(&mut Builder::new_current_thread())
}

fn built(builder: &mut Builder) -> Result<Runtime, Failure> {
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| Failure::failed(format!("no threads can be started: {error}")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

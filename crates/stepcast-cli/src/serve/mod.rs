//! `stepcast dev` and `stepcast start`: a server, from its settings to a running engine, and back to nothing.
//!
//! - [`settings`] and [`calling`]: what can be set; [`mod@file`]: the same as TOML.
//! - [`config`]: from what was given to what holds, a pure decision.
//! - [`server`]: from there to a server, and its end; [`apps`]: functions that are served over HTTP; [`channels`]: channels that are declared in files.
//! - [`announcement`]: what it says when it is ready; [`signal`]: when it is to end.

mod announcement;
mod apps;
mod calling;
mod channels;
mod config;
mod file;
mod server;
mod settings;
pub(crate) mod signal;
mod token_secret;

use std::path::PathBuf;

use clap::Args;

use self::{
    calling::Calling,
    config::Config,
    file::File,
    settings::{Guarding, Serving},
};
use crate::{exit::Failure, logging::Logging, output::Output, target::environment, traces::Traces};

const PRECEDENCE: &str = "\
An option counts before its environment variable, that before the configuration file, and that before the default.
In the file each option is a key of the same name: `port = 8288`, `retention = \"7d\"`, lists in brackets.

Clients of npm `inngest` drop any path of a server's address: give this server a host of its own, or have the proxy in
front of it route /v1, /e, /fn and /v0 to it.";

/// Where settings are read from, beside the line.
#[derive(Debug, Args)]
struct Source {
    /// A TOML file with any of these options
    #[arg(
        long,
        value_name = "FILE",
        env = "STEPCAST_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
}

/// Serve on this machine, without keys: for development
///
/// Keeps everything in memory unless a database is named. Only programs on this machine may send, publish and read runs.
#[derive(Debug, Args)]
#[command(after_help = PRECEDENCE)]
pub(crate) struct Dev {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    serving: Serving,
    #[command(flatten)]
    calling: Calling,
}

/// Serve in production: a database file, keys, and TLS in front
#[derive(Debug, Args)]
#[command(after_help = PRECEDENCE)]
pub(crate) struct Start {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    serving: Serving,
    #[command(flatten)]
    calling: Calling,
    #[command(flatten)]
    guarding: Guarding,
}

impl Source {
    fn read(&self) -> Result<File, Failure> {
        match &self.config {
            Some(path) => File::read(path).map_err(Failure::usage),
            None => Ok(File::default()),
        }
    }
}

impl Dev {
    pub(crate) async fn run(self, logging: Logging, output: Output) -> Result<(), Failure> {
        let file = self.source.read()?;
        let traces = Traces::begin(logging.over(file.logging))?;
        let calling = self.calling.over(file.calling);
        let config = Config::dev(self.serving.over(file.serving), calling);
        let served = server::run(config.map_err(Failure::usage)?, output, &traces).await;
        traces.end().await;
        served
    }
}

impl Start {
    pub(crate) async fn run(self, logging: Logging, output: Output) -> Result<(), Failure> {
        let file = self.source.read()?;
        let traces = Traces::begin(logging.over(file.logging))?;
        let guarding = self.guarding.over(Guarding::of_inngest(environment));
        let guarding = guarding.over(file.guarding);
        let calling = self.calling.over(file.calling);
        let config = Config::start(self.serving.over(file.serving), calling, guarding);
        let served = server::run(config.map_err(Failure::usage)?, output, &traces).await;
        traces.end().await;
        served
    }
}

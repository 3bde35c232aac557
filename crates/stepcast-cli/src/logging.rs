//! Log lines: how many, and in which form. They go to the error output.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use serde::Deserialize;
use tracing::Subscriber;
use tracing_subscriber::{
    Layer, filter::LevelFilter, fmt, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

/// What is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Output")]
pub(crate) struct Logging {
    /// How much is logged to the error output [default: info]
    #[arg(
        long,
        value_name = "LEVEL",
        env = "STEPCAST_LOG",
        hide_env_values = true,
        global = true
    )]
    pub(crate) log: Option<Level>,
    /// The form of log lines: text for people, json for collectors, one object per line [default: text]
    #[arg(
        long,
        value_name = "FORMAT",
        env = "STEPCAST_LOG_FORMAT",
        hide_env_values = true,
        global = true
    )]
    pub(crate) log_format: Option<Format>,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::OFF,
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

impl Logging {
    /// These settings, and for what they do not say those below.
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            log: self.log.or(below.log),
            log_format: self.log_format.or(below.log_format),
        }
    }

    /// Logs from now on. Called once.
    pub(crate) fn begin(self) {
        let registry = tracing_subscriber::registry().with(self.level());
        registry.with(self.lines()).init();
    }

    /// How much is logged.
    pub(crate) fn level(self) -> LevelFilter {
        self.log.unwrap_or_default().into()
    }

    /// Log lines, whatever their level.
    pub(crate) fn lines<S>(self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let lines = fmt::layer().with_writer(io::stderr);
        match self.log_format.unwrap_or_default() {
            Format::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
            Format::Json => lines.json().flatten_event(true).boxed(),
        }
    }
}

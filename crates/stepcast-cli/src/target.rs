//! The server that a command talks to.

use clap::Args;
use stepcast::Client;

use crate::{exit::Failure, secret::Secret};

/// Where the server is, and what it wants to see.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Target {
    /// The server's address
    #[arg(
        long,
        env = "STEPCAST_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8288"
    )]
    pub(crate) url: String,
    #[command(flatten)]
    keys: Keys,
}

/// What a server in production wants to see.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Keys {
    /// The key for everything but events; also read from INNGEST_SIGNING_KEY. A server in dev mode on this machine wants none
    #[arg(
        long,
        value_name = "KEY",
        env = "STEPCAST_SIGNING_KEY",
        hide_env_values = true
    )]
    signing_key: Option<Secret>,
    /// The key that lets events in; also read from INNGEST_EVENT_KEY. A server in dev mode on this machine wants none
    #[arg(
        long,
        value_name = "KEY",
        env = "STEPCAST_EVENT_KEY",
        hide_env_values = true,
        value_delimiter = ','
    )]
    event_key: Vec<Secret>,
}

impl Target {
    /// A client of it. Nothing is connected yet.
    pub(crate) fn client(self) -> Result<Client, Failure> {
        self.keys.client(&self.url)
    }
}

impl Keys {
    /// A client of the server at this address. Nothing is connected yet.
    pub(crate) fn client(self, url: &str) -> Result<Client, Failure> {
        let client = Client::new(url).map_err(|error| Failure::usage(error.message()))?;
        let signing_key = self.signing_key();
        // A server may take several; each of them is good.
        let event_key = self.event_key.into_iter().next();
        let event_key = event_key.or_else(|| environment("INNGEST_EVENT_KEY"));
        let client = match signing_key {
            Some(key) => client.with_signing_key(key.into_text()),
            None => client,
        };
        Ok(match event_key {
            Some(key) => client.with_event_key(key.into_text()),
            None => client,
        })
    }

    /// The key for everything but events.
    pub(crate) fn signing_key(&self) -> Option<Secret> {
        let given = self.signing_key.clone();
        given.or_else(|| environment("INNGEST_SIGNING_KEY"))
    }
}

/// A secret of the environment, unless it is empty.
pub(crate) fn environment(name: &str) -> Option<Secret> {
    let value = std::env::var(name).ok()?;
    (!value.is_empty()).then(|| Secret::from(&*value))
}

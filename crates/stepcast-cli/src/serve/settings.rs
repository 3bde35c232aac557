//! What can be set, on the line, in the environment and in the file. Nothing is decided here but which of them counts.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, ValueEnum, builder::BoolishValueParser};
use serde::Deserialize;
use stepcast_engine::runs;
use stepcast_http::Origin;

use crate::{secret::Secret, span::Span};

/// What both servers have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Serving {
    /// The port; 0 takes a free one [default: 8288]
    #[arg(long, env = "STEPCAST_PORT", hide_env_values = true)]
    pub(crate) port: Option<u16>,
    /// The address to listen on [default: 127.0.0.1]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "STEPCAST_HOST",
        hide_env_values = true
    )]
    pub(crate) host: Option<IpAddr>,
    /// The database file, made where there is none [default: dev keeps everything in memory, start has stepcast.db]
    #[arg(long, value_name = "FILE", env = "STEPCAST_DB", hide_env_values = true)]
    pub(crate) db: Option<PathBuf>,
    /// A file with channels, as an app of Rust prints them or written by hand: how their topics are kept, and the schemas of
    /// messages; may be given several times [default: topics of any name are kept as logs, and take any JSON]
    #[arg(
        long,
        value_name = "MANIFEST",
        env = "STEPCAST_CHANNELS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) channels: Vec<PathBuf>,
    /// How long runs that have ended are kept, with a unit: s, m, h, d [default: 7d]
    #[arg(
        long,
        value_name = "TIME",
        env = "STEPCAST_RETENTION",
        hide_env_values = true
    )]
    pub(crate) retention: Option<Span>,
    /// Which channels tell pages of npm `inngest` that a run has ended; such a page closes for good: `own`, those named after the
    /// run (its id, its event's, or `runId` in the event's data); `all`, those on which it has published too; `off`, none [default: own]
    #[arg(
        long,
        value_name = "WHICH",
        env = "STEPCAST_RUN_FRAMES",
        hide_env_values = true
    )]
    pub(crate) run_frames: Option<RunFrames>,
    /// Connections of readers from one address; behind a proxy all have the proxy's [default: 1024]
    #[arg(
        long,
        value_name = "COUNT",
        env = "STEPCAST_CONNECTIONS_PER_ADDRESS",
        hide_env_values = true
    )]
    pub(crate) connections_per_address: Option<usize>,
    /// How long requests and steps have to end at a shutdown, with a unit: ms, s, m [default: 10s]
    #[arg(
        long,
        value_name = "TIME",
        env = "STEPCAST_GRACE",
        hide_env_values = true
    )]
    pub(crate) grace: Option<Span>,
}

/// What only a server in production has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[command(next_help_heading = "Keys and pages")]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Guarding {
    /// The key for everything but events: an even number of hexadecimal digits, at least 32, with or without
    /// `signkey-<env>-` before them; also read from INNGEST_SIGNING_KEY
    #[arg(
        long,
        value_name = "KEY",
        env = "STEPCAST_SIGNING_KEY",
        hide_env_values = true
    )]
    pub(crate) signing_key: Option<Secret>,
    /// A second signing key that counts too, while clients change from one to the other; also read from
    /// INNGEST_SIGNING_KEY_FALLBACK
    #[arg(
        long,
        value_name = "KEY",
        env = "STEPCAST_SIGNING_KEY_FALLBACK",
        hide_env_values = true
    )]
    pub(crate) signing_key_fallback: Option<Secret>,
    /// A key that lets events in; may be given several times; also read from INNGEST_EVENT_KEY
    #[arg(
        long,
        value_name = "KEY",
        env = "STEPCAST_EVENT_KEY",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) event_key: Vec<Secret>,
    /// An origin whose pages may read with a token, e.g. `https://app.example.com`; may be given several times
    /// [default: pages of any origin]
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "STEPCAST_CORS_ORIGIN",
        hide_env_values = true,
        value_delimiter = ','
    )]
    #[serde(deserialize_with = "origins")]
    pub(crate) cors_origin: Vec<Origin>,
    /// Where browsers reach this server, e.g. `https://rt.example.com`; tokens say it to their readers [default: what their readers
    /// know otherwise]
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "STEPCAST_PUBLIC_URL",
        hide_env_values = true
    )]
    #[serde(deserialize_with = "origin")]
    pub(crate) public_url: Option<Origin>,
    /// What signs tokens, at least 32 bytes [default: made at random and kept in the database]
    #[arg(
        long,
        value_name = "SECRET",
        env = "STEPCAST_TOKEN_SECRET",
        hide_env_values = true
    )]
    pub(crate) token_secret: Option<Secret>,
    /// Says that whoever is not on this machine comes through a proxy with TLS; keys and tokens would be readable without
    #[arg(long, env = "STEPCAST_BEHIND_TLS", hide_env_values = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub(crate) behind_tls: Option<bool>,
}

/// Which channels tell pages of npm `inngest` that a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RunFrames {
    Off,
    Own,
    All,
}

impl From<RunFrames> for runs::RunFrames {
    fn from(frames: RunFrames) -> Self {
        match frames {
            RunFrames::Off => Self::Off,
            RunFrames::Own => Self::Own,
            RunFrames::All => Self::All,
        }
    }
}

impl Serving {
    /// These settings, and for what they do not say those below.
    pub(crate) fn over(self, below: Self) -> Self {
        let Self {
            port,
            host,
            db,
            channels,
            retention,
            run_frames,
            connections_per_address,
            grace,
        } = self;
        Self {
            port: port.or(below.port),
            host: host.or(below.host),
            db: db.or(below.db),
            channels: list(channels, below.channels),
            retention: retention.or(below.retention),
            run_frames: run_frames.or(below.run_frames),
            connections_per_address: connections_per_address.or(below.connections_per_address),
            grace: grace.or(below.grace),
        }
    }
}

impl Guarding {
    /// These settings, and for what they do not say those below.
    pub(crate) fn over(self, below: Self) -> Self {
        let Self {
            signing_key,
            signing_key_fallback,
            event_key,
            cors_origin,
            public_url,
            token_secret,
            behind_tls,
        } = self;
        Self {
            signing_key: signing_key.or(below.signing_key),
            signing_key_fallback: signing_key_fallback.or(below.signing_key_fallback),
            event_key: list(event_key, below.event_key),
            cors_origin: list(cors_origin, below.cors_origin),
            public_url: public_url.or(below.public_url),
            token_secret: token_secret.or(below.token_secret),
            behind_tls: behind_tls.or(below.behind_tls),
        }
    }

    /// The keys that npm `inngest` reads from the environment too.
    pub(crate) fn of_inngest(environment: impl Fn(&str) -> Option<Secret>) -> Self {
        Self {
            signing_key: environment("INNGEST_SIGNING_KEY"),
            signing_key_fallback: environment("INNGEST_SIGNING_KEY_FALLBACK"),
            event_key: environment("INNGEST_EVENT_KEY").into_iter().collect(),
            ..Self::default()
        }
    }
}

/// A list counts as a whole.
pub(super) fn list<T>(above: Vec<T>, below: Vec<T>) -> Vec<T> {
    if above.is_empty() { below } else { above }
}

fn origin<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Origin>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

fn origins<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Origin>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let origins = texts.iter().map(|text| text.parse());
    origins
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(port: u16) -> Serving {
        Serving {
            port: Some(port),
            ..Serving::default()
        }
    }

    #[test]
    fn what_is_above_counts_and_the_rest_comes_from_below() {
        let none = Serving::default();
        for (above, below, holds) in [
            (none.clone(), none.clone(), None),
            (none.clone(), port(1), Some(1)),
            (port(2), none, Some(2)),
            (port(2), port(1), Some(2)),
        ] {
            assert_eq!(above.over(below).port, holds);
        }
        let keys = |keys: &[&str]| Guarding {
            event_key: keys.iter().map(|key| Secret::from(*key)).collect(),
            behind_tls: Some(false),
            ..Guarding::default()
        };
        let merged = keys(&["a"]).over(keys(&["b", "c"]));
        assert_eq!(merged, keys(&["a"]));
        assert_eq!(keys(&[]).over(keys(&["b", "c"])), keys(&["b", "c"]));
        let yes = Guarding {
            behind_tls: Some(true),
            ..keys(&["a"])
        };
        assert_eq!(Guarding::default().over(yes.clone()), yes);
    }

    #[test]
    fn keys_of_inngest_count_for_what_is_not_said() {
        let set = |name: &str| (name == "INNGEST_EVENT_KEY").then(|| Secret::from("theirs"));
        let inngest = Guarding::of_inngest(set);
        assert_eq!(inngest.event_key, [Secret::from("theirs")]);
        assert_eq!(inngest.signing_key, None);
        let ours = Guarding {
            event_key: vec![Secret::from("ours")],
            ..Guarding::default()
        };
        assert_eq!(ours.over(inngest).event_key, [Secret::from("ours")]);
    }
}

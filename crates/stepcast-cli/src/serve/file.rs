//! Settings as a TOML file: each option is a key of the same name, in one flat table.

use std::{fmt::Write, fs, path::Path};

use clap::{Args, Command};

use super::{
    calling::Calling,
    settings::{Guarding, Serving},
};
use crate::logging::Logging;

/// What a file says. One file does for both servers: `dev` leaves out what is for production.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct File {
    pub(super) logging: Logging,
    pub(super) serving: Serving,
    pub(super) calling: Calling,
    pub(super) guarding: Guarding,
}

/// A file that does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("configuration `{path}` cannot be read: {cause}")]
    Unreadable { path: String, cause: std::io::Error },
    #[error("configuration `{path}` is wrong: {why}")]
    Wrong { path: String, why: Wrong },
}

/// What is wrong in a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    #[error("there is no option `{key}`; the options are {known}")]
    Unknown { key: String, known: String },
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        let shown = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|why| FileError::Wrong { path: shown, why }),
            Err(cause) => Err(FileError::Unreadable { path: shown, cause }),
        }
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let table: toml::Table = toml::from_str(text)?;
        let known = options();
        if let Some(key) = table.keys().find(|key| !known.contains(key)) {
            let mut list = String::new();
            for (index, name) in known.iter().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                write!(list, "{comma}{name}").expect("a string takes everything");
            }
            return Err(Wrong::Unknown {
                key: key.clone(),
                known: list,
            });
        }
        // Each part finds what is its own, and an error says where in the text it is.
        Ok(Self {
            logging: toml::from_str(text)?,
            serving: toml::from_str(text)?,
            calling: toml::from_str(text)?,
            guarding: toml::from_str(text)?,
        })
    }
}

/// What the options are called.
fn options() -> Vec<String> {
    let command = Serving::augment_args(Command::new("options"));
    let command = Guarding::augment_args(Calling::augment_args(command));
    let command = Logging::augment_args(command);
    let mut options: Vec<_> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect();
    options.sort_unstable();
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every option, with a value.
    const ALL: &str = r#"
        port = 1
        host = "::1"
        db = "a.db"
        app = ["http://localhost:3000/api/inngest"]
        no-discovery = true
        poll-interval = "1m"
        retries = 2
        retry-interval = "1s"
        call-timeout = "1h"
        ignore-unsupported = ["throttle"]
        expose-result = ["app-f"]
        channels = ["channels.json"]
        retention = "1d"
        run-frames = "all"
        connections-per-address = 2
        grace = "3s"
        signing-key = "s"
        signing-key-fallback = "f"
        event-key = ["e1", "e2"]
        public-url = "https://rt.example.com"
        cors-origin = ["https://app.example.com"]
        token-secret = "t"
        behind-tls = true
        log = "debug"
        log-format = "json"
    "#;

    #[test]
    fn every_option_is_a_key() {
        let table: toml::Table = toml::from_str(ALL).unwrap();
        let mut keys: Vec<_> = table.keys().cloned().collect();
        keys.sort_unstable();
        assert_eq!(keys, options());
        let file = File::parse(ALL).unwrap();
        let (serving, guarding) = (&file.serving, &file.guarding);
        assert!(serving.port.is_some() && serving.host.is_some() && serving.db.is_some());
        assert_eq!(serving.channels, [Path::new("channels.json")]);
        assert!(serving.retention.is_some() && serving.grace.is_some());
        let calling = &file.calling;
        assert!(calling.app.len() == 1 && calling.no_discovery == Some(true));
        assert!(calling.poll_interval.is_some() && calling.retries == Some(2));
        assert!(calling.retry_interval.is_some() && calling.call_timeout.is_some());
        assert!(calling.ignore_unsupported.len() == 1 && calling.expose_result.len() == 1);
        assert!(serving.connections_per_address.is_some() && serving.run_frames.is_some());
        assert!(guarding.signing_key.is_some() && guarding.signing_key_fallback.is_some());
        assert!(guarding.event_key.len() == 2 && guarding.cors_origin.len() == 1);
        assert!(guarding.public_url.is_some());
        assert!(guarding.token_secret.is_some() && guarding.behind_tls == Some(true));
        assert!(file.logging.log.is_some() && file.logging.log_format.is_some());
        assert_eq!(File::parse("").unwrap(), File::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            (
                "prot = 1",
                "no option `prot`; the options are app, behind-tls",
            ),
            ("port = \"x\"", "port = \"x\""),
            ("port = 70000", "70000"),
            ("retention = \"7\"", "`7` is no length of time"),
            ("retention = 7", "retention = 7"),
            (
                "run-frames = \"some\"",
                "unknown variant `some`, expected one of `off`, `own`, `all`",
            ),
            ("cors-origin = [\"*\"]", "origin `*` is none"),
            ("public-url = \"rt\"", "origin `rt` is none"),
            ("app = [\"x\"]", "app `x` is no address"),
            ("log = \"loud\"", "loud"),
            ("port = ", "port ="),
        ] {
            let error = File::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

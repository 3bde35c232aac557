//! What a server says when it is ready.

use std::{fmt, net::SocketAddr};

use serde::Serialize;

use super::config::{Config, Database, Mode};

/// The default of `--url`.
const USUAL: &str = "http://127.0.0.1:8288";

/// What is served and where. The first line of its text, and its JSON, have the address for scripts.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Announcement {
    /// The address with the port that was bound.
    listening: String,
    mode: &'static str,
    /// The file; nothing when everything is in memory.
    database: Option<String>,
    /// The apps that are asked for their functions.
    apps: Vec<String>,
    /// Whether others are looked for.
    #[serde(skip)]
    discovery: bool,
}

impl Announcement {
    pub(super) fn of(config: &Config, bound: SocketAddr) -> Self {
        Self {
            listening: format!("http://{bound}"),
            mode: match config.mode {
                Mode::Dev => "dev",
                Mode::Production(_) => "start",
            },
            database: match &config.database {
                Database::Memory => None,
                Database::File(file) => Some(file.display().to_string()),
            },
            apps: config.apps.urls.iter().map(ToString::to_string).collect(),
            discovery: config.apps.discovery && matches!(config.mode, Mode::Dev),
        }
    }

    /// The same in the log, for those who read nothing else.
    pub(super) fn log(&self) {
        let Self {
            listening,
            mode,
            database,
            apps,
            ..
        } = self;
        let (version, database) = (env!("CARGO_PKG_VERSION"), database.as_deref());
        let database = database.unwrap_or("memory");
        tracing::info!(version, listening, mode, database, ?apps, "serving");
    }
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            listening,
            mode,
            database,
            apps,
            discovery,
        } = self;
        writeln!(f, "listening on {listening}")?;
        match database {
            Some(file) => writeln!(f, "  database  {file}")?,
            None => writeln!(
                f,
                "  database  in memory, gone when this ends; --db FILE keeps it"
            )?,
        }
        let (keys, options) = match *mode {
            "dev" => (
                "none; only programs on this machine may send, publish and read runs",
                "",
            ),
            _ => ("events, signing", " --signing-key KEY"),
        };
        writeln!(f, "  keys      {keys}")?;
        match (&**apps, discovery) {
            ([], true) => writeln!(
                f,
                "  apps      looked for on the usual ports of this machine; -u URL names one"
            )?,
            ([], false) => writeln!(
                f,
                "  apps      those that register themselves; -u URL names one"
            )?,
            (apps, _) => writeln!(f, "  apps      {}", apps.join(" "))?,
        }
        writeln!(f, "  page      {listening}/ shows apps, functions and runs")?;
        let url = match &**listening {
            USUAL => String::new(),
            other => format!(" --url {other}"),
        };
        write!(
            f,
            "  try       stepcast publish chat:1 said '\"hello\"'{url}{options}\n            stepcast tail chat:1{url}{options}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::{calling::Calling, settings::Serving};

    #[test]
    fn people_and_scripts_see_the_address_first() {
        let config = Config::dev(Serving::default(), Calling::default()).unwrap();
        let usual = Announcement::of(&config, "127.0.0.1:8288".parse().unwrap());
        let text = usual.to_string();
        assert_eq!(
            text.lines().next(),
            Some("listening on http://127.0.0.1:8288")
        );
        assert!(text.contains("page      http://127.0.0.1:8288/"), "{text}");
        assert!(
            text.contains("in memory") && !text.contains("--url"),
            "{text}"
        );
        assert!(text.contains("apps      looked for"), "{text}");
        let calling = Calling {
            no_discovery: Some(true),
            ..Calling::default()
        };
        let config = Config::dev(Serving::default(), calling).unwrap();
        let other = Announcement::of(&config, "[::1]:9".parse().unwrap());
        assert!(
            other
                .to_string()
                .contains("tail chat:1 --url http://[::1]:9")
        );
        assert!(other.to_string().contains("those that register"));
        assert_eq!(
            serde_json::to_string(&other).unwrap(),
            r#"{"listening":"http://[::1]:9","mode":"dev","database":null,"apps":[]}"#
        );
    }
}

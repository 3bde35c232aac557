//! From what was given to what holds. Pure: no file, no environment, no clock.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use stepcast_engine::runs::RunFrames;
use stepcast_http::{BadKey, Keys, Origin};
use stepcast_protocol::{
    limits,
    sdk::{SigningKey, SigningKeyError},
};

use super::{
    calling::{AppUrl, Calling, FunctionName, Unsupported},
    settings::{Guarding, Serving},
};

const PORT: u16 = 8288;
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DATABASE: &str = "stepcast.db";
const GRACE: Duration = Duration::from_secs(10);
/// Bytes of a secret that signs tokens, at least.
const SECRET_BYTES: usize = 32;

/// A server as it is to be.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) listen: SocketAddr,
    pub(super) database: Database,
    /// Manifests of channels.
    pub(super) channels: Vec<PathBuf>,
    pub(super) apps: Apps,
    pub(super) retention: Duration,
    pub(super) run_frames: RunFrames,
    pub(super) connections_per_address: usize,
    pub(super) grace: Duration,
    pub(super) mode: Mode,
}

/// Apps, and how their functions are called.
#[derive(Debug)]
pub(super) struct Apps {
    /// Where they are; where there is none, dev looks for them.
    pub(super) urls: Vec<AppUrl>,
    pub(super) discovery: bool,
    pub(super) poll: Option<Duration>,
    pub(super) retries: Option<u32>,
    /// The pause before every next attempt, instead of pauses that grow.
    pub(super) retry_interval: Option<Duration>,
    pub(super) call_timeout: Option<Duration>,
    pub(super) ignored: Vec<Unsupported>,
    pub(super) exposed: Vec<FunctionName>,
    /// What calls are signed with: the main key and those that answers may be signed with beside it.
    pub(super) signing: Option<(SigningKey, Vec<SigningKey>)>,
}

/// Where everything is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Database {
    Memory,
    File(PathBuf),
}

/// Whom the server is for.
#[derive(Debug)]
pub(super) enum Mode {
    /// Those on this machine.
    Dev,
    /// Those who know a key.
    Production(Production),
}

/// What a server in production has of its own.
#[derive(Debug)]
pub(super) struct Production {
    pub(super) keys: Keys,
    /// Pages of any origin, when there is none.
    pub(super) origins: Vec<Origin>,
    /// Where browsers reach it, if that is known.
    pub(super) public_url: Option<Origin>,
    /// The one that is kept in the database, when there is none.
    pub(super) token_secret: Option<String>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    #[error("retries are {given}, at most {} are allowed", limits::RETRIES)]
    Retries { given: u32 },
    #[error("signing key cannot be used to sign calls: {0}")]
    SigningKey(#[from] SigningKeyError),
    #[error("{cause}, and give it as {}", place(.cause))]
    Key {
        #[from]
        cause: BadKey,
    },
    #[error(
        "token secret has {bytes} bytes, at least {SECRET_BYTES} are needed; make one with `openssl rand -hex 32` and give it as \
         --token-secret or STEPCAST_TOKEN_SECRET"
    )]
    TokenSecret { bytes: usize },
    #[error(
        "public URL `{url}` is no address of a web server; give it as `https://rt.example.com`"
    )]
    PublicUrl { url: Origin },
    #[error(
        "this server speaks plain HTTP, where keys and tokens can be read on their way; put a proxy with TLS in front of it and say so \
         with --behind-tls, STEPCAST_BEHIND_TLS=true or `behind-tls = true`"
    )]
    NoTls,
}

/// Where such a key is given.
fn place(cause: &BadKey) -> &'static str {
    match cause {
        BadKey::NoEventKey | BadKey::EventKey { .. } => {
            "--event-key, STEPCAST_EVENT_KEY, INNGEST_EVENT_KEY or `event-key`"
        }
        BadKey::NoSigningKey | BadKey::SigningKey { .. } => {
            "--signing-key, STEPCAST_SIGNING_KEY, INNGEST_SIGNING_KEY or `signing-key` (a second one in the same places as a fallback)"
        }
    }
}

impl Config {
    /// A server for development.
    pub(super) fn dev(serving: Serving, calling: Calling) -> Result<Self, ConfigError> {
        let apps = Apps::of(calling, Vec::new())?;
        Ok(Self::of(serving, apps, Database::Memory, Mode::Dev))
    }

    /// A server in production: with keys that protect something, and TLS in front.
    pub(super) fn start(
        serving: Serving,
        calling: Calling,
        guarding: Guarding,
    ) -> Result<Self, ConfigError> {
        let Guarding {
            signing_key,
            signing_key_fallback,
            event_key,
            cors_origin,
            public_url,
            token_secret,
            behind_tls,
        } = guarding;
        // A fallback alone is most likely a mistake.
        let signing: Vec<String> = signing_key.map_or_else(Vec::new, |key| {
            [Some(key), signing_key_fallback]
                .into_iter()
                .flatten()
                .map(|key| key.into_text())
                .collect()
        });
        let event = event_key.into_iter().map(|key| key.into_text()).collect();
        let keys = Keys::production(event, signing.clone())?;
        let signing = signing.iter().map(|key| SigningKey::parse(key));
        let apps = Apps::of(calling, signing.collect::<Result<_, _>>()?)?;
        let token_secret = token_secret.map(|secret| secret.into_text());
        if let Some(bytes) = token_secret.as_ref().map(String::len)
            && bytes < SECRET_BYTES
        {
            return Err(ConfigError::TokenSecret { bytes });
        }
        if let Some(url) = public_url.as_ref().filter(|url| !is_of_the_web(url)) {
            return Err(ConfigError::PublicUrl { url: url.clone() });
        }
        if behind_tls != Some(true) {
            return Err(ConfigError::NoTls);
        }
        let production = Production {
            keys,
            origins: cors_origin,
            public_url,
            token_secret,
        };
        let database = Database::File(DATABASE.into());
        Ok(Self::of(
            serving,
            apps,
            database,
            Mode::Production(production),
        ))
    }

    fn of(serving: Serving, apps: Apps, database: Database, mode: Mode) -> Self {
        let Serving {
            port,
            host,
            db,
            channels,
            retention,
            run_frames,
            connections_per_address,
            grace,
        } = serving;
        Self {
            listen: SocketAddr::new(host.unwrap_or(HOST), port.unwrap_or(PORT)),
            database: db.map_or(database, Database::File),
            channels,
            apps,
            retention: retention.map_or(limits::RETENTION, |span| span.0),
            run_frames: run_frames.map_or_else(RunFrames::default, Into::into),
            connections_per_address: connections_per_address
                .unwrap_or(limits::CONNECTIONS_PER_ADDRESS),
            grace: grace.map_or(GRACE, |span| span.0),
            mode,
        }
    }
}

/// Whether browsers can ask there.
fn is_of_the_web(url: &Origin) -> bool {
    ["http://", "https://"]
        .iter()
        .any(|scheme| url.as_str().starts_with(scheme))
}

impl Apps {
    fn of(calling: Calling, mut signing: Vec<SigningKey>) -> Result<Self, ConfigError> {
        let Calling {
            app,
            no_discovery,
            poll_interval,
            retries,
            retry_interval,
            call_timeout,
            ignore_unsupported,
            expose_result,
        } = calling;
        if let Some(given) = retries.filter(|retries| *retries > limits::RETRIES) {
            return Err(ConfigError::Retries { given });
        }
        let fallback = signing.split_off(signing.len().min(1));
        Ok(Self {
            urls: app,
            discovery: no_discovery != Some(true),
            poll: poll_interval.map(|span| span.0),
            retries,
            retry_interval: retry_interval.map(|span| span.0),
            call_timeout: call_timeout.map(|span| span.0),
            ignored: ignore_unsupported,
            exposed: expose_result,
            signing: signing.pop().map(|main| (main, fallback)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{secret::Secret, serve::settings, span::Span};

    const KEY: &str = "signkey-prod-00112233445566778899aabbccddeeff";

    fn good() -> Guarding {
        Guarding {
            signing_key: Some(KEY.into()),
            event_key: vec!["events".into()],
            behind_tls: Some(true),
            ..Guarding::default()
        }
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let dev = Config::dev(Serving::default(), Calling::default()).unwrap();
        assert_eq!(dev.listen.to_string(), "127.0.0.1:8288");
        assert_eq!(dev.database, Database::Memory);
        assert_eq!(dev.grace, Duration::from_secs(10));
        assert_eq!(dev.retention, Duration::from_secs(7 * 24 * 60 * 60));
        assert_eq!(dev.run_frames, RunFrames::Own);
        assert_eq!(dev.connections_per_address, 1_024);
        let start = Config::start(Serving::default(), Calling::default(), good()).unwrap();
        assert_eq!(start.listen, dev.listen);
        assert_eq!(start.database, Database::File("stepcast.db".into()));
    }

    #[test]
    fn what_is_said_holds() {
        let serving = Serving {
            port: Some(1),
            host: Some("::".parse().unwrap()),
            db: Some("x.db".into()),
            channels: vec!["channels.json".into()],
            retention: Some(Span(Duration::from_secs(1))),
            run_frames: Some(settings::RunFrames::All),
            connections_per_address: Some(2),
            grace: Some(Span(Duration::from_secs(3))),
        };
        let calling = Calling {
            retries: Some(3),
            no_discovery: Some(true),
            ..Calling::default()
        };
        for config in [
            Config::dev(serving.clone(), calling.clone()).unwrap(),
            Config::start(serving, calling, good()).unwrap(),
        ] {
            assert_eq!(
                (config.apps.retries, config.apps.discovery),
                (Some(3), false)
            );
            let signs = matches!(config.mode, Mode::Production(_));
            assert_eq!(config.apps.signing.is_some(), signs);
            assert_eq!(config.listen.to_string(), "[::]:1");
            assert_eq!(config.database, Database::File("x.db".into()));
            assert_eq!(config.channels, [PathBuf::from("channels.json")]);
            assert_eq!(config.retention, Duration::from_secs(1));
            assert_eq!(config.run_frames, RunFrames::All);
            assert_eq!(config.connections_per_address, 2);
            assert_eq!(config.grace, Duration::from_secs(3));
        }
    }

    #[test]
    fn retries_have_a_limit() {
        let calling = Calling {
            retries: Some(21),
            ..Calling::default()
        };
        let error = Config::dev(Serving::default(), calling)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "retries are 21, at most 20 are allowed");
    }

    #[test]
    fn production_wants_keys_and_tls() {
        let secret = |text: &str| Some(Secret::from(text));
        for (guarding, part) in [
            (
                Guarding {
                    signing_key: None,
                    signing_key_fallback: secret(KEY),
                    ..good()
                },
                "there is no signing key; make one with `openssl rand -hex 32`",
            ),
            (
                Guarding {
                    event_key: Vec::new(),
                    ..good()
                },
                "there is no event key; make one with `openssl rand -hex 32`",
            ),
            (
                Guarding {
                    signing_key: secret("secret"),
                    ..good()
                },
                "6 characters",
            ),
            (
                Guarding {
                    signing_key_fallback: secret("00112233445566778899aabbccddeeff0"),
                    ..good()
                },
                "33 characters",
            ),
            (
                Guarding {
                    event_key: vec!["a/b".into()],
                    ..good()
                },
                "--event-key",
            ),
            (
                Guarding {
                    token_secret: secret("short"),
                    ..good()
                },
                "token secret has 5 bytes",
            ),
            (
                Guarding {
                    public_url: Some("ftp://rt.example.com".parse().unwrap()),
                    ..good()
                },
                "public URL `ftp://rt.example.com` is no address",
            ),
            (
                Guarding {
                    behind_tls: Some(false),
                    ..good()
                },
                "--behind-tls",
            ),
            (
                Guarding {
                    behind_tls: None,
                    ..good()
                },
                "--behind-tls",
            ),
        ] {
            let error =
                Config::start(Serving::default(), Calling::default(), guarding).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn a_fallback_key_counts_as_well() {
        let guarding = Guarding {
            signing_key_fallback: Some("ffeeddccbbaa99887766554433221100".into()),
            ..good()
        };
        let config = Config::start(Serving::default(), Calling::default(), guarding).unwrap();
        let Mode::Production(Production {
            keys: Keys::Production { signing_keys, .. },
            ..
        }) = config.mode
        else {
            panic!("{:?}", config.mode);
        };
        assert_eq!(signing_keys.len(), 2);
    }
}

//! Where a manifest comes from.

use std::{fmt, io, io::Read, path::PathBuf, str::FromStr};

use stepcast::Client;
use stepcast_protocol::{Manifest, paths};

use crate::{exit::Failure, manifest, secret::Secret, target::environment};

/// What `--from` names.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Input,
    Server(String),
    File(PathBuf),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "-" => Self::Input,
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Self::Server(url.to_owned())
            }
            file => Self::File(file.into()),
        })
    }
}

impl Source {
    pub(super) async fn read(&self, signing_key: Option<Secret>) -> Result<Manifest, Failure> {
        match self {
            Self::Input => manifest::parse("the standard input", &text(&mut io::stdin().lock())?),
            Self::File(file) => manifest::read(file),
            Self::Server(url) => fetch(url, signing_key).await,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("-"),
            Self::Server(url) => f.write_str(url),
            Self::File(file) => write!(f, "{}", file.display()),
        }
    }
}

fn text(input: &mut impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    input
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("the standard input cannot be read: {error}")))?;
    Ok(text)
}

async fn fetch(url: &str, signing_key: Option<Secret>) -> Result<Manifest, Failure> {
    if url.starts_with("https://") {
        let url = url.trim_end_matches('/').trim_end_matches(paths::MANIFEST);
        return Err(Failure::usage(format!(
            "there is no TLS in this command; use `curl -H \"Authorization: Bearer $KEY\" {url}{} | stepcast gen ts --from -`",
            paths::MANIFEST
        )));
    }
    let base = url.trim_end_matches('/').trim_end_matches(paths::MANIFEST);
    let client = Client::new(base).map_err(|error| Failure::usage(error.message()))?;
    let client = match signing_key.or_else(|| environment("INNGEST_SIGNING_KEY")) {
        Some(key) => client.with_signing_key(key.into_text()),
        None => client,
    };
    let manifest = client.manifest().await?;
    manifest::check_version(&format!("`{url}`"), manifest.version)?;
    Ok(manifest)
}

//! Where a manifest comes from.

use std::{
    fmt, io,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Deserialize;
use stepcast::Client;
use stepcast_protocol::{Manifest, manifest::VERSION, paths};

use crate::{exit::Failure, secret::Secret, target::environment};

/// What `--from` names.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Input,
    Server(String),
    File(PathBuf),
}

/// What a manifest of any version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
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
            Self::Input => parse("the standard input", &text(&mut io::stdin().lock())?),
            Self::File(file) => parse(&format!("`{}`", file.display()), &read(file)?),
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

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        let file = file.display();
        Failure::usage(format!(
            "manifest `{file}` cannot be read: {error}; have the app print one, or give the address of a server that runs it"
        ))
    })
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
    check_version(&format!("`{url}`"), manifest.version)?;
    Ok(manifest)
}

fn parse(source: &str, text: &str) -> Result<Manifest, Failure> {
    let not_one = |error: serde_json::Error| {
        Failure::usage(format!(
            "{source} is no manifest: {error}; an app prints one with `println!(\"{{}}\", app.manifest()?)`"
        ))
    };
    let Versioned { version } = serde_json::from_str(text).map_err(not_one)?;
    check_version(source, version)?;
    serde_json::from_str(text).map_err(not_one)
}

fn check_version(source: &str, version: u32) -> Result<(), Failure> {
    if version == VERSION {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{source} is a manifest of version {version}, this command reads version {VERSION}; use the `stepcast` that belongs to the app's crate"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_manifest_is_told_so() {
        assert!(parse("x", r#"{"version":1,"channels":[]}"#).is_ok());
        for (text, part) in [
            ("", "x is no manifest: EOF"),
            ("{}", "missing field `version`"),
            (r#"{"version":1}"#, "missing field `channels`"),
            (
                r#"{"version":2,"what":0}"#,
                "x is a manifest of version 2, this command reads version 1",
            ),
        ] {
            let error = parse("x", text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}

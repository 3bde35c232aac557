//! Manifests that commands are given: the channels of an app, as it prints them.

use std::path::Path;

use serde::Deserialize;
use stepcast_protocol::{Manifest, manifest::VERSION};

use crate::exit::Failure;

/// What a manifest of any version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// A file's manifest.
pub(crate) fn read(file: &Path) -> Result<Manifest, Failure> {
    parse(&format!("`{}`", file.display()), &text(file)?)
}

/// What a file says.
pub(crate) fn text(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        let file = file.display();
        Failure::usage(format!(
            "manifest `{file}` cannot be read: {error}; have an app in Rust print one, fetch it from a server that runs the app, or write it by hand"
        ))
    })
}

/// A text's manifest. `source` says where the text is from.
pub(crate) fn parse(source: &str, text: &str) -> Result<Manifest, Failure> {
    let not_one = |error: serde_json::Error| {
        Failure::usage(format!(
            "{source} is no manifest: {error}; an app in Rust prints one with `println!(\"{{}}\", app.manifest()?)`"
        ))
    };
    let Versioned { version } = serde_json::from_str(text).map_err(not_one)?;
    check_version(source, version)?;
    serde_json::from_str(text).map_err(not_one)
}

/// Refuses manifests of another version.
pub(crate) fn check_version(source: &str, version: u32) -> Result<(), Failure> {
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

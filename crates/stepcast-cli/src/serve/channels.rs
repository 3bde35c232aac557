//! Channels that no app declares, from files.

use std::path::PathBuf;

use stepcast_engine::catalog::Catalog;

use crate::{exit::Failure, manifest};

/// The channels of these manifests.
pub(super) fn declared_in(files: &[PathBuf]) -> Result<Catalog, Failure> {
    let catalog = Catalog::default();
    for file in files {
        let wrong = |cause: &dyn std::fmt::Display| {
            Failure::usage(format!("manifest `{}` is wrong: {cause}", file.display()))
        };
        for channel in manifest::read(file)?.channels {
            let spec = channel.spec().map_err(|error| wrong(&error))?;
            catalog.declare(&spec).map_err(|error| wrong(&error))?;
        }
    }
    Ok(catalog)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use stepcast_protocol::{ChannelName, Keep, TopicName};

    use super::*;

    fn declared(manifest: &str) -> Result<Catalog, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("channels.json");
        fs::write(&file, manifest).unwrap();
        declared_in(&[file]).map_err(|error| error.to_string())
    }

    fn of_one(topic: &str) -> String {
        format!(r#"{{"version":1,"channels":[{{"template":"draft:{{id}}","topics":[{topic}]}}]}}"#)
    }

    #[test]
    fn a_manifest_by_hand_needs_no_more_than_it_says() {
        let catalog = declared(&of_one(
            r#"{"name":"cursor","keep":"live"},{"name":"tokens","keep":"text","text":"token"},
               {"name":"status","schema":{"type":"string"}}"#,
        ))
        .unwrap();
        let channel = ChannelName::parse("draft:1").unwrap();
        let keep = |topic: &str| catalog.keep(&channel, &TopicName::parse(topic).unwrap());
        assert_eq!(keep("cursor"), Keep::Live);
        let field = "token".to_owned();
        assert_eq!(keep("tokens"), Keep::Text { field });
        assert_eq!(keep("status"), Keep::Log);
        let status = TopicName::parse("status").unwrap();
        assert!(catalog.check(&channel, &status, b"1").is_err());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file() {
        for (topic, part) in [
            (
                r#"{"name":"t","keep":"forever"}"#,
                "topic `t` keeps `forever`; it can keep `live`, `latest`, `text` or `log`",
            ),
            (
                r#"{"name":"t","keep":"text"}"#,
                "topic `t` keeps text and does not say of which field; add `\"text\": \"<field>\"`",
            ),
            (
                r#"{"name":"t","messages":0}"#,
                "`messages` of topic `t` is 0",
            ),
            (
                r#"{"name":"t","keep":"live","age_seconds":1}"#,
                "`age_seconds` does not bound topic `t`, which keeps `live`",
            ),
            (r#"{"name":"$t","keep":"log"}"#, "$t"),
            (r#"{"name":"t","schema":{"type":3}}"#, "schema"),
        ] {
            let error = declared(&of_one(topic)).err().unwrap();
            assert!(
                error.contains("channels.json` is") && error.contains(part),
                "{error}"
            );
        }
    }
}

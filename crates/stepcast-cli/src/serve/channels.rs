//! Channels that no app declares, from files.

use std::{collections::BTreeSet, path::PathBuf};

use serde_json::Value;
use stepcast_engine::catalog::Catalog;
use stepcast_protocol::manifest::{ChannelManifest, TopicManifest};

use crate::{exit::Failure, manifest};

/// The channels of these manifests.
pub(super) fn declared_in(files: &[PathBuf]) -> Result<Catalog, Failure> {
    let catalog = Catalog::default();
    for file in files {
        let wrong = |cause: &dyn std::fmt::Display| {
            Failure::usage(format!("manifest `{}` is wrong: {cause}", file.display()))
        };
        let text = manifest::text(file)?;
        check_keys(&text).map_err(|why| wrong(&why))?;
        for channel in manifest::parse(&format!("`{}`", file.display()), &text)?.channels {
            check(&channel).map_err(|why| wrong(&why))?;
            let spec = channel.spec().map_err(|error| wrong(&error))?;
            catalog.declare(&spec).map_err(|error| wrong(&error))?;
        }
    }
    Ok(catalog)
}

/// What a file may say, from outside to inside. Who writes by hand makes mistakes in writing, which must not go by in silence.
const KEYS: [&[&str]; 3] = [
    &["version", "channels"],
    &["template", "rust_type", "parameters", "doc", "topics"],
    &[
        "name",
        "keep",
        "text",
        "messages",
        "bytes",
        "age_seconds",
        "doc",
        "unchecked",
        "schema",
        "schema_hash",
    ],
];

/// Finds a key that means nothing. What is no manifest is found later.
fn check_keys(text: &str) -> Result<(), String> {
    let Ok(manifest) = serde_json::from_str::<Value>(text) else {
        return Ok(());
    };
    let mut level = vec![&manifest];
    for known in KEYS {
        for key in level
            .iter()
            .filter_map(|value| value.as_object())
            .flat_map(|map| map.keys())
        {
            if !known.contains(&&**key) {
                let shown: String = key.chars().take(64).collect();
                return Err(format!(
                    "`{shown}` means nothing there; the keys are {}",
                    known.join(", ")
                ));
            }
        }
        let inner = ["channels", "topics"].into_iter();
        let lists = inner.flat_map(|name| {
            level
                .iter()
                .filter_map(move |value| value.get(name)?.as_array())
        });
        level = lists.flatten().collect();
    }
    Ok(())
}

/// What a program would not print.
fn check(channel: &ChannelManifest) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for topic in &channel.topics {
        let TopicManifest {
            name,
            keep,
            text,
            unchecked,
            schema,
            ..
        } = topic;
        if !names.insert(name) {
            return Err(format!(
                "topic `{name}` of `{}` is there twice",
                channel.template
            ));
        }
        if text.is_some() && keep != "text" {
            return Err(format!(
                "topic `{name}` names a field of text and keeps `{keep}`; add `\"keep\": \"text\"`"
            ));
        }
        if *unchecked && schema.is_some() {
            return Err(format!(
                "topic `{name}` is `unchecked` and has a schema; remove one of them"
            ));
        }
    }
    Ok(())
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
            (
                r#"{"name":"t","mesages":9}"#,
                "`mesages` means nothing there; the keys are name,",
            ),
            (
                r#"{"name":"t","text":"token"}"#,
                "topic `t` names a field of text and keeps `log`",
            ),
            (
                r#"{"name":"t","unchecked":true,"schema":{}}"#,
                "is `unchecked` and has a schema",
            ),
            (
                r#"{"name":"t"},{"name":"t"}"#,
                "topic `t` of `draft:{id}` is there twice",
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

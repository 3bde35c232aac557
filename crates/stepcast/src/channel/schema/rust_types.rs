//! The Rust types that definitions were made of: names of definitions alone do not tell `a::Page` from `b::Page`, nor `Page<String>` from
//! `Page<u8>`.

use schemars::SchemaGenerator;
use serde_json::{Map, Value};
use stepcast_protocol::manifest::RUST_TYPE;

/// Puts the path of each definition's type into it, as [`RUST_TYPE`].
///
/// schemars knows them and has no function that gives them, so they are read from how a generator prints itself, once its definitions are
/// taken. Where that changes, definitions have no path, and a test here says so.
pub(super) fn mark(definitions: &mut Map<String, Value>, generator: &SchemaGenerator) {
    for (path, name) in paths(&format!("{generator:?}")) {
        if let Some(Value::Object(definition)) = definitions.get_mut(&name) {
            definition.insert(RUST_TYPE.to_owned(), path.into());
        }
    }
}

/// What stands in `schema_id_to_name: {SchemaUid("a::Page<string>", Serialize): "Page", ..}`.
fn paths(printed: &str) -> impl Iterator<Item = (String, String)> {
    let ids = printed.split_once("schema_id_to_name: {");
    let ids = ids.and_then(|(_, rest)| rest.split_once("used_schema_names"));
    ids.into_iter()
        .flat_map(|(ids, _)| ids.split("SchemaUid(").skip(1))
        .filter_map(|entry| {
            let (path, rest) = quoted(entry)?;
            let (name, _) = quoted(rest.split_once(": ")?.1)?;
            Some((path, name))
        })
}

/// A text in quotes, as `Debug` writes it, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let found = stream.next()?.ok()?;
    let end = stream.byte_offset();
    Some((found, &text[end..]))
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, generate::SchemaSettings};

    use super::*;

    mod other {
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is asked for")]
        pub(super) struct Page {
            size: u8,
        }
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is asked for")]
    struct Page<T> {
        items: Vec<T>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is asked for")]
    struct Pages {
        texts: Page<String>,
        numbers: Page<u8>,
        other: other::Page,
        time: std::time::Duration,
    }

    #[test]
    fn each_definition_has_its_path() {
        let mut generator = SchemaSettings::draft2020_12()
            .for_serialize()
            .into_generator();
        generator.subschema_for::<Pages>();
        let mut definitions = generator.take_definitions(true);
        mark(&mut definitions, &generator);
        let here = module_path!();
        for (name, path) in [
            ("Page", format!("{here}::Page<string>")),
            ("Page2", format!("{here}::Page<uint8>")),
            ("Page3", format!("{here}::other::Page")),
            ("Duration", "std::time::Duration".to_owned()),
        ] {
            assert_eq!(definitions[name][RUST_TYPE], path, "{name}");
        }
    }
}

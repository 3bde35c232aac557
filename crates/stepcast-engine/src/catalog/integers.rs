//! Integers of 64 bits in payloads: pages read numbers as floats of 64 bits, so one beyond ±(2^53−1) would be another number there. Pure.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Map, Value, json};

/// The largest integer that pages read as it was written.
const SAFE: i64 = (1 << 53) - 1;
/// Digits of the shortest integer that is not.
const DIGITS: usize = 16;
/// How schemas say that an integer has 64 bits.
const FORMATS: [&str; 4] = ["int64", "uint64", "int", "uint"];
/// What to do about one that is refused.
pub(super) const ADVICE: &str = "; pages would read another number, publish it as a string";
/// Under these stand values, not schemas.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

/// Whether a schema has integers of 64 bits.
#[must_use]
pub fn has_wide_integers(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => {
            is_wide(object) || subschemas(object).any(|(_, schema)| has_wide_integers(schema))
        }
        Value::Array(list) => list.iter().any(has_wide_integers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether a payload has so many digits in a row that they may be an integer beyond what pages can read. One that is written as a
/// power of ten is not of a Rust integer.
#[must_use]
pub fn may_hold_unsafe_integer(payload: &[u8]) -> bool {
    let runs = payload.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
    runs.into_iter()
        .any(|run| run.len() >= DIGITS && run[0].is_ascii_digit())
}

/// The schema with integers of 64 bits bound to what pages can read.
pub(super) fn bounded(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let bound = |(keyword, value): (&String, &Value)| {
                let is_value = VALUES.contains(&keyword.as_str());
                let value = if is_value {
                    value.clone()
                } else {
                    bounded(value)
                };
                (keyword.clone(), value)
            };
            let mut object: Map<_, _> = object.iter().map(bound).collect();
            if is_wide(&object) {
                tighten(&mut object, "maximum", SAFE, |old| old <= SAFE as f64);
                tighten(&mut object, "minimum", -SAFE, |old| old >= -SAFE as f64);
            }
            Value::Object(object)
        }
        Value::Array(list) => list.iter().map(bounded).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

/// The error about an integer that pages cannot read, if that is what an error is about, at least in one branch of its schema.
pub(super) fn unsafe_integer<'a>(
    error: &'a ValidationError<'a>,
) -> Option<&'a ValidationError<'a>> {
    match error.kind() {
        ValidationErrorKind::Maximum { limit } if *limit == json!(SAFE) => Some(error),
        ValidationErrorKind::Minimum { limit } if *limit == json!(-SAFE) => Some(error),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            context.iter().flatten().find_map(unsafe_integer)
        }
        _ => None,
    }
}

fn subschemas(object: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let keywords = object.iter();
    keywords.filter(|(keyword, _)| !VALUES.contains(&keyword.as_str()))
}

fn is_wide(schema: &Map<String, Value>) -> bool {
    let is_integer = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|name| name == "integer"),
        name => name.is_some_and(|name| name == "integer"),
    };
    let format = schema.get("format").and_then(Value::as_str);
    is_integer && format.is_some_and(|format| FORMATS.contains(&format))
}

fn tighten(
    schema: &mut Map<String, Value>,
    keyword: &str,
    bound: i64,
    is_tighter: impl Fn(f64) -> bool,
) {
    let old = schema.get(keyword).and_then(Value::as_f64);
    if !old.is_some_and(is_tighter) {
        schema.insert(keyword.to_owned(), json!(bound));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_64_bits_are_found_wherever_they_stand() {
        for (schema, expected) in [
            (json!({"type": "integer", "format": "int64"}), true),
            (json!({"type": ["integer", "null"], "format": "uint"}), true),
            (
                json!({"type": "array", "items": {"type": "integer", "format": "uint64"}}),
                true,
            ),
            (
                json!({"anyOf": [{"$ref": "#/$defs/N"}], "$defs": {"N": {"type": "integer", "format": "int64"}}}),
                true,
            ),
            (json!({"type": "integer", "format": "uint32"}), false),
            (json!({"type": "integer"}), false),
            (json!({"type": "number", "format": "double"}), false),
            (
                json!({"const": {"type": "integer", "format": "int64"}}),
                false,
            ),
            (json!(true), false),
        ] {
            assert_eq!(has_wide_integers(&schema), expected, "{schema}");
            assert_eq!(bounded(&schema) != schema, expected, "{schema}");
        }
    }

    #[test]
    fn tighter_bounds_stay() {
        for (bounds, expected) in [
            (
                json!({"minimum": 0}),
                json!({"minimum": 0, "maximum": SAFE}),
            ),
            (
                json!({"minimum": 0, "maximum": 9}),
                json!({"minimum": 0, "maximum": 9}),
            ),
            (
                json!({"maximum": u64::MAX}),
                json!({"minimum": -SAFE, "maximum": SAFE}),
            ),
        ] {
            let with = |bounds: &Value| {
                let mut schema = json!({"type": "integer", "format": "int64"});
                let object = schema.as_object_mut().unwrap();
                object.extend(bounds.as_object().unwrap().clone());
                schema
            };
            assert_eq!(bounded(&with(&bounds)), with(&expected));
        }
    }

    #[test]
    fn payloads_with_long_numbers_are_looked_at() {
        for (payload, expected) in [
            (r#"{"n":9007199254740992}"#, true),
            ("-9007199254740992", true),
            (r#"{"n":900719925474099,"m":1}"#, false),
            (r#"{"n":900719.9254740992}"#, false),
            ("", false),
        ] {
            assert_eq!(
                may_hold_unsafe_integer(payload.as_bytes()),
                expected,
                "{payload}"
            );
        }
    }
}

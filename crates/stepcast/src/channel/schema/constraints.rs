//! Whether a schema asks for more than a value's Rust type already guarantees.

use serde_json::Value;

/// Keywords that no Rust type says by itself.
const CONSTRAINTS: [&str; 17] = [
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "maxContains",
    "maxLength",
    "maxProperties",
    "minContains",
    "minLength",
    "minProperties",
    "multipleOf",
    "not",
    "pattern",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// Formats that JSON Schema defines for texts.
const FORMATS: [&str; 19] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "regex",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// The bounds that schemars gives integers, by format.
const BOUNDS: [(&str, Option<i64>, Option<i64>); 8] = [
    ("int8", Some(i8::MIN as i64), Some(i8::MAX as i64)),
    ("int16", Some(i16::MIN as i64), Some(i16::MAX as i64)),
    ("uint8", Some(0), Some(u8::MAX as i64)),
    ("uint16", Some(0), Some(u16::MAX as i64)),
    ("uint32", Some(0), None),
    ("uint64", Some(0), None),
    ("uint128", Some(0), None),
    ("uint", Some(0), None),
];

/// Whether a schema has constraints that the Rust type it was made of does not already guarantee: lengths, patterns,
/// ranges, formats of texts. Where not, a payload written from that type need not be checked.
///
/// In doubt the answer is yes: the length of an array `[T; 3]` looks like that of a `Vec` with a rule.
///
/// ```
/// use serde_json::json;
/// use stepcast::channel::says_more_than_type;
///
/// let byte = json!({ "type": "integer", "format": "uint8", "minimum": 0, "maximum": 255 });
/// assert!(!says_more_than_type(&byte));
/// let percent = json!({ "type": "integer", "format": "uint8", "minimum": 0, "maximum": 100 });
/// assert!(says_more_than_type(&percent));
/// ```
#[must_use]
pub fn says_more_than_type(schema: &Value) -> bool {
    let Some(object) = schema.as_object() else {
        return false;
    };
    object
        .iter()
        .any(|(keyword, value)| match keyword.as_str() {
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                !is_bound_of_type(schema, keyword, value)
            }
            "minItems" | "maxItems" => !is_tuple_length(schema, value),
            "format" => value
                .as_str()
                .is_some_and(|format| FORMATS.contains(&format)),
            "patternProperties" => maps_more_than_integers(value),
            "properties" | "$defs" => values_say_more(value),
            "prefixItems" | "allOf" | "anyOf" | "oneOf" => elements_say_more(value),
            "items" | "additionalProperties" => says_more_than_type(value),
            constraint => CONSTRAINTS.contains(&constraint),
        })
}

fn is_bound_of_type(schema: &Value, keyword: &str, value: &Value) -> bool {
    let format = schema.get("format").and_then(Value::as_str);
    let bounds = BOUNDS.iter().find(|(name, ..)| Some(*name) == format);
    bounds.is_some_and(|(_, minimum, maximum)| match keyword {
        "minimum" => value.as_i64() == *minimum,
        "maximum" => value.as_i64().is_some() && value.as_i64() == *maximum,
        _ => false,
    })
}

fn is_tuple_length(schema: &Value, length: &Value) -> bool {
    let elements = schema.get("prefixItems").and_then(Value::as_array);
    elements.is_some_and(|elements| length.as_u64() == Some(elements.len() as u64))
}

/// Maps whose keys are integers have a pattern for them.
fn maps_more_than_integers(patterns: &Value) -> bool {
    let patterns = patterns.as_object().into_iter().flatten();
    patterns.into_iter().any(|(pattern, value)| {
        !matches!(pattern.as_str(), r"^\d+$" | r"^-?\d+$") || says_more_than_type(value)
    })
}

fn values_say_more(schemas: &Value) -> bool {
    let schemas = schemas.as_object();
    schemas.is_some_and(|schemas| schemas.values().any(says_more_than_type))
}

fn elements_say_more(schemas: &Value) -> bool {
    let schemas = schemas.as_array();
    schemas.is_some_and(|schemas| schemas.iter().any(says_more_than_type))
}

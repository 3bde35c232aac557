use std::collections::HashMap;

use super::*;

/// The channel.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
enum Progress {
    /// How far it is.
    Status {
        message: String,
        step: Option<String>,
        stage: Option<Stage>,
        place: Option<Place>,
        any: serde_json::Value,
        perhaps: Option<serde_json::Value>,
        #[serde(default)]
        count: u32,
    },
    Only {
        step: Option<u8>,
    },
    Line(String),
    Pair(u8, bool),
    Deep(Place),
    Done,
    /// Gone.
    Gone,
    Within(Vec<Progress>),
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
enum Stage {
    First,
    Second,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
struct Place {
    stage: Stage,
    within: Option<Box<Place>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
enum Units {
    Started,
    Stopped,
}

fn of(variant: &str, omits_none: bool) -> Value {
    schemas::<Progress>().of_variant(variant, omits_none)
}

#[test]
fn a_topic_has_its_branch() {
    assert_eq!(of("Line", false), json!({ "type": "string" }));
    assert_eq!(of("Done", false), json!({ "type": "null" }));
    assert_eq!(
        of("Gone", false),
        json!({ "type": "null", "description": "Gone." })
    );
    assert_eq!(
        schemas::<Units>().of_variant("Stopped", false),
        json!({ "type": "null" })
    );
    assert_eq!(of("Missing", false), json!(true));
    let pair = of("Pair", false);
    assert_eq!(pair["prefixItems"][1], json!({ "type": "boolean" }));
    assert!(!says_more_than_type(&pair), "{pair}");
}

#[test]
fn optional_fields_may_be_absent_and_are_never_null() {
    let status = of("Status", true);
    assert_eq!(status["required"], json!(["message", "any", "count"]));
    assert_eq!(status["description"], "How far it is.");
    let field = |name: &str| &status["properties"][name];
    assert_eq!(*field("step"), json!({ "type": "string" }));
    assert_eq!(*field("stage"), json!({ "$ref": "#/$defs/Stage" }));
    assert_eq!(*field("place"), json!({ "$ref": "#/$defs/Place" }));
    assert_eq!(*field("any"), json!(true));
    assert_eq!(*field("perhaps"), json!(true));
    let only = of("Only", true);
    assert_eq!(only.get("required"), None, "{only}");
    let kept = of("Only", false);
    assert_eq!(kept["required"], json!(["step"]));
    assert_eq!(
        kept["properties"]["step"]["type"],
        json!(["integer", "null"])
    );
}

#[test]
fn a_schema_carries_the_definitions_it_needs() {
    let names = |variant| {
        let schema = of(variant, true);
        let definitions = schema["$defs"].as_object().cloned().unwrap_or_default();
        definitions.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names("Status"), ["Place", "Stage"]);
    assert_eq!(names("Deep"), ["Place", "Stage"]);
    assert_eq!(names("Within"), ["Place", "Progress", "Stage"]);
    assert!(names("Line").is_empty());
}

fn more<T: JsonSchema>() -> bool {
    let schema = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    says_more_than_type(&schema.into_root_schema_for::<T>().to_value())
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
struct Ruled {
    /// A property may be called as a keyword is.
    pattern: Vec<Percent>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
struct Percent(#[schemars(range(max = 100))] u8);

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
struct Unruled {
    pattern: String,
    minimum: Option<i64>,
    format: HashMap<u32, f32>,
}

#[test]
fn types_say_no_more_than_themselves() {
    assert!(!more::<(i8, i16, i32, i64, i128, isize)>());
    assert!(!more::<(u8, u16, u32, u64, u128, usize)>());
    assert!(!more::<(f32, f64, bool, String, Vec<u8>, Option<u8>)>());
    assert!(!more::<Unruled>());
    assert!(!more::<Stage>());
    assert!(!more::<Place>());
}

#[test]
fn rules_say_more() {
    assert!(more::<Ruled>());
    for rule in [
        json!({ "type": "string", "minLength": 1 }),
        json!({ "type": "string", "maxLength": 9 }),
        json!({ "type": "string", "pattern": "^a" }),
        json!({ "type": "string", "format": "date-time" }),
        json!({ "type": "string", "format": "email" }),
        json!({ "type": "number", "multipleOf": 2 }),
        json!({ "type": "integer", "minimum": 0 }),
        json!({ "type": "integer", "format": "uint32", "minimum": 1 }),
        json!({ "type": "integer", "format": "uint32", "minimum": 0, "maximum": 9 }),
        json!({ "type": "integer", "format": "int32", "exclusiveMaximum": 0 }),
        json!({ "type": "array", "minItems": 1 }),
        json!({ "properties": { "a": { "anyOf": [{ "type": "null" }, { "minLength": 1 }] } } }),
        json!({ "$ref": "#/$defs/A", "$defs": { "A": { "items": { "format": "uuid" } } } }),
        json!({ "patternProperties": { "^x": true } }),
    ] {
        assert!(says_more_than_type(&rule), "{rule}");
    }
    for type_only in [
        json!(true),
        json!({ "type": "integer", "format": "int64" }),
        json!({ "type": "string", "format": "zoned-date-time" }),
        json!({ "properties": { "minLength": { "type": "string" } }, "default": { "pattern": 1 } }),
    ] {
        assert!(!says_more_than_type(&type_only), "{type_only}");
    }
}

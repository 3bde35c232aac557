use serde_json::json;

use super::*;

fn check(expected: bool, one: &Value, other: &Value) {
    let (a, b) = (SchemaHash::of(one), SchemaHash::of(other));
    assert_eq!(a.is_compatible(&b), expected, "{one}\n{other}");
    assert_eq!(b.is_compatible(&a), expected, "{other}\n{one}");
}

fn object(properties: Value, required: Value) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

#[test]
fn what_a_reader_does_not_see_does_not_count() {
    let plain = object(
        json!({ "n": { "type": "integer", "format": "uint8", "minimum": 0 } }),
        json!(["n"]),
    );
    let other = object(
        json!({ "n": { "type": "number", "description": "How many." } }),
        json!(["n"]),
    );
    check(true, &plain, &other);
    let listed = json!({ "type": "string", "enum": ["a", "b"] });
    let documented = json!({ "oneOf": [
        { "type": "string", "const": "b", "description": "The second." },
        { "type": "string", "const": "a" },
    ] });
    check(true, &listed, &documented);
    let referred = json!({ "$ref": "#/$defs/A", "$defs": { "A": listed } });
    check(true, &listed, &referred);
    let of_two =
        json!({ "anyOf": [{ "$ref": "#/$defs/A" }, { "type": "null" }], "$defs": { "A": listed } });
    let of_three = json!({ "oneOf": [{ "type": "null" }, { "const": "b" }, { "const": "a" }] });
    check(true, &of_two, &of_three);
    check(
        true,
        &json!({ "type": ["string", "null"] }),
        &json!({ "anyOf": [{ "type": "null" }, { "type": "string" }] }),
    );
    check(true, &json!(true), &json!({ "description": "Anything." }));
}

#[test]
fn optional_fields_may_be_added_at_any_depth() {
    let before = object(json!({ "a": { "type": "string" } }), json!(["a"]));
    let after = object(
        json!({ "a": { "type": "string" }, "b": { "type": "string" } }),
        json!(["a"]),
    );
    check(true, &before, &after);
    let within = |inner: &Value| {
        json!({
            "type": "object",
            "properties": {
                "list": { "type": "array", "items": { "$ref": "#/$defs/Inner" } },
                "map": { "type": "object", "additionalProperties": { "oneOf": [{ "$ref": "#/$defs/Inner" }, { "type": "null" }] } },
                "perhaps": { "$ref": "#/$defs/Inner" },
            },
            "required": ["list", "map"],
            "$defs": { "Inner": inner },
        })
    };
    check(true, &within(&before), &within(&after));
    let changed = object(
        json!({ "a": { "type": "string" }, "b": { "type": "boolean" } }),
        json!(["a"]),
    );
    check(false, &within(&after), &within(&changed));
    check(true, &within(&before), &within(&changed));
}

#[test]
fn everything_else_counts() {
    let page = object(
        json!({ "a": { "type": "string" }, "b": { "type": "string" } }),
        json!(["a"]),
    );
    let renamed = object(
        json!({ "c": { "type": "string" }, "b": { "type": "string" } }),
        json!(["c"]),
    );
    let retyped = object(
        json!({ "a": { "type": "boolean" }, "b": { "type": "string" } }),
        json!(["a"]),
    );
    let now_optional = object(
        json!({ "a": { "type": "string" }, "b": { "type": "string" } }),
        json!([]),
    );
    let now_required = object(
        json!({ "a": { "type": "string" }, "b": { "type": "string" } }),
        json!(["a", "b"]),
    );
    let nullable = object(
        json!({ "a": { "type": ["string", "null"] }, "b": { "type": "string" } }),
        json!(["a"]),
    );
    for other in [
        renamed,
        retyped,
        now_optional,
        now_required,
        nullable,
        json!({ "type": "string" }),
        json!(true),
    ] {
        check(false, &page, &other);
    }
    let variants = |names: &[&str]| json!({ "type": "string", "enum": names });
    check(false, &variants(&["a", "b"]), &variants(&["a", "b", "c"]));
    let tuple = |kinds: &[&str]| {
        let items: Vec<_> = kinds.iter().map(|kind| json!({ "type": kind })).collect();
        json!({ "type": "array", "prefixItems": items, "minItems": kinds.len(), "maxItems": kinds.len() })
    };
    check(
        false,
        &tuple(&["string", "boolean"]),
        &tuple(&["boolean", "string"]),
    );
    check(
        false,
        &tuple(&["string"]),
        &json!({ "type": "array", "items": { "type": "string" } }),
    );
    let map = |kind: &str| json!({ "type": "object", "patternProperties": { "^\\d+$": { "type": kind } }, "additionalProperties": false });
    check(false, &map("string"), &map("boolean"));
}

fn tree(leaf: &str) -> Value {
    json!({
        "$ref": "#/$defs/Tree",
        "$defs": { "Tree": {
            "oneOf": [
                { "type": "object", "properties": { "Leaf": { "type": leaf } }, "required": ["Leaf"] },
                { "type": "object", "required": ["Node"], "properties": { "Node": {
                    "type": "array", "prefixItems": [{ "$ref": "#/$defs/Tree" }, { "$ref": "#/$defs/Tree" }],
                } } },
            ],
        } },
    })
}

#[test]
fn types_that_contain_themselves_end() {
    check(true, &tree("string"), &tree("string"));
    check(false, &tree("string"), &tree("boolean"));
    let place = |within: &str| {
        json!({
            "$ref": "#/$defs/Place",
            "$defs": {
                "Place": object(json!({ "n": { "type": "string" }, "within": { "$ref": format!("#/$defs/{within}") } }), json!(["n"])),
                "Other": { "type": "boolean" },
            },
        })
    };
    check(true, &place("Place"), &place("Place"));
    check(false, &place("Place"), &place("Other"));
}

#[test]
fn with_too_many_optional_fields_every_change_counts() {
    let fields = |count: usize| {
        let properties: Map<String, Value> = (0..count)
            .map(|index| (format!("f{index}"), json!({ "type": "string" })))
            .collect();
        object(Value::Object(properties), json!([]))
    };
    check(true, &fields(OPTIONAL_FIELDS - 1), &fields(OPTIONAL_FIELDS));
    check(
        false,
        &fields(OPTIONAL_FIELDS),
        &fields(OPTIONAL_FIELDS + 1),
    );
    check(
        false,
        &fields(OPTIONAL_FIELDS + 1),
        &fields(OPTIONAL_FIELDS + 2),
    );
    assert_eq!(
        SchemaHash::of(&fields(OPTIONAL_FIELDS + 1))
            .to_string()
            .len(),
        DIGITS
    );
}

#[test]
fn a_hash_is_text() {
    let hash = SchemaHash::of(&object(
        json!({ "a": { "type": "string" }, "b": true }),
        json!(["a"]),
    ));
    let text = hash.to_string();
    assert_eq!(text.len(), 3 * DIGITS);
    assert_eq!(text.parse(), Ok(hash));
    for bad in ["", "1234567", "123456789", "0123456g", "0123456789abcdef"] {
        assert!(bad.parse::<SchemaHash>().is_err(), "{bad}");
    }
}

/// Generated code holds hashes, so they stay what they are.
#[test]
fn hashes_are_stable() {
    let status = object(
        json!({ "message": { "type": "string" }, "step": { "type": "string" } }),
        json!(["message"]),
    );
    assert_eq!(
        SchemaHash::of(&status).to_string(),
        "51fc91728e065dff473287f8"
    );
    assert_eq!(SchemaHash::of(&tree("string")).to_string(), "ebc785d4");
}

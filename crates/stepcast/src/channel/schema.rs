//! What a topic's payload may be: its branch of the enum's JSON Schema (draft 2020-12), as schemars gives it.

use std::collections::BTreeSet;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

mod constraints;
mod rust_types;

pub use constraints::says_more_than_type;

const DEFINITIONS: &str = "#/$defs/";

/// The schemas of a channel's enum.
#[derive(Debug)]
pub struct Schemas {
    /// What is written.
    written: Value,
    /// What is read. A field that may be absent here and null there is an `Option`.
    read: Value,
    /// The definitions that [`Self::written`] names.
    definitions: Map<String, Value>,
}

/// The schemas of a channel.
#[must_use]
pub fn schemas<C: JsonSchema>() -> Schemas {
    let settings = SchemaSettings::draft2020_12;
    let (written, definitions) = schema::<C>(settings().for_serialize());
    let (read, _) = schema::<C>(settings().for_deserialize());
    Schemas {
        written,
        read,
        definitions,
    }
}

/// The enum is taken as a definition and not as a root, so that one that contains itself does not refer to a root that its
/// topics do not have.
fn schema<C: JsonSchema>(settings: SchemaSettings) -> (Value, Map<String, Value>) {
    let mut generator = settings.into_generator();
    let reference = generator.subschema_for::<C>().to_value();
    let mut definitions = generator.take_definitions(true);
    rust_types::mark(&mut definitions, &generator);
    let definition = referenced(&reference).and_then(|name| definitions.get(&name));
    (definition.cloned().unwrap_or(reference), definitions)
}

impl Schemas {
    /// The schema of a variant's content, with the definitions it needs. A `JsonSchema` that does not say what the variant
    /// is allows everything.
    pub(crate) fn of_variant(&self, variant: &str, omits_none: bool) -> Value {
        let Some(mut content) = content(&self.written, variant) else {
            return Value::Bool(true);
        };
        if omits_none {
            let read = self::content(&self.read, variant);
            make_optional(&mut content, read.as_ref());
        }
        with_definitions(content, &self.definitions)
    }
}

/// What stands under the variant's name, with the variant's description.
fn content(enumeration: &Value, variant: &str) -> Option<Value> {
    let branches = ["oneOf", "anyOf"]
        .into_iter()
        .filter_map(|keyword| enumeration.get(keyword)?.as_array())
        .flatten();
    for branch in branches.chain([enumeration]) {
        let mut content = match branch.get("properties").and_then(|all| all.get(variant)) {
            Some(content) => content.clone(),
            None if is_unit(branch, variant) => json!({ "type": "null" }),
            None => continue,
        };
        let description = branch.get("description").filter(|_| branch != enumeration);
        if let (Some(object), Some(description)) = (content.as_object_mut(), description) {
            object
                .entry("description")
                .or_insert_with(|| description.clone());
        }
        return Some(content);
    }
    None
}

fn is_unit(branch: &Value, variant: &str) -> bool {
    let is_one_of = |names: &Value| {
        let names = names.as_array();
        names.is_some_and(|names| names.iter().any(|name| name == variant))
    };
    branch.get("const").is_some_and(|name| name == variant)
        || branch.get("enum").is_some_and(is_one_of)
}

/// Fields that are left out when they are `None`: they need not be there, and are never null.
fn make_optional(content: &mut Value, read: Option<&Value>) {
    let required = |schema: &Value| names(schema.get("required"));
    let required_to_read = read.map(required).unwrap_or_default();
    let Some(object) = content.as_object_mut() else {
        return;
    };
    let mut optional = BTreeSet::new();
    if let Some(Value::Object(fields)) = object.get_mut("properties") {
        for (name, field) in fields {
            if !required_to_read.contains(name) && admits_null(field) {
                refuse_null(field);
                optional.insert(name.clone());
            }
        }
    }
    if let Some(Value::Array(required)) = object.get_mut("required") {
        required.retain(|name| name.as_str().is_none_or(|name| !optional.contains(name)));
        if required.is_empty() {
            object.remove("required");
        }
    }
}

fn names(list: Option<&Value>) -> BTreeSet<String> {
    let names = list.and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn is_null_type(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null")
}

fn admits_null(schema: &Value) -> bool {
    let Some(object) = schema.as_object() else {
        return *schema == Value::Bool(true);
    };
    let list = |keyword| object.get(keyword).and_then(Value::as_array);
    let says_nothing = ["type", "$ref", "enum", "const", "anyOf", "oneOf", "allOf"]
        .iter()
        .all(|keyword| !object.contains_key(*keyword));
    says_nothing
        || is_null_type(schema)
        || list("type").is_some_and(|types| types.iter().any(|name| name == "null"))
        || list("anyOf").is_some_and(|branches| branches.iter().any(is_null_type))
}

/// Undoes what schemars adds for `Option`. `Option<()>` stays null, as `Some(())` is.
fn refuse_null(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_mut_slice() {
            let only = only.take();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(branches)) = object.get_mut("anyOf") {
        branches.retain(|branch| !is_null_type(branch));
        unwrap_only_branch(object);
    }
}

/// `anyOf` of one schema is that schema, unless both say something under one keyword.
fn unwrap_only_branch(object: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = object.get("anyOf") else {
        return;
    };
    let [Value::Object(only)] = branches.as_slice() else {
        return;
    };
    if only.keys().any(|keyword| object.contains_key(keyword)) {
        return;
    }
    let only = only.clone();
    object.remove("anyOf");
    object.extend(only);
}

/// Adds the definitions that are named, and those that they name.
fn with_definitions(mut content: Value, definitions: &Map<String, Value>) -> Value {
    let mut needed = Map::new();
    let mut open = references(&content);
    while let Some(name) = open.pop_first() {
        let Some(definition) = definitions.get(&name) else {
            continue;
        };
        if needed.contains_key(&name) {
            continue;
        }
        open.extend(references(definition));
        needed.insert(name, definition.clone());
    }
    if let (Some(object), false) = (content.as_object_mut(), needed.is_empty()) {
        object.insert("$defs".to_owned(), Value::Object(needed));
    }
    content
}

fn references(schema: &Value) -> BTreeSet<String> {
    match schema {
        Value::Object(object) => object
            .values()
            .flat_map(references)
            .chain(referenced(schema))
            .collect(),
        Value::Array(list) => list.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeSet::new(),
    }
}

/// The definition that a schema refers to; its name is part of a JSON pointer.
fn referenced(schema: &Value) -> Option<String> {
    let path = schema.get("$ref")?.as_str()?;
    let name = path.strip_prefix(DEFINITIONS)?;
    Some(name.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests;

//! Reads JSON Schemas, as schemars writes them, as types.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use stepcast_protocol::manifest::RUST_TYPE;

use super::{
    names,
    problem::Problem,
    types::{Field, Member, Type},
};

const DEFINITIONS: &str = "#/$defs/";
const DURATION: &str = "std::time::Duration";

/// A definition: the path of its Rust type, and what it is called.
#[derive(Debug, Clone)]
pub(super) struct Definition<'a> {
    pub(super) path: &'a str,
    pub(super) name: String,
    pub(super) schema: &'a Value,
}

/// The definitions of a topic's schema, by their names in it.
pub(super) type Definitions<'a> = BTreeMap<&'a str, Definition<'a>>;

pub(super) fn definitions(schema: &Value) -> Definitions<'_> {
    let all = schema.get("$defs").and_then(Value::as_object);
    let all = all.into_iter().flatten();
    all.map(|(name, schema)| {
        let path = schema.get(RUST_TYPE).and_then(Value::as_str);
        let path = path.unwrap_or(name);
        let definition = Definition {
            path,
            name: names::of_path(path),
            schema,
        };
        (&**name, definition)
    })
    .collect()
}

/// What is said about a schema: its description, and the format of a text.
pub(super) fn doc(schema: &Value) -> String {
    let text = |keyword| schema.get(keyword).and_then(Value::as_str);
    let is_text = match schema.get("type") {
        Some(Value::String(name)) => name == "string",
        Some(Value::Array(names)) => names.iter().any(|name| name == "string"),
        _ => false,
    };
    let format = text("format").filter(|_| is_text);
    let format = format.map(|format| format!("Format: `{format}`."));
    let parts = [text("description").map(str::to_owned), format];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

/// Reads the schemas of one topic.
pub(super) struct Reader<'a> {
    pub(super) definitions: &'a Definitions<'a>,
    pub(super) warnings: &'a mut Vec<String>,
}

impl Reader<'_> {
    /// The type of a schema; `place` is where it stands, as the beginning of a sentence.
    pub(super) fn read(&mut self, schema: &Value, place: &str) -> Result<Type, Problem> {
        let object = match schema {
            Value::Object(object) => object,
            Value::Bool(false) => return Ok(Type::Never),
            _ => return Ok(Type::Unknown),
        };
        let mut parts = Vec::new();
        let own = match literals(object) {
            Some(values) => Some(one_of(&values, place)?),
            None => self.own(object, place)?,
        };
        parts.extend(own);
        if let Some(path) = object.get("$ref") {
            parts.push(self.named(path, place)?);
        }
        let has_fields = object.contains_key("properties");
        for keyword in ["oneOf", "anyOf"] {
            if let Some(branches) = list(object, keyword) {
                parts.push(self.union(branches, has_fields, place)?);
            }
        }
        for part in list(object, "allOf").into_iter().flatten() {
            parts.push(self.read(part, place)?);
        }
        Ok(Type::intersection(parts))
    }

    fn named(&self, path: &Value, place: &str) -> Result<Type, Problem> {
        let path = path.as_str().unwrap_or_default();
        let name = path.strip_prefix(DEFINITIONS).unwrap_or_default();
        let name = name.replace("~1", "/").replace("~0", "~");
        match self.definitions.get(&*name) {
            Some(definition) if definition.path == DURATION => Err(Problem::Duration {
                place: place.to_owned(),
            }),
            Some(definition) => Ok(Type::Named(definition.name.clone())),
            None => Err(no_type(place, format!("there is no definition `{path}`"))),
        }
    }

    /// A branch without any demand, beside fields, is what a flattened `Option` of an enum is when it is `None`.
    fn union(
        &mut self,
        branches: &[Value],
        has_fields: bool,
        place: &str,
    ) -> Result<Type, Problem> {
        let members = branches.iter().map(|branch| {
            let is_empty = branch.as_object().is_some_and(Map::is_empty);
            let value = if has_fields && is_empty {
                Type::Object(Vec::new())
            } else {
                self.read(branch, place)?
            };
            let doc = doc(branch);
            Ok(Member { doc, value })
        });
        Ok(Type::union(members.collect::<Result<Vec<_>, Problem>>()?))
    }

    /// What `type`, and the keywords that go with it, say.
    fn own(&mut self, object: &Map<String, Value>, place: &str) -> Result<Option<Type>, Problem> {
        let kinds = match object.get("type") {
            Some(Value::String(kind)) => vec![kind.as_str()],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ if object.contains_key("properties") => vec!["object"],
            _ => return Ok(None),
        };
        let members = kinds.into_iter().map(|kind| {
            let value = match kind {
                "null" => Type::Null,
                "boolean" => Type::Boolean,
                "string" => Type::String,
                "number" => Type::Number,
                "integer" => integer(object, place)?,
                "array" => self.array(object, place)?,
                "object" => self.object(object, place)?,
                other => return Err(no_type(place, format!("JSON has no type `{other}`"))),
            };
            Ok(Member::from(value))
        });
        let members = members.collect::<Result<Vec<_>, Problem>>()?;
        Ok(Some(Type::union(members)))
    }

    fn array(&mut self, object: &Map<String, Value>, place: &str) -> Result<Type, Problem> {
        let place = format!("{place}, in the list");
        if let Some(items) = list(object, "prefixItems") {
            let items = items.iter().map(|item| self.read(item, &place));
            return Ok(Type::Tuple(items.collect::<Result<_, _>>()?));
        }
        if object.get("maxItems") == Some(&Value::from(0)) {
            return Ok(Type::Tuple(Vec::new()));
        }
        let Some(items) = object.get("items") else {
            return Ok(Type::Array(Box::new(Type::Unknown)));
        };
        if items.get("format").is_some_and(|format| format == "uint8") {
            let text = "a list of bytes, which JSON writes as numbers; as text it is a third of that, with \
                        `#[serde_as(as = \"serde_with::base64::Base64\")]`";
            let place = place.trim_end_matches(", in the list");
            self.warnings.push(format!("{place} is {text}"));
        }
        Ok(Type::Array(Box::new(self.read(items, &place)?)))
    }

    fn object(&mut self, object: &Map<String, Value>, place: &str) -> Result<Type, Problem> {
        let properties = object.get("properties").and_then(Value::as_object);
        let rest = object.get("additionalProperties");
        let rest = rest.filter(|rest| **rest != Value::Bool(false));
        let patterns = object.get("patternProperties").and_then(Value::as_object);
        let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
            return self.record(rest, patterns, properties.is_some(), place);
        };
        if rest.is_some() || patterns.is_some() {
            let place = place.to_owned();
            return Err(Problem::FlattenedMap { place });
        }
        let required = list(object, "required");
        let mut fields = Vec::new();
        for (name, field) in properties {
            let is_required = required.is_some_and(|names| names.iter().any(|other| other == name));
            fields.push(Field {
                name: name.clone(),
                doc: doc(field),
                is_optional: !is_required,
                value: self.read(field, &format!("{place}, field `{name}`"))?,
            });
        }
        fields.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Type::Object(fields))
    }

    /// An object without fields of its own: a map, or nothing.
    fn record(
        &mut self,
        rest: Option<&Value>,
        patterns: Option<&Map<String, Value>>,
        is_closed: bool,
        place: &str,
    ) -> Result<Type, Problem> {
        let values: Vec<_> = patterns
            .into_iter()
            .flat_map(Map::values)
            .chain(rest)
            .collect();
        if values.is_empty() && is_closed {
            return Ok(Type::Record(Box::new(Type::Never)));
        }
        if values.is_empty() {
            return Ok(Type::Record(Box::new(Type::Unknown)));
        }
        let place = format!("{place}, in the map");
        let members = values
            .into_iter()
            .map(|value| self.read(value, &place).map(Member::from));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        Ok(Type::Record(Box::new(Type::union(members))))
    }
}

fn no_type(place: &str, what: String) -> Problem {
    Problem::NoType {
        place: place.to_owned(),
        what,
    }
}

fn one_of(values: &[&Value], place: &str) -> Result<Type, Problem> {
    let literals = values.iter().map(|value| match value {
        Value::Null => Ok(Type::Null.into()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Ok(Type::Literal(value.to_string()).into())
        }
        Value::Array(_) | Value::Object(_) => Err(no_type(
            place,
            format!("it is always `{value}`, and only texts, numbers and booleans can be so"),
        )),
    });
    Ok(Type::union(
        literals.collect::<Result<Vec<Member>, Problem>>()?,
    ))
}

fn integer(object: &Map<String, Value>, place: &str) -> Result<Type, Problem> {
    let format = object.get("format").and_then(Value::as_str);
    match format {
        Some("int128" | "uint128") => Err(Problem::Wide {
            place: place.to_owned(),
        }),
        _ => Ok(Type::Number),
    }
}

fn list<'a>(object: &'a Map<String, Value>, keyword: &str) -> Option<&'a Vec<Value>> {
    object.get(keyword)?.as_array()
}

fn literals(object: &Map<String, Value>) -> Option<Vec<&Value>> {
    match object.get("const") {
        Some(only) => Some(vec![only]),
        None => Some(list(object, "enum")?.iter().collect()),
    }
}

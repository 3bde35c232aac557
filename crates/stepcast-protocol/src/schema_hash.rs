//! Whether a page that was built against one schema can read what is published under another.
//!
//! A hash covers what a reader sees: names, nesting and kinds of values. Descriptions, names of types, ranges and formats of texts are not
//! in it, and whole numbers are numbers. What must be there has one hash; each field that may be absent has its own, so that fields which
//! only one side knows do not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// How often definitions are followed into each other; types that contain themselves never end.
const DEPTH: usize = 32;
/// Optional fields that have hashes of their own. Of a payload with more of them, every change counts.
const OPTIONAL_FIELDS: usize = 64;
/// Parts of a schema that are looked at for optional fields; with more, every change counts.
const PARTS: usize = 10_000;
/// Hex digits of one number.
const DIGITS: usize = 8;
const DEFINITIONS: &str = "#/$defs/";

/// What a reader sees of a topic's payloads, as a short text that stands in generated code and in handshakes.
///
/// The text is hex digits: eight for what must be there, then sixteen for each optional field, eight for where it is and eight for what.
///
/// ```
/// use serde_json::json;
/// use stepcast_protocol::SchemaHash;
///
/// let hash = |properties| SchemaHash::of(&json!({ "properties": properties, "required": ["message"] }));
/// let page = hash(json!({ "message": { "type": "string" } }));
/// let more = hash(json!({ "message": { "type": "string" }, "step": { "type": "string" } }));
/// let other = hash(json!({ "message": { "type": "integer" } }));
/// assert!(page.is_compatible(&more));
/// assert!(!page.is_compatible(&other));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaHash {
    required: u32,
    optional: BTreeSet<(u32, u32)>,
}

/// A text that is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema hash `{0}` is not hex digits, 8 and then 16 for each optional field")]
pub struct BadSchemaHash(String);

impl SchemaHash {
    /// The hash of a JSON Schema (draft 2020-12) with its definitions under `$defs`.
    #[must_use]
    pub fn of(schema: &Value) -> Self {
        let mut hasher = Hasher::new(schema, Optional::Apart);
        let mut fields = Fields::default();
        if fields.collect(&mut hasher, schema, Vec::new(), &mut Vec::new()) {
            return Self {
                required: short(hasher.hash(schema, DEPTH)),
                optional: fields.found,
            };
        }
        Self {
            required: short(Hasher::new(schema, Optional::Counted).hash(schema, DEPTH)),
            optional: BTreeSet::new(),
        }
    }

    /// Whether who was built against one of the two can read the other. Optional fields that one of them lacks do not matter.
    #[must_use]
    pub fn is_compatible(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.by_place(), other.by_place());
        self.required == other.required
            && mine
                .iter()
                .all(|(place, kinds)| theirs.get(place).is_none_or(|other| kinds == other))
    }

    fn by_place(&self) -> BTreeMap<u32, BTreeSet<u32>> {
        let mut places = BTreeMap::<_, BTreeSet<_>>::new();
        for (place, kind) in &self.optional {
            places.entry(*place).or_default().insert(*kind);
        }
        places
    }
}

impl fmt::Display for SchemaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.required)?;
        self.optional
            .iter()
            .try_for_each(|(place, kind)| write!(f, "{place:08x}{kind:08x}"))
    }
}

impl FromStr for SchemaHash {
    type Err = BadSchemaHash;

    fn from_str(text: &str) -> Result<Self, BadSchemaHash> {
        let bad = || BadSchemaHash(text.chars().take(32).collect());
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || text.len() % (2 * DIGITS) != DIGITS {
            return Err(bad());
        }
        let number = |at: usize| u32::from_str_radix(&text[at..at + DIGITS], 16).map_err(|_| bad());
        let places = (DIGITS..text.len()).step_by(2 * DIGITS);
        Ok(Self {
            required: number(0)?,
            optional: places
                .map(|at| Ok((number(at)?, number(at + DIGITS)?)))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Serialize for SchemaHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SchemaHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn short(hash: u64) -> u32 {
    u32::try_from(hash >> 32).expect("half of 64 bits are 32")
}

/// Of a word for the kind, and of parts, each with its length so that no two lists read alike.
fn hash(kind: &str, parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> u64 {
    let mut sha = Sha256::new_with_prefix(kind);
    for part in parts {
        let part = part.as_ref();
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    let digest = sha.finalize();
    let mut start = [0; 8];
    start.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(start)
}

/// The same, of parts whose order means nothing.
fn hash_set(kind: &str, parts: BTreeSet<u64>) -> u64 {
    hash(kind, parts.into_iter().map(u64::to_be_bytes))
}

/// What happens to fields that may be absent.
#[derive(Clone, Copy)]
enum Optional {
    Apart,
    Counted,
}

/// Hashes schemas by what they are followed to: whether a type has a definition of its own makes no difference.
struct Hasher<'a> {
    definitions: Option<&'a Map<String, Value>>,
    optional: Optional,
    known: BTreeMap<(&'a str, usize), BTreeSet<u64>>,
}

impl<'a> Hasher<'a> {
    fn new(root: &'a Value, optional: Optional) -> Self {
        Self {
            definitions: root.get("$defs").and_then(Value::as_object),
            optional,
            known: BTreeMap::new(),
        }
    }

    fn definition(&self, schema: &Map<String, Value>) -> Option<(&'a str, &'a Value)> {
        let path = schema.get("$ref")?.as_str()?.strip_prefix(DEFINITIONS)?;
        let name = path.replace("~1", "/").replace("~0", "~");
        let (name, definition) = self.definitions?.get_key_value(&name)?;
        Some((name, definition))
    }

    fn hash(&mut self, schema: &'a Value, depth: usize) -> u64 {
        let alternatives = self.alternatives(schema, depth);
        one_or(alternatives, "or")
    }

    /// The members of a union; one for what is none.
    fn alternatives(&mut self, schema: &'a Value, depth: usize) -> BTreeSet<u64> {
        let Some(object) = schema.as_object() else {
            let is_never = *schema == Value::Bool(false);
            return [hash(if is_never { "never" } else { "any" }, NOTHING)].into();
        };
        let mut all = Vec::new();
        if let Some((name, definition)) = self.definition(object) {
            all.push(self.definition_alternatives(name, definition, depth));
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(branches) = list(object, keyword) {
                let branches = branches.iter();
                all.push(
                    branches
                        .flat_map(|branch| self.alternatives(branch, depth))
                        .collect(),
                );
            }
        }
        for part in list(object, "allOf").into_iter().flatten() {
            all.push(self.alternatives(part, depth));
        }
        if let Some(values) = literals(object) {
            all.push(
                values
                    .iter()
                    .map(|value| hash("literal", [value.to_string()]))
                    .collect(),
            );
        } else {
            let own = self.own_alternatives(object, depth);
            if !own.is_empty() {
                all.push(own);
            }
        }
        match all.len() {
            0 => [hash("any", NOTHING)].into(),
            1 => all.remove(0),
            _ => {
                let members = all
                    .into_iter()
                    .map(|alternatives| one_or(alternatives, "or"));
                [one_or(members.collect(), "and")].into()
            }
        }
    }

    fn definition_alternatives(
        &mut self,
        name: &'a str,
        definition: &'a Value,
        depth: usize,
    ) -> BTreeSet<u64> {
        let Some(deeper) = depth.checked_sub(1) else {
            return [hash("deep", NOTHING)].into();
        };
        if let Some(known) = self.known.get(&(name, depth)) {
            return known.clone();
        }
        let found = self.alternatives(definition, deeper);
        self.known.insert((name, depth), found.clone());
        found
    }

    /// What `type`, and the keywords that go with it, say.
    fn own_alternatives(&mut self, object: &'a Map<String, Value>, depth: usize) -> BTreeSet<u64> {
        types(object)
            .into_iter()
            .map(|name| match name {
                "object" => self.object(object, depth),
                "array" => self.array(object, depth),
                "integer" => hash("number", NOTHING),
                other => hash(other, NOTHING),
            })
            .collect()
    }

    fn object(&mut self, object: &'a Map<String, Value>, depth: usize) -> u64 {
        let mut fields = BTreeSet::new();
        for (name, field, is_required) in properties(object) {
            let kind = match (is_required, self.optional) {
                (true, _) => "field",
                (false, Optional::Counted) => "optional field",
                (false, Optional::Apart) => continue,
            };
            let value = self.hash(field, depth).to_be_bytes();
            fields.insert(hash(kind, [name.as_bytes(), &value]));
        }
        for rest in rests(object) {
            let value = self.hash(rest, depth).to_be_bytes();
            fields.insert(hash("rest", [value]));
        }
        hash_set("object", fields)
    }

    fn array(&mut self, object: &'a Map<String, Value>, depth: usize) -> u64 {
        let first = list(object, "prefixItems").into_iter().flatten();
        let first: Vec<_> = first
            .map(|item| self.hash(item, depth).to_be_bytes())
            .collect();
        let items = object
            .get("items")
            .filter(|items| items.is_object() || first.is_empty());
        let rest = items.map(|items| self.hash(items, depth).to_be_bytes());
        hash(
            "array",
            [first.concat(), rest.map(Vec::from).unwrap_or_default()],
        )
    }
}

const NOTHING: [&[u8]; 0] = [];

fn one_or(hashes: BTreeSet<u64>, kind: &str) -> u64 {
    match hashes.first() {
        Some(only) if hashes.len() == 1 => *only,
        _ => hash_set(kind, hashes),
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

fn types(object: &Map<String, Value>) -> Vec<&str> {
    match object.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ if object.contains_key("properties") => vec!["object"],
        _ => Vec::new(),
    }
}

fn properties(object: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value, bool)> {
    let required = list(object, "required");
    let is_required = move |name: &str| {
        required.is_some_and(|names| names.iter().any(|required| required == name))
    };
    let properties = object.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(move |(name, field)| (name, field, is_required(name)))
}

/// What fields hold that have no name: those of maps.
fn rests(object: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let patterns = object.get("patternProperties").and_then(Value::as_object);
    let patterns = patterns.into_iter().flat_map(Map::values);
    patterns.chain(
        object
            .get("additionalProperties")
            .filter(|rest| rest.is_object()),
    )
}

/// The optional fields of a payload: where they are, and what.
#[derive(Default)]
struct Fields {
    found: BTreeSet<(u32, u32)>,
    parts: usize,
}

impl Fields {
    /// Walks through a schema; says whether it was not too large for it. `open` are the definitions that the walk is in.
    fn collect<'a>(
        &mut self,
        hasher: &mut Hasher<'a>,
        schema: &'a Value,
        path: Vec<u8>,
        open: &mut Vec<&'a str>,
    ) -> bool {
        self.parts += 1;
        if self.parts > PARTS || self.found.len() > OPTIONAL_FIELDS {
            return false;
        }
        let Some(object) = schema.as_object() else {
            return true;
        };
        if let Some((name, definition)) = hasher.definition(object)
            && !open.contains(&name)
        {
            open.push(name);
            let fits = self.collect(hasher, definition, path.clone(), open);
            open.pop();
            if !fits {
                return false;
            }
        }
        for (name, field, is_required) in properties(object) {
            let path = step(&path, "field", name.as_bytes());
            if !is_required {
                let place = short(hash("place", [&path]));
                self.found.insert((place, short(hasher.hash(field, DEPTH))));
            }
            if !self.collect(hasher, field, path, open) {
                return false;
            }
        }
        for branch in ["anyOf", "oneOf"]
            .iter()
            .filter_map(|keyword| list(object, keyword))
            .flatten()
        {
            let path = step(&path, "branch", &hasher.hash(branch, DEPTH).to_be_bytes());
            if !self.collect(hasher, branch, path, open) {
                return false;
            }
        }
        let parts = list(object, "allOf")
            .into_iter()
            .flatten()
            .map(|part| (part, path.clone()));
        let rests = rests(object).map(|rest| (rest, step(&path, "rest", b"")));
        let items = object
            .get("items")
            .map(|items| (items, step(&path, "items", b"")));
        let first = list(object, "prefixItems")
            .into_iter()
            .flatten()
            .enumerate();
        let first = first.map(|(index, item)| (item, step(&path, "item", &index.to_be_bytes())));
        parts
            .chain(rests)
            .chain(items)
            .chain(first)
            .collect::<Vec<_>>()
            .into_iter()
            .all(|(part, path)| self.collect(hasher, part, path, open))
    }
}

fn step(path: &[u8], kind: &str, name: &[u8]) -> Vec<u8> {
    hash(kind, [path, name]).to_be_bytes().to_vec()
}

#[cfg(test)]
mod tests;

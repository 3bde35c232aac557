//! Every shape that a payload can have, and values of each.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepcast::Channel;

use super::super::{names, text, write};

/// Every shape.
///
/// Ends no comment: */
#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("shapes`$:{org_id}/{class}")]
pub(super) enum Shapes {
    /// Fields that may be absent.
    #[topic(keep = "latest")]
    Options {
        /// What is said.
        message: String,
        step: Option<String>,
        stage: Option<Stage>,
        place: Option<Place>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        list: Vec<String>,
        #[serde(rename = "renamed-field")]
        renamed: bool,
        #[serde(skip)]
        skipped: u8,
    },
    /// Fields that are null.
    #[topic(null)]
    Nulls {
        step: Option<String>,
    },
    #[topic(keep = "text", text = "token")]
    Tokens {
        token: String,
    },
    Newtype(String),
    Tuple(u8, String, Option<bool>),
    /// Nothing to say.
    Unit,
    /// How far it is.
    Stage(Stage),
    External(External),
    Internal(Internal),
    Adjacent(Adjacent),
    Untagged(Untagged),
    Maps {
        texts: BTreeMap<String, f64>,
        numbers: HashMap<u32, Vec<Stage>>,
        any: serde_json::Map<String, Value>,
    },
    Flat(Flat),
    Pages {
        texts: Page<String>,
        places: Page<Place>,
        pairs: Page<(u8, bool)>,
    },
    Tree(Tree),
    Time {
        /// When it began.
        #[schemars(extend("format" = "date-time"))]
        at: String,
        #[schemars(extend("format" = "date"))]
        day: Option<String>,
    },
    Bytes(Vec<u8>),
    Anything {
        value: Value,
        more: Option<Value>,
    },
    Numbers {
        small: i8,
        large: u64,
        float: f32,
        char: char,
        unit: (),
        array: [f32; 2],
    },
    #[topic(name = "with spaces")]
    Named(Wrapper),
    Within(Vec<Shapes>),
    #[topic(unchecked)]
    Unchecked(Vec<String>),
}

/// A channel without parameters, with `backticks` and "quotes".
#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("lobby \"a\" `b`")]
pub(super) enum Lobby {
    Said(Place),
}

/// A stage.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// Nothing has happened.
    NotBegun,
    Begun,
    /// It is over,
    /// and nothing comes.
    Over,
}

/// Somewhere.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Place {
    /// From the left.
    x: i32,
    within: Option<Box<Place>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) enum External {
    Plain,
    /// One thing.
    One(u8),
    Two(u8, u8),
    Fields {
        a: Option<u8>,
    },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Internal {
    Plain,
    /// A place.
    Placed(Place),
    Fields {
        /// A field.
        a: u8,
    },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c")]
pub(super) enum Adjacent {
    Plain,
    One(u8),
    Fields { a: u8 },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Untagged {
    Number(u8),
    Text(String),
    Place(Place),
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Flat {
    name: String,
    #[serde(flatten)]
    place: Place,
    #[serde(flatten)]
    internal: Internal,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Page<T> {
    items: Vec<T>,
    next: Option<u64>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) enum Tree {
    Leaf(String),
    Node(Vec<Tree>),
}

/// A text with a meaning.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Wrapper(String);

fn place() -> Place {
    let within = Some(Box::new(Place {
        x: -1,
        within: None,
    }));
    Place { x: 1, within }
}

fn page<T>(items: Vec<T>, next: Option<u64>) -> Page<T> {
    Page { items, next }
}

fn options(step: Option<String>, stage: Option<Stage>, place: Option<Place>) -> Shapes {
    Shapes::Options {
        message: "a \"b\"\n".into(),
        list: step.iter().cloned().collect(),
        step,
        stage,
        place,
        renamed: true,
        skipped: 1,
    }
}

fn values() -> Vec<Shapes> {
    let tree = Tree::Node(vec![Tree::Leaf("a".into()), Tree::Node(vec![])]);
    let flat = |internal| {
        Shapes::Flat(Flat {
            name: "a".into(),
            place: place(),
            internal,
        })
    };
    vec![
        options(None, None, None),
        options(Some("a".into()), Some(Stage::Over), Some(place())),
        Shapes::Nulls { step: None },
        Shapes::Nulls {
            step: Some("a".into()),
        },
        Shapes::Tokens { token: "a".into() },
        Shapes::Newtype("a".into()),
        Shapes::Tuple(1, "a".into(), None),
        Shapes::Tuple(1, "a".into(), Some(true)),
        Shapes::Unit,
        Shapes::Stage(Stage::NotBegun),
        Shapes::Stage(Stage::Begun),
        Shapes::External(External::Plain),
        Shapes::External(External::One(1)),
        Shapes::External(External::Two(1, 2)),
        Shapes::External(External::Fields { a: None }),
        Shapes::Internal(Internal::Plain),
        Shapes::Internal(Internal::Placed(place())),
        Shapes::Internal(Internal::Fields { a: 1 }),
        Shapes::Adjacent(Adjacent::Plain),
        Shapes::Adjacent(Adjacent::One(1)),
        Shapes::Adjacent(Adjacent::Fields { a: 1 }),
        Shapes::Untagged(Untagged::Number(1)),
        Shapes::Untagged(Untagged::Text("a".into())),
        Shapes::Untagged(Untagged::Place(place())),
        Shapes::Maps {
            texts: [("a".to_owned(), 1.5)].into(),
            numbers: [(7, vec![Stage::Begun])].into(),
            any: json!({ "a": [1] }).as_object().unwrap().clone(),
        },
        flat(Internal::Plain),
        flat(Internal::Fields { a: 1 }),
        Shapes::Pages {
            texts: page(vec!["a".into()], None),
            places: page(vec![place()], Some(1)),
            pairs: page(vec![(1, true)], None),
        },
        Shapes::Tree(tree),
        Shapes::Time {
            at: "2026-11-25T10:00:00Z".into(),
            day: None,
        },
        Shapes::Time {
            at: "2026-11-25T10:00:00Z".into(),
            day: Some("2026-11-25".into()),
        },
        Shapes::Bytes(vec![1, 2]),
        Shapes::Anything {
            value: Value::Null,
            more: None,
        },
        Shapes::Anything {
            value: json!({ "a": 1 }),
            more: Some(json!("b")),
        },
        Shapes::Numbers {
            small: -1,
            large: 9_007_199_254_740_991,
            float: 0.5,
            char: 'a',
            unit: (),
            array: [0.5, 1.0],
        },
        Shapes::Named(Wrapper("a".into())),
        Shapes::Within(vec![Shapes::Unit, Shapes::Nulls { step: None }]),
    ]
}

/// The type that is generated for a topic's payloads.
fn type_of(code: &str, topic: &str) -> String {
    let begin = format!("    {}: {{ schema: staticSchema<", text::key(topic));
    let (_, rest) = code.split_once(&begin).unwrap();
    let (name, _) = rest.split_once('>').unwrap();
    name.to_owned()
}

/// Payloads as Rust writes them, each typed as what is generated for its topic.
pub(super) fn samples() -> String {
    let code = write(&super::manifest::<Shapes>()).unwrap().text;
    let mut topics = BTreeMap::<_, (_, Vec<_>)>::new();
    for value in values() {
        let payload = String::from_utf8(value.encode().unwrap().to_vec()).unwrap();
        let topic = &value.topic().name;
        let (_, payloads) = topics
            .entry(names::pascal(topic))
            .or_insert_with(|| (type_of(&code, topic), Vec::new()));
        payloads.push(payload);
    }
    let declared = Shapes::spec().topics.iter();
    let checked = declared.filter(|topic| topic.schema.is_some()).count();
    assert_eq!(topics.len(), checked, "each topic has a sample");
    let types: BTreeSet<_> = topics.values().map(|(name, _)| name.as_str()).collect();
    let types: Vec<_> = types.into_iter().collect();
    let mut text = format!(
        "// What Rust writes, held against what is generated for it. Written by a test of `stepcast-cli`.\nimport type {{ {} }} from \
         \"./shapes.js\";\n",
        types.join(", ")
    );
    for (topic, (name, payloads)) in &topics {
        let payloads = payloads.join(",\n  ");
        let list = names::camel(&format!("Shapes{topic}"));
        write!(
            text,
            "\nexport const {list}: {name}[] = [\n  {payloads},\n];\n"
        )
        .expect("a string takes everything");
    }
    text
}

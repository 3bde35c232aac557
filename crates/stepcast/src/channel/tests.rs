use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::*;
use crate::Channel;

#[derive(Channel, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[channel("pipeline:{job}")]
enum Pipeline {
    #[topic(keep = "latest")]
    Status {
        message: String,
        step: Option<String>,
    },
    #[topic(name = "tokens", keep = "text", text = "token")]
    Token {
        #[serde(rename = "t")]
        token: String,
    },
    Line(String),
    #[topic(keep = "live")]
    Pair(f32, Option<u8>),
    Done,
    #[topic(null)]
    Nulls {
        step: Option<String>,
    },
    Values {
        unit: (),
        value: Value,
        option: Option<Value>,
        nested: Vec<Option<u8>>,
        #[serde(skip)]
        secret: u8,
        #[serde(default, with = "hex")]
        #[schemars(with = "Option<String>")]
        color: Option<u32>,
    },
    Flat {
        step: Option<u8>,
        #[serde(flatten)]
        rest: Position,
    },
    Maybe(Option<u8>),
    Shape(Shape),
    Empty {},
    Metrics {
        load: BTreeMap<String, Vec<f64>>,
    },
    Again(Vec<Pipeline>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Position {
    x: Option<i32>,
    y: i32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Shape {
    Point,
    Circle { radius: Option<f64> },
}

/// A function that writes and reads one field, as users have.
mod hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<u32>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value
            .map(|value| format!("{value:x}"))
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u32>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let value = text.map(|text| u32::from_str_radix(&text, 16));
        value.transpose().map_err(serde::de::Error::custom)
    }
}

fn name(topic: &str) -> TopicName {
    TopicName::parse(topic).unwrap()
}

#[track_caller]
fn check(message: Pipeline, topic: &str, payload: &str) {
    assert_eq!(message.topic().name, topic);
    let encoded = message.encode().unwrap();
    assert_eq!(encoded, payload);
    assert_eq!(Pipeline::decode(&name(topic), &encoded).unwrap(), message);
}

#[test]
fn each_shape_is_its_content_alone() {
    let status = |step: Option<&str>| Pipeline::Status {
        message: "Hi \"you\"".into(),
        step: step.map(Into::into),
    };
    check(
        status(Some("a")),
        "status",
        r#"{"message":"Hi \"you\"","step":"a"}"#,
    );
    check(status(None), "status", r#"{"message":"Hi \"you\""}"#);
    check(Pipeline::Line("a".into()), "line", r#""a""#);
    check(Pipeline::Pair(0.5, None), "pair", "[0.5,null]");
    check(Pipeline::Done, "done", "null");
    check(Pipeline::Maybe(None), "maybe", "null");
    check(Pipeline::Empty {}, "empty", "{}");
}

#[test]
fn attributes_of_fields_count() {
    check(
        Pipeline::Token { token: "a".into() },
        "tokens",
        r#"{"t":"a"}"#,
    );
    check(Pipeline::Nulls { step: None }, "nulls", r#"{"step":null}"#);
    let values = |option, color| Pipeline::Values {
        unit: (),
        value: Value::Null,
        option,
        nested: vec![None],
        secret: 0,
        color,
    };
    check(
        values(None, None),
        "values",
        r#"{"unit":null,"value":null,"nested":[null]}"#,
    );
    check(
        values(Some(Value::Bool(true)), Some(255)),
        "values",
        r#"{"unit":null,"value":null,"option":true,"nested":[null],"color":"ff"}"#,
    );
    let flat = |step, x| Pipeline::Flat {
        step,
        rest: Position { x, y: 1 },
    };
    check(flat(None, None), "flat", r#"{"y":1}"#);
    check(flat(Some(1), Some(2)), "flat", r#"{"step":1,"x":2,"y":1}"#);
}

#[test]
fn enums_inside_are_tagged_as_usual() {
    check(Pipeline::Shape(Shape::Point), "shape", r#""Point""#);
    check(
        Pipeline::Shape(Shape::Circle { radius: None }),
        "shape",
        r#"{"Circle":{"radius":null}}"#,
    );
    check(
        Pipeline::Again(vec![Pipeline::Done, Pipeline::Line("a".into())]),
        "again",
        r#"["Done",{"Line":"a"}]"#,
    );
}

#[test]
fn numbers_that_json_lacks_are_refused() {
    let metrics = |number| Pipeline::Metrics {
        load: BTreeMap::from([("cpu".into(), vec![1.0, number])]),
    };
    check(metrics(2.5), "metrics", r#"{"load":{"cpu":[1.0,2.5]}}"#);
    let error = metrics(f64::NAN).encode().unwrap_err();
    assert_eq!(
        error.to_string(),
        "message of topic `metrics` cannot be written as JSON: field `load`: NaN is not a JSON number"
    );
    let error = Pipeline::Pair(f32::NEG_INFINITY, None)
        .encode()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "message of topic `pair` cannot be written as JSON: -inf is not a JSON number"
    );
}

#[test]
fn raw_json_stays_as_it_is() {
    let raw = RawValue::from_string(r#"{"a": 1.0}"#.into()).unwrap();
    let payload = Lobby::Raw(raw).encode().unwrap();
    assert_eq!(payload, r#"{"a": 1.0}"#);
    let decoded = Lobby::decode(&name("raw"), &payload).unwrap();
    assert!(matches!(decoded, Lobby::Raw(raw) if raw.get() == r#"{"a": 1.0}"#));
}

#[test]
fn what_is_no_payload_of_the_topic_is_refused() {
    for (topic, payload, expected) in [
        (
            "nope",
            "null",
            "channel `pipeline:{job}` has no topic `nope`",
        ),
        (
            "done",
            "1",
            "payload of topic `done` cannot be read: invalid type: integer `1`, expected unit at line 1 column 1",
        ),
        (
            "line",
            "\"a\" 1",
            "payload of topic `line` cannot be read: trailing characters at line 1 column 5",
        ),
        (
            "status",
            "{}",
            "payload of topic `status` cannot be read: missing field `message` at line 1 column 2",
        ),
        (
            "status",
            "[\"a\",\"b\"]",
            "payload of topic `status` cannot be read: invalid type: sequence, expected struct variant Pipeline::Status at line 1 column 0",
        ),
    ] {
        let error = Pipeline::decode(&name(topic), payload.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_channel_is_as_declared() {
    let spec = Pipeline::spec();
    assert_eq!(spec.template.as_str(), "pipeline:{job}");
    let keep = |topic| &spec.topic(&name(topic)).unwrap().keep;
    assert_eq!(*keep("status"), Keep::Latest);
    assert_eq!(*keep("tokens"), Keep::Text { field: "t".into() });
    assert_eq!(*keep("pair"), Keep::Live);
    assert_eq!(*keep("line"), Keep::Log);
    assert!(std::ptr::eq(spec, Pipeline::spec()));
}

#[derive(Channel, Serialize, Deserialize)]
#[channel("{org}:{type}")]
enum Types {
    #[topic(unchecked)]
    Changed(String),
}

#[derive(Channel, Serialize, Deserialize)]
#[channel("lobby")]
enum Lobby {
    #[topic(unchecked)]
    Said(String),
    #[topic(unchecked)]
    Raw(Box<RawValue>),
}

#[test]
fn parameters_make_names() {
    assert_eq!(Lobby::at().name().unwrap().as_str(), "lobby");
    assert_eq!(Pipeline::at(7).name().unwrap().as_str(), "pipeline:7");
    let params = TypesParams {
        org: "acme".into(),
        r#type: "a".into(),
    };
    assert_eq!(Types::at(params).name().unwrap().as_str(), "acme:a");
    assert!(Types::spec().topics[0].schema.is_none());
}

#[test]
fn bad_parameters_are_answered_at_use() {
    for (value, expected) in [
        (
            "a:b",
            "channel parameter `job` is \"a:b\"; it may not contain `:`",
        ),
        (
            "",
            "channel parameter `job` is empty; give it 1 to 128 bytes",
        ),
        (
            "a\n",
            "channel parameter `job` is \"a\\n\"; it may not contain control characters",
        ),
    ] {
        let at = Pipeline::at(value);
        assert_eq!(at.clone().name().unwrap_err().to_string(), expected);
    }
    let debug = format!("{:?}", Pipeline::at("j1"));
    assert_eq!(debug, "ChannelAt(Ok(\"pipeline:j1\"))");
}

#[derive(Channel, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[channel("bounded")]
enum Bounded {
    #[topic(messages = 100, bytes = 65_536, age = "7d")]
    Log(u8),
    #[topic(keep = "latest", age = "90s")]
    Latest(u8),
    Default(u8),
}

#[test]
fn bounds_are_those_of_the_topic_and_then_the_servers() {
    use std::time::Duration;
    let default = stepcast_protocol::Bounds::default();
    let bounds = |index: usize| Bounded::spec().topics[index].retention.or(default);
    let log = bounds(0);
    assert_eq!((log.messages, log.bytes), (100, 65_536));
    assert_eq!(log.age, Duration::from_secs(7 * 24 * 60 * 60));
    assert_eq!(bounds(1).age, Duration::from_secs(90));
    assert_eq!(bounds(1).messages, default.messages);
    assert_eq!(bounds(2), default);
}

#[test]
fn a_channel_says_what_it_is_called_in_rust_and_what_is_written_about_it() {
    /// Progress.
    ///
    /// Of everything.
    #[derive(Channel, Serialize, Deserialize, JsonSchema)]
    #[channel("documented")]
    enum Documented {
        /// One line.
        #[topic(unchecked)]
        Line(String),
        Silent(u8),
    }

    let spec = Documented::spec();
    assert_eq!(spec.rust_type, format!("{}::Documented", module_path!()));
    assert_eq!(spec.doc, "Progress.\n\nOf everything.");
    let docs: Vec<_> = spec.topics.iter().map(|topic| &*topic.doc).collect();
    assert_eq!(docs, ["One line.", ""]);
}

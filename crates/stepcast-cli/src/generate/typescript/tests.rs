//! What each Rust shape becomes. `shapes.ts` is what is generated, `samples.ts` what Rust writes, which the package's compilers hold against
//! it. `BLESS=1 cargo test -p stepcast-cli` writes both anew.

use std::{env, fs, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepcast::{App, Channel};
use stepcast_protocol::{Manifest, TopicName};

use super::*;

mod shapes;

fn check(file: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../packages/stepcast/test/generated")
        .join(file);
    if env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let held = fs::read_to_string(&path).unwrap();
    assert_eq!(text, held, "{file}; BLESS=1 writes it anew");
}

fn manifest<C: Channel>() -> Manifest {
    App::new("test").channel::<C>().manifest().unwrap()
}

fn problem<C: Channel>() -> String {
    write(&manifest::<C>()).unwrap_err().to_string()
}

#[test]
fn each_shape_becomes_what_is_recorded() {
    let app = App::new("shapes")
        .channel::<shapes::Shapes>()
        .channel::<shapes::Lobby>();
    let code = write(&app.manifest().unwrap()).unwrap();
    check("shapes.ts", &code.text);
    let warning = |place: &str| {
        format!(
            "{place} is a list of bytes, which JSON writes as numbers; as text it is a third of that, with \
             `#[serde_as(as = \"serde_with::base64::Base64\")]`"
        )
    };
    let within = format!("`{}::shapes::Shapes`, field `Bytes`", module_path!());
    let topic = "topic `bytes` of channel `shapes`$:{org_id}/{class}`";
    assert_eq!(code.warnings, [warning(&within), warning(topic)]);
}

#[test]
fn what_rust_writes_is_recorded_to_be_held_against_the_types() {
    check("samples.ts", &shapes::samples());
}

#[test]
fn the_order_of_declaration_does_not_matter() {
    let one = App::new("a")
        .channel::<shapes::Shapes>()
        .channel::<shapes::Lobby>();
    let other = App::new("a")
        .channel::<shapes::Lobby>()
        .channel::<shapes::Shapes>();
    let text = |app: &App| write(&app.manifest().unwrap()).unwrap().text;
    assert_eq!(text(&one), text(&other));
}

macro_rules! channel {
    ($name:ident $body:tt) => {
        #[derive(Channel, Serialize, Deserialize, JsonSchema)]
        #[channel("wrong")]
        enum $name $body
    };
}

#[test]
fn what_serde_writes_unlike_anybody_expects_is_refused() {
    use std::{collections::HashMap, time::Duration};

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Times {
        all: Vec<Duration>,
    }
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Flat {
        name: String,
        #[serde(flatten)]
        rest: HashMap<String, u32>,
    }
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct FlatAny {
        name: String,
        #[serde(flatten)]
        rest: HashMap<String, Value>,
    }
    channel!(Direct { Took { time: Duration } });
    channel!(Optional { Took { time: Option<Duration> } });
    channel!(Within { Took(Times) });
    channel!(Wide { Count { count: u128 } });
    channel!(WideSigned { Count(Vec<i128>) });
    channel!(FlatMap { Row(Flat) });
    channel!(FlatAnyMap { Row(FlatAny) });
    for (problem, place, advice) in [
        (
            problem::<Direct>(),
            "topic `took` of channel `wrong`, field `time` is a `std::time::Duration`",
            "DurationMilliSeconds",
        ),
        (
            problem::<Optional>(),
            "topic `took` of channel `wrong`, field `time` is a",
            "DurationMilliSeconds",
        ),
        (
            problem::<Within>(),
            "::Times`, field `all`, in the list is a `std::time::Duration`",
            "DurationMilliSeconds",
        ),
        (
            problem::<Wide>(),
            "topic `count` of channel `wrong`, field `count` is a whole number of 128 bits",
            "DisplayFromStr",
        ),
        (
            problem::<WideSigned>(),
            "in the list is a whole number of 128 bits",
            "DisplayFromStr",
        ),
        (
            problem::<FlatMap>(),
            "::Flat` has fields of its own and a flattened map",
            "give the map a field",
        ),
        (
            problem::<FlatAnyMap>(),
            "::FlatAny` has fields of its own and a flattened map",
            "give the map a field",
        ),
    ] {
        assert!(problem.contains(place), "{problem}");
        assert!(problem.contains(advice), "{problem}");
    }
}

mod one {
    #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    pub(super) struct Place {
        x: u8,
    }

    #[derive(stepcast::Channel, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    #[channel("one")]
    pub(super) enum Pipeline {
        At(Place),
    }
}

mod other {
    #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    pub(super) struct Place {
        name: String,
    }

    #[derive(stepcast::Channel, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    #[channel("other")]
    pub(super) enum Pipeline {
        Of(super::one::Place),
    }
}

#[test]
fn two_things_of_one_name_are_refused_with_both_their_paths() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct BothAt(u8);
    channel!(Both { At(one::Place), To(other::Place) });
    channel!(Own { At(u8), Where(OwnAt) });
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct OwnAt {
        x: BothAt,
    }
    let here = module_path!();
    assert_eq!(
        problem::<Both>(),
        format!(
            "`Place` would be both `{here}::one::Place` and `{here}::other::Place`; give one of them another name, e.g. with \
             `#[schemars(rename = \"..\")]`"
        )
    );
    let own = problem::<Own>();
    assert!(
        own.contains(&format!("`{here}::Own, topic at` and `{here}::OwnAt`")),
        "{own}"
    );
    let channels = App::new("a")
        .channel::<one::Pipeline>()
        .channel::<other::Pipeline>();
    let channels = write(&channels.manifest().unwrap())
        .unwrap_err()
        .to_string();
    let both =
        format!("`pipeline` would be both `{here}::one::Pipeline` and `{here}::other::Pipeline`");
    assert!(channels.contains(&both), "{channels}");
}

#[test]
fn names_that_mean_something_else_are_refused() {
    mod words {
        #[derive(stepcast::Channel, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[channel("c")]
        pub(super) enum Class {
            Done,
        }

        #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub(super) struct Record {
            x: u8,
        }
    }
    channel!(Uses { Row(words::Record) });
    for (problem, name) in [
        (problem::<words::Class>(), "`class`"),
        (problem::<Uses>(), "`Record`"),
    ] {
        assert!(
            problem.contains(&format!(
                "would be called {name}, which means something else"
            )),
            "{problem}"
        );
    }
    // The derive refuses such topics; others write manifests too.
    for reserved in ["name", "topics", "then", "constructor", "__proto__", "$run"] {
        let mut manifest = manifest::<one::Pipeline>();
        manifest.channels[0].topics[0].name = TopicName::parse(reserved).unwrap();
        let problem = write(&manifest).unwrap_err().to_string();
        assert!(
            problem.starts_with(&format!(
                "topic `{reserved}` of channel `one` has a reserved name"
            )),
            "{problem}"
        );
    }
    let mut twice = manifest::<one::Pipeline>();
    twice.channels[0].template = "c:{run_id}:{runId}".into();
    let problem = write(&twice).unwrap_err().to_string();
    assert!(
        problem.starts_with(
            "parameters `run_id` and `runId` of channel `c:{run_id}:{runId}` would both be `runId`"
        ),
        "{problem}"
    );
}

#[test]
fn a_topic_whose_payloads_have_a_named_type_has_none_of_its_own() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct NamedStatus {
        message: String,
    }
    channel!(Named { Status(NamedStatus) });
    let text = write(&manifest::<Named>()).unwrap().text;
    assert!(
        text.contains("    status: { schema: staticSchema<NamedStatus>()"),
        "{text}"
    );
    let declaration = "export interface NamedStatus {\n  message: string;\n}\n";
    assert!(text.contains(declaration), "{text}");
    assert_eq!(text.matches("NamedStatus").count(), 2, "{text}");
}

#[test]
fn what_is_no_identifier_on_the_wire_has_one_in_typescript() {
    let mut manifest = manifest::<one::Pipeline>();
    let channel = &mut manifest.channels[0];
    channel.template = "c:{1x}:{größe}:{_}:{class}".into();
    channel.topics[0].name = TopicName::parse("m²").unwrap();
    channel.topics[0].schema = Some(json!({ "type": "string" }));
    let text = write(&manifest).unwrap().text;
    for part in [
        "  name: ({ \"1x\": parameter1_, grE, _, class: class_ }: { \"1x\": string; grE: string; _: string; class: string }) => \
         `c:${parameter1_}:${grE}:${_}:${class_}`,\n",
        "    \"m²\": { schema: staticSchema<PipelineM>(), ",
        "export type PipelineM = string;\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn names_that_are_no_identifiers_are_refused_with_their_paths() {
    let mut channel = manifest::<one::Pipeline>();
    channel.channels[0].rust_type = "app::Größe".into();
    let mut definition = manifest::<one::Pipeline>();
    definition.channels[0].topics[0].schema = Some(json!({
        "$ref": "#/$defs/Maß",
        "$defs": { "Maß": { "type": "string", "x-rust-type": "app::Maß" } },
    }));
    let mut template = manifest::<one::Pipeline>();
    template.channels[0].rust_type = String::new();
    template.channels[0].template = "1:{a}".into();
    for (manifest, path, name) in [
        (channel, "app::Größe", "größe"),
        (definition, "app::Maß", "Maß"),
        (template, "1:{a}", "1"),
    ] {
        let problem = write(&manifest).unwrap_err().to_string();
        let begin = format!("`{path}` would be called `{name}`, which is no name of ASCII letters");
        assert!(problem.starts_with(&begin), "{problem}");
        assert!(problem.contains("rename it"), "{problem}");
    }
}

#[test]
fn a_schema_that_nobody_derives_is_refused_and_not_guessed() {
    for (schema, part) in [
        (
            json!({ "$ref": "#/$defs/Gone" }),
            "there is no definition `#/$defs/Gone`",
        ),
        (json!({ "const": { "a": 1 } }), "it is always `{\"a\":1}`"),
        (json!({ "type": "date" }), "JSON has no type `date`"),
    ] {
        let mut manifest = manifest::<one::Pipeline>();
        manifest.channels[0].topics[0].schema = Some(schema);
        let problem = write(&manifest).unwrap_err().to_string();
        assert!(problem.contains(part), "{problem}");
    }
}

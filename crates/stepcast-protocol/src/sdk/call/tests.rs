use serde_json::Value;

use super::*;
use crate::{
    names::EventName,
    sdk::{
        Failure, Json, canonical,
        exchange::{self, Exchange, Kind},
    },
    timestamp::Timestamp,
};

fn json(value: &Value) -> Json {
    Json::parse(value.to_string().as_bytes()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn event(value: &Value) -> SdkEvent {
    SdkEvent::new(
        EventName::parse(text(&value["name"])).unwrap(),
        json(&value["data"]),
        text(&value["id"]),
        Timestamp::from_millis(value["ts"].as_i64().unwrap()),
    )
}

fn memo(value: &Value) -> Memo {
    if value.is_null() {
        Memo::Over
    } else if value.get("name").is_some() {
        Memo::Event(event(value))
    } else if let Some(error) = value.get("error") {
        Memo::Failed(Failure::read(error.to_string().as_bytes()))
    } else if let Some(signal) = value["data"].get("signal") {
        Memo::Signal {
            signal: text(signal),
            data: json(&value["data"]["data"]),
        }
    } else {
        Memo::Data(json(&value["data"]))
    }
}

/// The call that a recorded body stands for.
fn call(recorded: &Exchange) -> Call {
    let body: Value = serde_json::from_str(&recorded.body).unwrap();
    let target = recorded.url.rsplit_once("stepId=").unwrap().1.parse();
    let ctx = &body["ctx"];
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    let steps = body["steps"].as_object().unwrap();
    Call {
        target: target.map_or(Target::Function, Target::Step),
        run: text(&ctx["run_id"]).parse().unwrap(),
        attempt: number(&ctx["attempt"]),
        max_attempts: number(&ctx["max_attempts"]),
        events: body["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(event)
            .collect(),
        steps: steps
            .iter()
            .map(|(hash, value)| (hash.parse().unwrap(), memo(value)))
            .collect(),
        stack: serde_json::from_value(ctx["stack"]["stack"].clone()).unwrap(),
        immediate: if ctx["disable_immediate_execution"] == true {
            Immediate::Planned
        } else {
            Immediate::Allowed
        },
        dispatch: Dispatch {
            request: text(&ctx["request_id"]),
            job: text(&ctx["job_id"]),
            generation: ctx["generation_id"].as_u64().unwrap(),
            checkpoints: Checkpoints::On {
                function: text(&ctx["fn_id"]),
                queue_item: text(&ctx["qi_id"]),
            },
        },
        version: match body["version"].as_i64().unwrap() {
            2 => ProtocolVersion::Two,
            _ => ProtocolVersion::Chosen,
        },
    }
}

#[test]
fn every_recorded_call_is_written_as_it_was() {
    let calls = exchange::all(Kind::Call);
    assert_eq!(calls.len(), 32);
    for (recording, recorded) in calls {
        assert_eq!(canonical(&recorded.body).unwrap(), recorded.body);
        let body: Value = serde_json::from_str(&recorded.body).unwrap();
        let call = call(&recorded);
        let written = call.body().unwrap();
        assert_eq!(written.state, State::Inline);
        // The recorded server leaves the place in the stack at 0 when steps were reported before the answer.
        let current = |value: &Value| format!(r#""current":{}"#, value["ctx"]["stack"]["current"]);
        let ours: Value = serde_json::from_str(&written.json).unwrap();
        let expected = recorded.body.replace(&current(&body), &current(&ours));
        assert_eq!(written.json, expected, "{recording}");
        let (start, _) = recorded.url.rsplit_once("stepId=").unwrap();
        let url = StepUrl::parse(&format!("http://a{start}stepId=step")).unwrap();
        assert_eq!(call.url(&url), format!("http://a{}", recorded.url));
        for (name, value) in call.headers() {
            assert_eq!(recorded.headers.get(name), Some(&value), "{name}");
        }
    }
}

#[test]
fn without_checkpoints_the_function_is_not_named() {
    let calls = exchange::all(Kind::Call);
    let mut call = call(&calls[0].1);
    call.dispatch.checkpoints = Checkpoints::Off;
    let body: Value = serde_json::from_str(&call.body().unwrap().json).unwrap();
    assert_eq!(body["ctx"].get("fn_id"), None);
    assert_eq!(body["ctx"].get("qi_id"), None);
}

#[test]
fn too_much_state_is_left_out() {
    let calls = exchange::all(Kind::Call);
    let mut call = call(&calls[0].1);
    let large = format!("\"{}\"", "x".repeat(limits::CALL_BYTES));
    let large = Memo::Data(Json::parse(large.as_bytes()).unwrap());
    call.steps.insert(StepHash::of("a"), large);
    call.stack.push(StepHash::of("a"));
    let written = call.body().unwrap();
    assert_eq!(written.state, State::Fetched);
    let body: Value = serde_json::from_str(&written.json).unwrap();
    assert_eq!(
        (&body["use_api"], &body["ctx"]["use_api"]),
        (&true.into(), &true.into())
    );
    assert_eq!(body["steps"], serde_json::json!({}));
    assert_eq!(body["events"], serde_json::json!([]));
    assert_eq!(body["event"]["name"], "app/generate.adapted");
    assert_eq!(body["ctx"]["stack"]["current"], 1);
}

#[test]
fn memos_of_every_kind() {
    let json = |text: &str| Json::parse(text.as_bytes()).unwrap();
    for (memo, expected) in [
        (Memo::Data(json("{\"n\": 1.0}")), r#"{"data":{"n":1}}"#),
        (Memo::Over, "null"),
        (Memo::Input(json("[1]")), r#"{"input":[1]}"#),
        (
            Memo::Signal {
                signal: "s".to_owned(),
                data: json("null"),
            },
            r#"{"data":{"data":null,"signal":"s"}}"#,
        ),
        (
            Memo::Failed(Failure::invoke_timed_out()),
            r#"{"error":{"__serialized":true,"message":"Timed out waiting for invoked function to complete","name":"InngestInvokeTimeoutError","stack":""}}"#,
        ),
    ] {
        let written = serde_json::to_string(&memo).unwrap();
        assert_eq!(canonical(&written).unwrap(), expected);
    }
}

#[test]
fn a_value_that_cannot_be_canonical_is_refused() {
    let calls = exchange::all(Kind::Call);
    let mut call = call(&calls[0].1);
    let large = Memo::Data(Json::parse(b"[1e999]").unwrap_or_default());
    call.steps.insert(StepHash::of("a"), large);
    assert_eq!(
        call.body().unwrap_err().to_string(),
        "number `1e999` is beyond ±1.8e308"
    );
}

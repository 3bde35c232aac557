use serde_json::{Value, json};

use super::*;
use crate::sdk::exchange::{self, Exchange, Kind};

const RUN: &str = "01M84YTAFEJG1VX3CGPAMX72M2";

fn value(json: &Json) -> Value {
    serde_json::from_str(json.get()).unwrap()
}

fn parse(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

fn function(id: &str) -> FunctionId {
    FunctionId::parse(id).unwrap()
}

fn trigger() -> SdkEvent {
    SdkEvent::new(
        EventName::parse("lab/fail").unwrap(),
        parse(r#"{"runId":"q10"}"#),
        "01M84YTA8JRMF51X858G1AY9EW".to_owned(),
        Timestamp::from_millis(1_795_462_867_218),
    )
}

/// The event of a recorded call.
fn recorded(recording: &str, function: &str) -> Value {
    let is_it = |exchange: &Exchange| exchange.url.contains(&format!("fnId={function}&"));
    let calls = exchange::all(Kind::Call);
    let mut calls = calls.iter();
    let (_, call) = calls
        .find(|(name, call)| *name == recording && is_it(call))
        .unwrap();
    let body: Value = serde_json::from_str(&call.body).unwrap();
    body["event"].clone()
}

fn end(ending: Ending<'_>) -> Vec<(String, Value, Option<String>)> {
    let function = function("peerlab-failer");
    let end = RunEnd {
        run: RUN.parse().unwrap(),
        function: &function,
        events: &[trigger()],
        caller: None,
        ending,
    };
    let parts = |event: InternalEvent| (event.name.to_string(), value(&event.data), event.key);
    end.events().into_iter().map(parts).collect()
}

#[test]
fn a_failure_is_told_as_it_was_recorded() {
    let answers = exchange::all(Kind::Answer);
    let (_, answer) = answers.iter().find(|(name, _)| *name == "12").unwrap();
    let failure = Failure::read(answer.body.as_bytes());
    let mut expected = recorded("12", "peerlab-failer-failure")["data"].clone();
    // The recorded server writes `user` in `event`, but not in `events`.
    expected["events"][0]["user"] = json!({});
    expected["event"]["user"] = json!({});
    let key = Some(RUN.to_owned());
    assert_eq!(
        end(Ending::Failed(&failure)),
        [
            (FUNCTION_FAILED.to_owned(), expected.clone(), key),
            (FUNCTION_FINISHED.to_owned(), expected, None),
        ]
    );
}

#[test]
fn other_ends() {
    let data = |status: &str| {
        let event = value(&Json::of(&trigger()));
        json!({
            "function_id": "peerlab-failer", "run_id": RUN, "event": event, "events": [event], "_inngest": {"status": status},
        })
    };
    let mut completed = data("Completed");
    completed["result"] = json!({"a": 1});
    assert_eq!(
        end(Ending::Completed(&parse(r#"{"a":1}"#))),
        [(FUNCTION_FINISHED.to_owned(), completed, None)]
    );
    let key = Some(RUN.to_owned());
    assert_eq!(
        end(Ending::Cancelled),
        [
            (FUNCTION_CANCELLED.to_owned(), data("Cancelled"), key),
            (FUNCTION_FINISHED.to_owned(), data("Cancelled"), None),
        ]
    );
}

#[test]
fn an_invocation_says_who_called() {
    let text = "01M84YT6J1ZSPFXKM68AW9X97T.93f72581df96e9a8f01f1481b3570b4e9370a0a6";
    let caller: Caller = text.parse().unwrap();
    assert_eq!(caller.to_string(), text);
    let (calling, called) = (function("peerlab-parent"), function("peerlab-child"));
    let data = parse(r#"{"who":"peer","_inngest":"forged"}"#);
    let mut invocation = Invocation {
        caller,
        calling: &calling,
        name: "call-child",
        called: &called,
        data: &data,
        expires: Timestamp::from_millis(1_826_998_863_465),
    };
    let event = invocation.event();
    let ours = value(&event.data);
    let recorded = recorded("10", "peerlab-child");
    assert_eq!(recorded["name"], *event.name);
    assert_eq!(ours["who"], recorded["data"]["who"]);
    for key in ["fn_id", "correlation_id", "expire", "name"] {
        assert_eq!(
            ours["_inngest"][key], recorded["data"]["_inngest"][key],
            "{key}"
        );
    }
    let nothing = parse("null");
    invocation.data = &nothing;
    let keys = value(&invocation.event().data);
    assert_eq!(keys.as_object().unwrap().len(), 1);
}

#[test]
fn values_keep_their_bytes() {
    let (function, data) = (function("a-b"), parse(r#"{"n": 1.50, "\u0061": 1}"#));
    let event = Invocation {
        caller: format!("{RUN}.{}", StepHash::of("a")).parse().unwrap(),
        calling: &function,
        name: "n",
        called: &function,
        data: &data,
        expires: Timestamp::from_millis(0),
    }
    .event();
    assert!(event.data.get().contains(r#""n":1.50"#), "{:?}", event.data);
    assert_eq!(value(&event.data)["a"], 1);
}

#[test]
fn a_time_is_one_event() {
    let event = CronTick {
        cron: "TZ=Europe/Berlin 0 0 * * *",
        scheduled_at: Timestamp::from_millis(1_795_462_800_000),
        fire_at: Timestamp::from_millis(1_795_462_807_000),
    }
    .event();
    assert_eq!(event.key.as_deref(), Some("2026-11-23T19:40:00.000Z"));
    assert_eq!(
        value(&event.data),
        json!({
            "cron": "TZ=Europe/Berlin 0 0 * * *",
            "scheduledAt": "2026-11-23T19:40:00.000Z",
            "fireAt": "2026-11-23T19:40:07.000Z",
        })
    );
}

#[test]
fn callers_that_are_none_are_named() {
    for text in ["", "a.b", RUN, "01M84YTAFEJG1VX3CGPAMX72M2.step"] {
        let error = text.parse::<Caller>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{text}` is not")), "{error}");
    }
}

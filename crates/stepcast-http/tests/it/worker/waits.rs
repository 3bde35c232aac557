//! Sleeping, and waiting for events, signals and other functions.

use std::time::Duration;

use serde_json::{Value, json};
use stepcast_engine::store::EventQuery;
use stepcast_protocol::{EventInput, EventName};

use super::{
    app::{Reply, complete, op, planned, ran},
    lab::Lab,
};

#[tokio::test]
async fn a_sleep_ends_at_its_time() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[op("Sleep", "nap", json!({"name": "1h"}))]),
        Reply::ops(&[op(
            "Sleep",
            "until",
            json!({"name": "2026-11-30T00:00:00Z"}),
        )]),
        Reply::ops(&[complete(json!("slept"))]),
    ]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    lab.at_rest().await;
    lab.clock.advance(Duration::from_secs(3600));
    let calls = lab.app.calls(2).await;
    assert_eq!(calls[1].memo("nap"), Value::Null);
    assert!(calls[1].body["steps"].as_object().unwrap().len() == 1);
    lab.at_rest().await;
    lab.clock.advance(Duration::from_secs(7 * 24 * 3600));
    assert_eq!(lab.output(run).await, json!("slept"));
}

#[tokio::test]
async fn a_wait_takes_the_event_that_its_expression_means_and_gives_up_in_time() {
    let lab = Lab::start().await;
    let opts =
        json!({"timeout": "10s", "if": "event.data.user == async.data.user && async.data.n > 3"});
    lab.app.function([
        Reply::ops(&[op(
            "WaitForEvent",
            "w",
            json!({"name": "lab/approve", "opts": opts}),
        )]),
        Reply::ops(&[op(
            "WaitForEvent",
            "never",
            json!({"name": "lab/never", "opts": {"timeout": "1s"}}),
        )]),
        Reply::returned(&json!("ok")),
    ]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    lab.at_rest().await;
    for (user, n) in [(8, 9), (7, 1), (7, 4)] {
        lab.send("lab/approve", &json!({"user": user, "n": n}))
            .await;
    }
    let calls = lab.app.calls(2).await;
    let event = calls[1].memo("w");
    assert_eq!(event["name"], "lab/approve");
    assert_eq!(event["data"], json!({"user": 7, "n": 4}));
    assert_eq!(event["user"], json!({}));
    assert!(event["id"].is_string() && event["ts"].is_number());
    lab.at_rest().await;
    lab.clock.advance(Duration::from_secs(1));
    assert_eq!(lab.output(run).await, json!("ok"));
    assert_eq!(lab.app.called()[2].memo("never"), Value::Null);
}

#[tokio::test]
async fn functions_get_all_that_was_said_of_an_event() {
    let lab = Lab::start().await;
    let opts = json!({"timeout": "10s", "if": "async.user.id == event.user.id"});
    lab.app.function([
        Reply::ops(&[op(
            "WaitForEvent",
            "w",
            json!({"name": "lab/approve", "opts": opts}),
        )]),
        Reply::returned(&json!("ok")),
    ]);
    let event = |name: &str, id: u32| {
        let event = json!({"name": name, "data": {}, "user": {"id": id}, "v": "2"});
        serde_json::from_value::<EventInput>(event).unwrap()
    };
    let run = lab.send_all_of(event("go", 7)).await[0];
    lab.app.calls(1).await;
    lab.at_rest().await;
    for id in [8, 7] {
        lab.send_all_of(event("lab/approve", id)).await;
    }
    assert_eq!(lab.output(run).await, json!("ok"));
    let calls = lab.app.called();
    let said = [
        calls[0].body["event"].clone(),
        calls[0].body["events"][0].clone(),
        calls[1].memo("w"),
    ];
    for event in said {
        assert_eq!(
            (&event["user"], &event["v"]),
            (&json!({"id": 7}), &json!("2"))
        );
    }
}

#[tokio::test]
async fn a_signal_reaches_the_run_that_waits_for_it() {
    let lab = Lab::start().await;
    let opts = json!({"signal": "s1", "timeout": "10s", "conflict": "replace"});
    lab.app.function([
        Reply::ops(&[op(
            "WaitForSignal",
            "sig",
            json!({"name": "s1", "opts": opts}),
        )]),
        Reply::returned(&json!("ok")),
    ]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    lab.at_rest().await;
    let data = json!({"n": 1}).to_string().into();
    assert_eq!(lab.engine.signal("s1", data).await.unwrap(), Some(run));
    assert_eq!(lab.output(run).await, json!("ok"));
    let memo = lab.app.called()[1].memo("sig");
    assert_eq!(memo, json!({"data": {"signal": "s1", "data": {"n": 1}}}));
}

#[tokio::test]
async fn a_run_that_insists_on_a_signal_of_another_fails_for_good_and_says_so() {
    let lab = Lab::start().await;
    let wait = |signal: &str, conflict: Value| {
        let opts = json!({"signal": signal, "timeout": "10s", "conflict": conflict});
        let rest = json!({"name": signal, "opts": opts});
        Reply::ops(&[op("WaitForSignal", "sig", rest)])
    };
    lab.app
        .function([wait("s1", Value::Null), wait("s1", json!("fail"))]);
    let first = lab.go().await;
    lab.app.calls(1).await;
    lab.at_rest().await;
    let second = lab.go().await;
    let error = lab.error(second).await;
    let reason = format!("signal_taken: run {first} waits for signal `s1` already");
    assert!(error.starts_with(&reason), "{error}");
    let view = lab.engine.run(second).await.unwrap().unwrap();
    assert_eq!((view.attempt, lab.app.called().len()), (1, 2));
    // Handlers of failures are started by this event.
    let query = EventQuery {
        name: Some(EventName::parse("inngest/function.failed").unwrap()),
        before: None,
        from: None,
        limit: 9,
    };
    let announced = lab.engine.events(query).await.unwrap();
    let data: Value = serde_json::from_slice(&announced[0].event.data).unwrap();
    assert_eq!(data["run_id"], json!(second.to_string()));
    let message = data["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("waits for signal `s1` already"),
        "{message}"
    );
    // The other run is not disturbed.
    lab.app.function([Reply::returned(&json!("ok"))]);
    let data = json!({"n": 1}).to_string().into();
    assert_eq!(lab.engine.signal("s1", data).await.unwrap(), Some(first));
    assert_eq!(lab.output(first).await, json!("ok"));
}

fn invoke(function: &str, timeout: &str) -> Value {
    let opts =
        json!({"function_id": function, "payload": {"data": {"who": "peer"}}, "timeout": timeout});
    op("InvokeFunction", "call-child", json!({"opts": opts}))
}

#[tokio::test]
async fn an_invoked_function_gets_its_caller_and_gives_back_its_result() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[invoke("lab-child", "")]),
        Reply::ops(&[complete(json!({"hello": "peer"}))]),
        Reply::returned(&json!("ok")),
    ]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!("ok"));
    let calls = lab.app.called();
    assert_eq!(calls[1].body["event"]["name"], "inngest/function.invoked");
    let data = &calls[1].body["event"]["data"];
    assert_eq!(
        (&data["who"], &data["_inngest"]["fn_id"]),
        (&json!("peer"), &json!("lab-child"))
    );
    assert_eq!(
        calls[2].memo("call-child"),
        json!({"data": {"hello": "peer"}})
    );
}

#[tokio::test]
async fn an_invoked_function_that_fails_gives_back_its_error() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[invoke("lab-child", "")]),
        Reply::threw(400, true, "child broke"),
        Reply::returned(&json!("ok")),
    ]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!("ok"));
    let memo = lab.app.called()[2].memo("call-child");
    assert_eq!(memo["error"]["message"], "child broke");
    assert_eq!(memo["error"]["stack"], "at app");
}

#[tokio::test]
async fn an_invoked_function_that_takes_too_long_is_an_error_that_says_so() {
    let lab = Lab::start().await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    lab.app.function([
        Reply::ops(&[invoke("lab-child", "5s")]),
        Reply::returned(&json!("late")).after(&gate),
        Reply::returned(&json!("ok")),
    ]);
    let run = lab.go().await;
    lab.app.calls(2).await;
    lab.until(|| lab.engine.running() == 1).await;
    lab.clock.advance(Duration::from_secs(5));
    assert_eq!(lab.output(run).await, json!("ok"));
    let memo = lab.app.called()[2].memo("call-child");
    assert_eq!(memo["error"]["name"], "InngestInvokeTimeoutError");
}

#[tokio::test]
async fn what_cannot_be_invoked_or_is_not_supported_fails_its_step_with_a_sentence() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[invoke("lab-nobody", "")]),
        Reply::ops(&[op("AIGateway", "ai", json!({"opts": {"url": "ftp://x"}}))]),
        Reply::ops(&[
            op("DeferAdd", "later", json!({"opts": {"x": 1}})),
            ran("z", json!(1)),
        ]),
        Reply::returned(&json!("ok")),
    ]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!("ok"));
    let calls = lab.app.called();
    let message = |call: usize, step| {
        calls[call].memo(step)["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(message(1, "call-child").contains("no function `lab-nobody` is served here"));
    assert!(
        message(2, "ai").contains("`ftp://x` is no URL"),
        "{}",
        message(2, "ai")
    );
    assert_eq!(calls[3].memo("later"), Value::Null);
    assert_eq!(calls[3].ctx("stack")["current"], 3);
}

#[tokio::test]
async fn a_group_with_a_sleep_goes_on_when_all_of_it_has_ended() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[op("Sleep", "nap", json!({"name": "10s"})), planned("a")]),
        Reply::returned(&json!("ok")),
    ]);
    lab.app.step("a", [Reply::ops(&[ran("a", json!("A"))])]);
    let run = lab.go().await;
    lab.app.calls(2).await;
    lab.at_rest().await;
    assert_eq!(lab.app.called().len(), 2);
    lab.clock.advance(Duration::from_secs(10));
    assert_eq!(lab.output(run).await, json!("ok"));
    assert_eq!(lab.app.called().len(), 3);
}

//! Requests that functions have the server make.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use stepcast_protocol::RunStatus;
use tokio::sync::Semaphore;

use super::{
    app::{Reply, op, planned, ran},
    lab::Lab,
};
use crate::apps::scripted::{ScriptedApp, answer};

/// An op that has the server ask this upstream.
fn fetch(upstream: &ScriptedApp, id: &str) -> Value {
    let url = upstream.url();
    op(
        "Gateway",
        id,
        json!({"opts": {"url": url, "method": "POST", "headers": {"x": "1"}, "body": "hello"}}),
    )
}

#[tokio::test]
async fn what_the_server_fetched_is_the_result_of_the_step() {
    let upstream = ScriptedApp::start(async |_| answer(404, &[("x-y", "z")], "gone")).await;
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[fetch(&upstream, "a")]),
        Reply::returned(&json!("ok")),
    ]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!("ok"));
    let memo = lab.app.called()[1].memo("a");
    let data = &memo["data"];
    assert_eq!(
        (&data["status_code"], &data["body"], &data["url"]),
        (&json!(404), &json!("gone"), &json!(upstream.url()))
    );
    assert_eq!(data["headers"]["x-y"], "z");
    let seen = upstream.seen.lock().clone();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].header("x"), &*seen[0].body), ("1", "hello"));
    assert!(seen[0].header("user-agent").starts_with("stepcast/"));
    assert_eq!(seen[0].header("x-inngest-signature"), "");
}

#[tokio::test]
async fn a_model_is_asked_again_until_it_answers_and_the_step_has_its_json() {
    let upstream = ScriptedApp::start(async |seen| match seen.header("authorization") {
        "Bearer good" => answer(200, &[], r#"{"n":1.50}"#),
        _ => answer(429, &[("retry-after", "2")], "busy"),
    })
    .await;
    let infer = |key| {
        let opts = json!({"opts": {"url": upstream.url(), "auth_key": key, "format": "openai-chat", "body": {"q": 1}}});
        Reply::ops(&[op("AIGateway", "ai", opts)])
    };
    let lab = Lab::start().await;
    lab.app
        .function([infer("bad"), infer("good"), Reply::returned(&json!("ok"))]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    lab.at_rest().await;
    lab.clock.advance(Duration::from_secs(2));
    assert_eq!(lab.output(run).await, json!("ok"));
    let calls = lab.app.called();
    assert_eq!(calls[1].ctx("attempt"), 1);
    assert_eq!(calls[2].memo("ai").to_string(), r#"{"data":{"n":1.5}}"#);
    let seen = upstream.seen.lock().clone();
    assert_eq!((seen.len(), &*seen[1].body), (2, r#"{"q":1}"#));
}

#[tokio::test]
async fn a_refusal_fails_the_step_with_what_was_said() {
    let upstream = ScriptedApp::start(async |_| answer(401, &[], "who are you?")).await;
    let lab = Lab::start().await;
    let opts = json!({"opts": {"url": upstream.url(), "body": {}}});
    lab.app.function([
        Reply::ops(&[op("AIGateway", "ai", opts)]),
        Reply::returned(&json!("caught")),
    ]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!("caught"));
    let error = lab.app.called()[1].memo("ai")["error"].clone();
    let said = error["message"].as_str().unwrap();
    assert!(
        said.contains("answered with status 401: who are you?"),
        "{said}"
    );
    assert_eq!(upstream.seen.lock().len(), 1);
}

#[tokio::test]
async fn a_request_whose_process_died_is_made_again() {
    let silent = ScriptedApp::raw(None).await;
    let upstream = ScriptedApp::start(async |_| answer(200, &[], "late")).await;
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[fetch(&silent, "a")]),
        Reply::ops(&[fetch(&upstream, "a")]),
        Reply::returned(&json!("ok")),
    ]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    let lab = lab.killed().await;
    assert_eq!(lab.output(run).await, json!("ok"));
    assert_eq!(upstream.seen.lock().len(), 1);
}

#[tokio::test]
async fn requests_go_on_beside_steps_and_end_with_their_run() {
    let upstream = ScriptedApp::start(async |_| answer(200, &[], "one")).await;
    let silent = ScriptedApp::raw(None).await;
    let lab = Lab::start().await;
    let race = |mut op: Value| {
        op["opts"]["parallelMode"] = json!("race");
        op
    };
    lab.app.function([
        Reply::ops(&[
            fetch(&upstream, "a"),
            fetch(&silent, "never"),
            race(planned("b")),
        ]),
        // After the request, and after the step.
        Reply::ops(&[]),
        Reply::returned(&json!("ok")),
    ]);
    let gate = Arc::new(Semaphore::new(0));
    lab.app
        .step("b", [Reply::ops(&[ran("b", json!(2))]).after(&gate)]);
    let run = lab.go().await;
    lab.app.calls(3).await;
    gate.add_permits(1);
    let view = lab.end_of(run).await;
    assert_eq!(view.status, RunStatus::Completed, "{:?}", view.error);
    let last = lab.app.called().pop().unwrap();
    assert_eq!(last.memo("a")["data"]["body"], "one");
    assert_eq!(last.memo("b"), json!({"data": 2}));
}

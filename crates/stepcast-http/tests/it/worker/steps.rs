//! One step after the other.

use serde_json::json;

use super::{
    app::{Reply, complete, failed, hash, ran},
    lab::{Lab, RETRIES},
};

#[tokio::test]
async fn steps_are_found_one_by_one_and_given_back_in_order() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[ran("a", json!({"x": 1}))]),
        Reply::ops(&[ran("b", json!("B"))]),
        Reply::returned(&json!({"out": "AB"})),
    ]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!({"out": "AB"}));
    let calls = lab.app.called();
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[0].body["steps"], json!({}));
    assert_eq!(calls[0].body["version"], -1);
    assert_eq!(calls[1].body["version"], 2);
    assert_eq!(calls[2].memo("a"), json!({"data": {"x": 1}}));
    assert_eq!(calls[2].memo("b"), json!({"data": "B"}));
    assert_eq!(
        calls[2].ctx("stack"),
        json!({"current": 2, "stack": [hash("a"), hash("b")]})
    );
    assert_eq!(calls[0].ctx("max_attempts"), RETRIES + 1);
    assert_eq!(calls[0].ctx("run_id"), run.to_string());
    assert_eq!(calls[0].headers["x-run-id"], run.to_string().as_str());
    assert_eq!(calls[0].body["event"]["data"], json!({"user": 7}));
    assert!(calls[0].ctx("fn_id").is_string() && calls[0].ctx("qi_id").is_string());
    assert_eq!(calls[0].ctx("disable_immediate_execution"), false);
}

#[tokio::test]
async fn a_step_that_failed_for_good_is_given_back_as_it_was_thrown() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[failed("StepFailed", "bad", "caught me")]),
        Reply::ops(&[complete(json!("caught"))]),
    ]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!("caught"));
    let error = json!({"name": "TypeError", "message": "caught me", "stack": "at step", "__serialized": true});
    assert_eq!(lab.app.called()[1].memo("bad"), json!({"error": error}));
}

#[tokio::test]
async fn the_end_of_a_run_takes_the_steps_before_it_along() {
    let lab = Lab::start().await;
    lab.app
        .function([Reply::ops(&[complete(json!(2)), ran("last", json!(1))])]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!(2));
}

#[tokio::test]
async fn a_repeated_step_and_one_of_a_reserved_name_are_kept_apart() {
    let lab = Lab::start().await;
    let again =
        json!({"op": "StepRun", "id": hash("a:1"), "userland": {"id": "a", "index": 1}, "data": 2});
    lab.app.function([
        Reply::ops(&[ran("a", json!(1)), again, ran("$run", json!(3))]),
        Reply::returned(&json!(null)),
    ]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!(null));
    let call = &lab.app.called()[1];
    assert_eq!(call.memo("a"), json!({"data": 1}));
    assert_eq!(call.memo("a:1"), json!({"data": 2}));
    assert_eq!(call.memo("$run"), json!({"data": 3}));
}

#[tokio::test]
async fn what_is_too_much_for_a_call_is_fetched() {
    let lab = Lab::start().await;
    let large = "x".repeat(3 * 1024 * 1024);
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    lab.app.function([
        Reply::ops(&[ran("a", json!(large))]),
        Reply::ops(&[ran("b", json!(large))]),
        Reply::returned(&json!("done")).after(&gate),
    ]);
    let run = lab.go().await;
    let call = lab.app.calls(3).await.remove(2);
    assert_eq!(
        (&call.body["use_api"], &call.body["steps"]),
        (&json!(true), &json!({}))
    );
    let steps = lab.get(&format!("/v0/runs/{run}/actions")).await;
    assert_eq!(steps.0, 200);
    assert_eq!(
        steps.1[hash("b")]["data"].as_str().unwrap().len(),
        large.len()
    );
    let events = lab.get(&format!("/v0/runs/{run}/batch")).await;
    assert_eq!((events.0, &events.1[0]["name"]), (200, &json!("go")));
    gate.add_permits(1);
    assert_eq!(lab.output(run).await, json!("done"));
    lab.at_rest().await;
    assert_eq!(lab.get(&format!("/v0/runs/{run}/actions")).await.0, 410);
    let unknown = lab.get("/v0/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV/batch").await;
    assert_eq!(unknown.0, 404);
}

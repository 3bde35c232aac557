//! Several steps at once.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    app::{Call, Reply, failed, hash, op, planned, ran},
    lab::Lab,
};

fn of<'a>(calls: &'a [Call], target: &str) -> Vec<&'a Call> {
    calls.iter().filter(|call| call.target == target).collect()
}

#[tokio::test]
async fn planned_steps_run_at_once_and_the_function_goes_on_after_the_last() {
    let lab = Lab::start().await;
    let gate = Arc::new(Semaphore::new(0));
    lab.app.function([
        Reply::ops(&[planned("a"), planned("b"), planned("c")]),
        Reply::returned(&json!("ABC")),
    ]);
    lab.app
        .step("a", [Reply::ops(&[ran("a", json!("A"))]).after(&gate)]);
    lab.app.step("b", [Reply::ops(&[ran("b", json!("B"))])]);
    lab.app.step("c", [Reply::ops(&[ran("c", json!("C"))])]);
    let run = lab.go().await;
    let calls = lab.app.calls(4).await;
    assert_eq!(calls[1].ctx("disable_immediate_execution"), true);
    gate.add_permits(1);
    assert_eq!(lab.output(run).await, json!("ABC"));
    let calls = lab.app.called();
    assert_eq!(calls.len(), 5);
    let stack = calls[4].ctx("stack");
    assert_eq!(stack["stack"][2], hash("a"));
    assert_eq!(calls[4].ctx("disable_immediate_execution"), false);
    assert_eq!(calls[4].memo("a"), json!({"data": "A"}));
}

#[tokio::test]
async fn a_race_goes_on_after_each_and_plans_nothing_twice() {
    let lab = Lab::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let racing = |id| op("StepPlanned", id, json!({"opts": {"parallelMode": "race"}}));
    lab.app.function([
        Reply::ops(&[racing("slow"), racing("fast")]),
        Reply::ops(&[racing("slow"), racing("then")]),
        Reply::ops(&[racing("slow"), ran("inline", json!(1))]),
        Reply::returned(&json!("fast")),
    ]);
    lab.app.step(
        "slow",
        [Reply::ops(&[ran("slow", json!("S"))]).after(&gate)],
    );
    lab.app
        .step("fast", [Reply::ops(&[ran("fast", json!("F"))])]);
    lab.app
        .step("then", [Reply::ops(&[ran("then", json!("T"))])]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!("fast"));
    let calls = lab.app.called();
    assert_eq!(of(&calls, &hash("slow")).len(), 1);
    let functions = of(&calls, "step");
    assert_eq!(functions.len(), 4);
    assert_eq!(functions[1].ctx("disable_immediate_execution"), true);
    assert_eq!(functions[1].memo("slow"), Value::Null);
}

#[tokio::test]
async fn version_one_goes_on_after_each() {
    let lab = Lab::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let one = |ops: &[Value]| Reply::ops(ops).with("x-inngest-req-version", "1");
    lab.app.function([
        one(&[planned("a"), planned("b")]),
        one(&[planned("b")]),
        one(&[]).with("x-inngest-req-version", "1"),
    ]);
    lab.app.step("a", [one(&[ran("a", json!(1))])]);
    lab.app.step("b", [one(&[ran("b", json!(2))]).after(&gate)]);
    let run = lab.go().await;
    let calls = lab.app.calls(4).await;
    let functions = of(&calls, "step");
    assert_eq!(functions.len(), 2);
    assert_eq!(functions[1].body["version"], 1);
    lab.engine.cancel(run).await.unwrap();
}

#[tokio::test]
async fn each_step_of_a_group_has_its_own_attempts() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[planned("a"), planned("b")]),
        Reply::returned(&json!("ok")),
    ]);
    lab.app.step(
        "a",
        [
            Reply::ops(&[failed("StepError", "a", "flaky")]),
            Reply::threw(500, false, "the function threw before the step"),
            Reply::ops(&[ran("a", json!(1))]),
        ],
    );
    lab.app.step("b", [Reply::ops(&[ran("b", json!(2))])]);
    let run = lab.go().await;
    for calls in [3, 4] {
        lab.app.calls(calls).await;
        lab.at_rest().await;
        lab.clock.advance(std::time::Duration::from_secs(120));
    }
    assert_eq!(lab.output(run).await, json!("ok"));
    let calls = lab.app.called();
    let attempts: Vec<_> = of(&calls, &hash("a"))
        .iter()
        .map(|call| call.ctx("attempt"))
        .collect();
    assert_eq!(attempts, [0, 1, 2]);
    assert_eq!(of(&calls, "step").len(), 2);
}

#[tokio::test]
async fn a_group_of_many_is_called_in_parts() {
    let lab = Lab::start().await;
    let ids: Vec<_> = (0..100).map(|n| format!("s{n}")).collect();
    let plans: Vec<_> = ids.iter().map(|id| planned(id)).collect();
    lab.app
        .function([Reply::ops(&plans), Reply::returned(&json!("all"))]);
    for id in &ids {
        lab.app.step(id, [Reply::ops(&[ran(id, json!(id))])]);
    }
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!("all"));
    assert_eq!(lab.app.called().len(), 102);
}

//! Processes that die in the middle.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::Semaphore;

use super::{
    app::{Reply, complete, failed, hash, op, planned, ran},
    lab::Lab,
};

#[tokio::test]
async fn no_committed_step_is_asked_for_again() {
    let lab = Lab::start().await;
    let gate = Arc::new(Semaphore::new(0));
    lab.app.function([
        Reply::ops(&[ran("a", json!(1))]),
        Reply::ops(&[planned("b"), planned("c")]),
        Reply::ops(&[planned("c")]),
        Reply::ops(&[complete(json!("ok"))]),
    ]);
    lab.app.step("b", [Reply::ops(&[ran("b", json!(2))])]);
    let answer = Reply::ops(&[ran("c", json!(3))]);
    lab.app.step("c", [answer.clone().after(&gate), answer]);
    let run = lab.go().await;
    lab.app.calls(4).await;
    // `b` is committed when the state that an SDK would fetch has it.
    loop {
        let steps = lab.get(&format!("/v0/runs/{run}/actions")).await.1;
        if steps.get(hash("b")).is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let lab = lab.killed().await;
    assert_eq!(lab.output(run).await, json!("ok"));
    let calls = lab.app.called();
    let count = |id: &str| calls.iter().filter(|call| call.target == hash(id)).count();
    assert_eq!((count("b"), count("c")), (1, 2));
    let last = calls.last().unwrap();
    assert_eq!(last.ctx("stack")["current"], 3);
}

#[tokio::test]
async fn a_parked_run_wakes_in_another_life() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[op("Sleep", "nap", json!({"name": "1h"}))]),
        Reply::ops(&[complete(json!("ok"))]),
    ]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    lab.at_rest().await;
    let lab = lab.killed().await;
    lab.clock.advance(Duration::from_secs(3600));
    assert_eq!(lab.output(run).await, json!("ok"));
    assert_eq!(lab.app.called().len(), 2);
}

#[tokio::test]
async fn the_pause_of_a_step_outlives_its_process() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[failed("StepError", "flaky", "boom")]).with("retry-after", "3600"),
        Reply::ops(&[ran("flaky", json!(1))]),
        Reply::ops(&[complete(json!("ok"))]),
    ]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    lab.at_rest().await;
    let lab = lab.killed().await;
    lab.at_rest().await;
    assert_eq!(lab.app.called().len(), 1);
    lab.clock.advance(Duration::from_secs(3600));
    assert_eq!(lab.output(run).await, json!("ok"));
    assert_eq!(lab.app.called()[1].ctx("attempt"), 1);
}

#[tokio::test]
async fn a_server_that_closes_waits_for_the_call_and_goes_on_later() {
    let lab = Lab::start().await;
    let gate = Arc::new(Semaphore::new(0));
    lab.app.function([
        Reply::ops(&[ran("a", json!(1))]).after(&gate),
        Reply::ops(&[complete(json!("ok"))]),
    ]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    let engine = lab.engine.clone();
    let closing = tokio::spawn(async move { engine.close(std::future::pending()).await });
    tokio::task::yield_now().await;
    gate.add_permits(1);
    closing.await.unwrap().unwrap();
    assert_eq!(lab.app.called().len(), 1);
    let lab = lab.killed().await;
    assert_eq!(lab.output(run).await, json!("ok"));
    assert_eq!(lab.app.called()[1].memo("a"), json!({"data": 1}));
}

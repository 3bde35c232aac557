//! Steps that are reported before the answer.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    app::{Call, Reply, checkpoint, complete, failed, op, planned, ran},
    lab::Lab,
};

#[tokio::test]
async fn a_whole_run_in_one_call() {
    let lab = Lab::start().await;
    let steps = [json!([ran("a", json!(1))]), json!([ran("b", json!(2))])];
    lab.app
        .function([Reply::ops(&[ran("c", json!(3)), complete(json!("abc"))]).reporting(&steps)]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!("abc"));
    assert_eq!(lab.app.reported(), [200, 200]);
    assert_eq!(lab.app.called().len(), 1);
}

#[tokio::test]
async fn a_call_that_dies_after_checkpoints_loses_none_of_them() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::foreign(502, "gone").reporting(&[json!([ran("a", json!(1))])]),
        Reply::ops(&[complete(json!("ok"))]),
    ]);
    let run = lab.go().await;
    lab.retried(run, 2).await;
    assert_eq!(lab.output(run).await, json!("ok"));
    let call = &lab.app.called()[1];
    assert_eq!(call.memo("a"), json!({"data": 1}));
    // The step was progress, so this is the first failure after it.
    assert_eq!(call.ctx("attempt"), 1);
}

#[tokio::test]
async fn a_wait_after_checkpoints_and_a_step_that_is_planned_for_lack_of_time() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[op("Sleep", "nap", json!({"name": "1s"}))])
            .reporting(&[json!([ran("a", json!(1))])]),
        Reply::ops(&[planned("late")]).reporting(&[json!([ran("b", json!(2))])]),
        Reply::ops(&[complete(json!("ok"))]),
    ]);
    lab.app.step("late", [Reply::ops(&[ran("late", json!(3))])]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    lab.at_rest().await;
    lab.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(lab.output(run).await, json!("ok"));
    assert_eq!(lab.app.called().len(), 4);
}

#[tokio::test]
async fn a_step_error_after_a_checkpoint_waits_for_its_time() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[failed("StepError", "flaky", "boom")])
            .reporting(&[json!([ran("a", json!(1))])]),
        Reply::ops(&[ran("flaky", json!(2))]),
        Reply::ops(&[complete(json!("ok"))]),
    ]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    lab.at_rest().await;
    assert_eq!(lab.app.called().len(), 1);
    lab.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(lab.output(run).await, json!("ok"));
    assert_eq!(lab.app.called()[1].ctx("attempt"), 1);
}

/// A run whose call is under way, and its end.
async fn under_way(lab: &Lab) -> (Call, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    lab.app
        .function([Reply::ops(&[complete(json!("ok"))]).after(&gate)]);
    lab.go().await;
    (lab.app.calls(1).await.remove(0), gate)
}

#[tokio::test]
async fn duplicates_are_ignored_and_what_is_refused_is_said() {
    let lab = Lab::start().await;
    let (call, gate) = under_way(&lab).await;
    let post = async |ops: Value| checkpoint(lab.address, &call, &ops).await;
    assert_eq!(post(json!([ran("a", json!(1))])).await, 200);
    assert_eq!(
        post(json!([ran("a", json!(2)), ran("b", json!(3))])).await,
        200
    );
    assert_eq!(post(json!([failed("StepFailed", "c", "no")])).await, 200);
    assert_eq!(post(json!([planned("d")])).await, 200);
    assert_eq!(
        post(json!([op("Sleep", "s", json!({"name": "1s"}))])).await,
        400
    );
    assert_eq!(post(json!([op("StepTeleport", "s", json!({}))])).await, 400);
    assert_eq!(
        post(json!([{"op": "SyncRunComplete", "id": "x", "data": 1}])).await,
        400
    );
    assert_eq!(post(json!("nonsense")).await, 400);
    let large = "x".repeat(stepcast_protocol::limits::MEMO_BYTES + 1);
    assert_eq!(post(json!([ran("l", json!(large))])).await, 413);
    let steps = lab
        .get(&format!(
            "/v0/runs/{}/actions",
            call.ctx("run_id").as_str().unwrap()
        ))
        .await
        .1;
    assert_eq!(steps.as_object().unwrap().len(), 3);
    gate.add_permits(1);
}

#[tokio::test]
async fn a_call_that_is_no_longer_current_is_told_so() {
    let lab = Lab::start().await;
    let (call, gate) = under_way(&lab).await;
    let mut other = call.clone();
    other.body["ctx"]["qi_id"] = json!("another");
    let step = json!([ran("a", json!(1))]);
    assert_eq!(checkpoint(lab.address, &other, &step).await, 409);
    let run = call.ctx("run_id").as_str().unwrap().parse().unwrap();
    gate.add_permits(1);
    lab.end_of(run).await;
    lab.at_rest().await;
    assert_eq!(checkpoint(lab.address, &call, &step).await, 409);
    other.body["ctx"]["run_id"] = json!("01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_eq!(checkpoint(lab.address, &other, &step).await, 404);
}

#[tokio::test]
async fn the_end_of_a_run_in_a_checkpoint_counts() {
    let lab = Lab::start().await;
    let (call, _gate) = under_way(&lab).await;
    let run = call.ctx("run_id").as_str().unwrap().parse().unwrap();
    let ops = json!([ran("a", json!(1)), complete(json!("early"))]);
    assert_eq!(checkpoint(lab.address, &call, &ops).await, 200);
    assert_eq!(lab.output(run).await, json!("early"));
}

//! Apps that go on with calls that have come to nothing.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::Semaphore;

use super::{
    app::{Call, Reply, checkpoint, complete, failed, say, say_as},
    lab::Lab,
};
use crate::clients::within;

/// A run whose first call waits, and goes to an end that nobody hears of.
async fn under_way(lab: &Lab, replies: impl IntoIterator<Item = Reply>) -> (Call, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    lab.app
        .function(replies.into_iter().map(|reply| reply.after(&gate)));
    lab.go().await;
    let call = lab.app.calls(1).await.remove(0);
    (call, gate)
}

fn done() -> Reply {
    Reply::ops(&[complete(json!("ok"))])
}

#[tokio::test]
async fn a_call_speaks_until_it_ends_and_what_it_had_on_its_way_is_still_taken() {
    let lab = Lab::start().await;
    let (call, gate) = under_way(&lab, [done()]).await;
    assert_eq!(say(lab.address, &call).await, 200);
    gate.add_permits(1);
    let run = call.ctx("run_id").as_str().unwrap().parse().unwrap();
    lab.end_of(run).await;
    lab.at_rest().await;
    assert_eq!(say(lab.address, &call).await, 200);
}

#[tokio::test]
async fn a_call_that_ends_its_run_by_a_checkpoint_has_not_failed() {
    let lab = Lab::start().await;
    let (call, _gate) = under_way(&lab, [done()]).await;
    let ops = json!([complete(json!("early"))]);
    assert_eq!(checkpoint(lab.address, &call, &ops).await, 200);
    lab.at_rest().await;
    assert_eq!(say(lab.address, &call).await, 200);
}

#[tokio::test]
async fn a_call_that_has_failed_speaks_no_more_and_the_next_one_does() {
    let lab = Lab::start().await;
    let (first, gate) = under_way(&lab, [Reply::foreign(502, "gone"), done()]).await;
    gate.add_permits(1);
    let run = first.ctx("run_id").as_str().unwrap().parse().unwrap();
    lab.retried(run, 2).await;
    let second = lab.app.calls(2).await.remove(1);
    assert_eq!(say(lab.address, &first).await, 409);
    assert_eq!(say(lab.address, &second).await, 200);
    gate.add_permits(1);
    assert_eq!(lab.output(run).await, json!("ok"));
}

#[tokio::test]
async fn an_attempt_that_has_failed_says_no_more_but_a_call_that_goes_on_does() {
    let lab = Lab::start().await;
    let gate = Arc::new(Semaphore::new(0));
    lab.app.function([
        Reply::ops(&[failed("StepError", "s", "boom")]),
        done().after(&gate),
    ]);
    lab.go().await;
    let first = lab.app.calls(1).await.remove(0);
    lab.at_rest().await;
    lab.clock.advance(Duration::from_secs(60));
    let second = lab.app.calls(2).await.remove(1);
    let attempt = "&step_id=s&attempt=1";
    assert_eq!(say_as(lab.address, &first, attempt).await, 409);
    assert_eq!(say_as(lab.address, &second, attempt).await, 200);
    assert_eq!(
        say_as(lab.address, &second, "&step_id=s&attempt=2").await,
        200
    );
    gate.add_permits(1);
}

#[tokio::test]
async fn what_a_handler_has_said_before_the_last_failure_of_its_run_is_still_taken() {
    let lab = Lab::start().await;
    let (call, gate) = under_way(&lab, [Reply::threw(400, true, "no")]).await;
    gate.add_permits(1);
    let run = call.ctx("run_id").as_str().unwrap().parse().unwrap();
    lab.error(run).await;
    lab.at_rest().await;
    assert_eq!(say(lab.address, &call).await, 200);
}

#[tokio::test]
async fn a_call_of_a_run_that_was_cancelled_speaks_no_more() {
    let lab = Lab::start().await;
    let (call, _gate) = under_way(&lab, [done()]).await;
    let run = call.ctx("run_id").as_str().unwrap().parse().unwrap();
    lab.engine.cancel(run).await.unwrap();
    lab.end_of(run).await;
    // Its driver hears of the end a moment later.
    within(async { while say(lab.address, &call).await != 409 {} }).await;
}

#[tokio::test]
async fn a_call_of_a_process_that_died_speaks_no_more_and_the_next_one_does() {
    let lab = Lab::start().await;
    let (first, gate) = under_way(&lab, [done(), done()]).await;
    let lab = lab.killed().await;
    let second = lab.app.calls(2).await.remove(1);
    assert_ne!(first.ctx("request_id"), second.ctx("request_id"));
    assert_eq!(say(lab.address, &first).await, 409);
    assert_eq!(say(lab.address, &second).await, 200);
    gate.add_permits(2);
    let run = first.ctx("run_id").as_str().unwrap().parse().unwrap();
    assert_eq!(lab.output(run).await, json!("ok"));
}

#[tokio::test]
async fn whose_call_is_not_said_is_heard_as_before() {
    let lab = Lab::start().await;
    let (mut call, _gate) = under_way(&lab, [done()]).await;
    for unknown in [json!("nonsense"), json!(null)] {
        call.body["ctx"]["request_id"] = unknown;
        assert_eq!(say(lab.address, &call).await, 200);
    }
}

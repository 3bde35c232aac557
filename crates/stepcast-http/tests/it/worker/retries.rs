//! Attempts of functions and steps.

use std::time::Duration;

use serde_json::json;
use stepcast_protocol::{ChannelName, RunStatus};
use tokio::net::TcpListener;

use super::{
    app::{Reply, complete, failed, op, ran},
    lab::Lab,
};

#[tokio::test]
async fn a_step_is_tried_again_when_it_asks_to_be() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[failed("StepError", "flaky", "boom")]).with("retry-after", "600"),
        Reply::ops(&[ran("flaky", json!(1))]),
        Reply::returned(&json!("ok")),
    ]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    lab.at_rest().await;
    lab.clock.advance(Duration::from_secs(599));
    lab.at_rest().await;
    assert_eq!(lab.app.called().len(), 1);
    lab.clock.advance(Duration::from_secs(1));
    assert_eq!(lab.output(run).await, json!("ok"));
    let attempts: Vec<_> = lab
        .app
        .called()
        .iter()
        .map(|call| call.ctx("attempt"))
        .collect();
    assert_eq!(attempts, [0, 1, 0]);
    assert_eq!(lab.app.called()[1].ctx("generation_id"), 2);
}

#[tokio::test]
async fn a_step_that_uses_up_its_attempts_is_an_error_of_the_function() {
    let lab = Lab::start().await;
    let error = || Reply::ops(&[failed("StepError", "flaky", "boom")]);
    lab.app.function([
        error(),
        error(),
        error(),
        error(),
        Reply::returned(&json!("caught")),
    ]);
    let run = lab.go().await;
    for calls in 1..=3 {
        lab.app.calls(calls).await;
        lab.at_rest().await;
        lab.clock.advance(Duration::from_secs(3600));
    }
    assert_eq!(lab.output(run).await, json!("caught"));
    let calls = lab.app.called();
    assert_eq!(calls[3].ctx("attempt"), 3);
    assert_eq!(calls[4].memo("flaky")["error"]["message"], "boom");
}

#[tokio::test]
async fn a_function_that_throws_is_called_again_with_its_steps() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[ran("a", json!("A"))]),
        Reply::threw(500, false, "boom fn"),
        Reply::ops(&[complete(json!("done"))]),
    ]);
    let run = lab.go().await;
    lab.retried(run, 2).await;
    assert_eq!(lab.output(run).await, json!("done"));
    let calls = lab.app.called();
    assert_eq!(calls[2].memo("a"), json!({"data": "A"}));
    assert_eq!(calls[2].ctx("attempt"), 1);
}

#[tokio::test]
async fn failures_before_progress_do_not_count() {
    let lab = Lab::start().await;
    let down = || Reply::foreign(502, "bad gateway");
    lab.app.function([
        down(),
        down(),
        down(),
        Reply::ops(&[ran("a", json!(1))]),
        down(),
        down(),
        down(),
        Reply::returned(&json!("done")),
    ]);
    let run = lab.go().await;
    for attempt in 2..=7 {
        lab.retried(run, attempt).await;
    }
    assert_eq!(lab.output(run).await, json!("done"));
    let attempts: Vec<_> = lab
        .app
        .called()
        .iter()
        .map(|call| call.ctx("attempt"))
        .collect();
    assert_eq!(attempts, [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[tokio::test]
async fn what_must_not_be_tried_again_fails_at_once() {
    let lab = Lab::start().await;
    lab.app.function([Reply::threw(400, true, "fatal")]);
    let run = lab.go().await;
    assert_eq!(lab.error(run).await, "function_failed: fatal");
    assert_eq!(lab.app.called().len(), 1);
}

#[tokio::test]
async fn a_function_that_uses_up_its_attempts_fails_with_its_last_error() {
    let lab = Lab::start().await;
    let threw = |n: u32| Reply::threw(500, false, &format!("boom {n}"));
    lab.app.function((0..4).map(threw));
    let run = lab.go().await;
    for attempt in 2..=4 {
        lab.retried(run, attempt).await;
    }
    assert_eq!(lab.error(run).await, "function_failed: boom 3");
}

#[tokio::test]
async fn an_app_that_is_down_is_called_again_when_it_may_be_up() {
    let mut lab = Lab::start().await;
    let address = lab.app.address;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    lab.with_app(elsewhere);
    let listener = loop {
        // The address is free once the old app's task is gone.
        if let Ok(listener) = TcpListener::bind(address).await {
            break listener;
        }
        tokio::task::yield_now().await;
    };
    drop(listener);
    let run = lab.go().await;
    lab.retried_after(run, 2, |error| error.contains("cannot be reached"))
        .await;
    let listener = TcpListener::bind(address).await.unwrap();
    lab.with_app(listener);
    lab.app.function([Reply::returned(&json!("up"))]);
    lab.clock.advance(Duration::from_secs(3600));
    assert_eq!(lab.output(run).await, json!("up"));
}

#[tokio::test]
async fn a_cancelled_run_ends_during_its_call() {
    let lab = Lab::start().await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    lab.app
        .function([Reply::returned(&json!("late")).after(&gate)]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    lab.engine.cancel(run).await.unwrap();
    assert_eq!(lab.end_of(run).await.status, RunStatus::Cancelled);
    lab.at_rest().await;
    gate.add_permits(1);
    assert_eq!(lab.end_of(run).await.status, RunStatus::Cancelled);
}

/// How many messages are left of what a call has published before it answers like this.
async fn left_of(answer: Reply) -> u64 {
    let lab = Lab::start().await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    lab.app.function([answer.after(&gate)]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    let channel = ChannelName::parse("c").expect("a name");
    lab.publish(run, &channel).await;
    gate.add_permits(1);
    lab.at_rest().await;
    lab.kept(&channel).await
}

#[tokio::test]
async fn what_a_failed_call_has_published_is_taken_back() {
    let ran = Reply::ops(&[op("Sleep", "nap", json!({"name": "1h"}))]);
    assert_eq!(left_of(ran).await, 1);
    assert_eq!(left_of(Reply::threw(500, false, "boom")).await, 0);
    assert_eq!(left_of(Reply::foreign(502, "gone")).await, 0);
    let flaky = Reply::ops(&[failed("StepError", "flaky", "boom")]);
    assert_eq!(left_of(flaky).await, 0);
    // Whoever watches was meant to see what was said before the end.
    assert_eq!(left_of(Reply::threw(400, true, "fatal")).await, 1);
}

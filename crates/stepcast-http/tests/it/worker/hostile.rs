//! Apps that answer what no SDK would.

use serde_json::{Value, json};
use stepcast_protocol::limits;

use super::{
    app::{Reply, hash, op, planned, ran},
    lab::Lab,
};

/// One attempt comes to this error, and the run goes on at the next.
async fn check(reply: Reply, error: &str) {
    let lab = Lab::start().await;
    lab.app.function([reply, Reply::returned(&json!("well"))]);
    let run = lab.go().await;
    lab.retried_after(run, 2, |said| said.contains(error)).await;
    lab.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(lab.output(run).await, json!("well"));
}

#[tokio::test]
async fn a_page_instead_of_an_answer() {
    check(
        Reply::foreign(200, "<html>hello</html>"),
        "<html>hello</html>",
    )
    .await;
}

#[tokio::test]
async fn a_redirect() {
    check(
        Reply::foreign(308, "").with("location", "http://elsewhere/"),
        "status 308 did not come from an SDK",
    )
    .await;
}

#[tokio::test]
async fn nonsense_with_the_sdks_name_on_it() {
    check(
        Reply::new(200, "{nonsense"),
        "the function's result cannot be read",
    )
    .await;
    check(Reply::new(206, "<html>"), "the ops are not a list").await;
    check(Reply::new(206, "{}"), "the ops are not a list").await;
}

#[tokio::test]
async fn a_signature_that_the_app_does_not_accept() {
    let reply =
        Reply::foreign(401, r#"{"message":"Unauthorized"}"#).with("x-inngest-sdk-handled", "true");
    check(reply, "did not accept the signature").await;
}

#[tokio::test]
async fn more_bytes_than_an_answer_may_have() {
    let large = "x".repeat(limits::ANSWER_FROM_SDK_BYTES + 1);
    check(
        Reply::new(200, large),
        "the answer has more than 8388608 bytes",
    )
    .await;
}

#[tokio::test]
async fn an_opcode_that_nobody_knows() {
    check(
        Reply::ops(&[op("StepTeleport", "x", json!({}))]),
        "the app answered with `StepTeleport`",
    )
    .await;
}

#[tokio::test]
async fn nothing_by_which_the_run_gets_any_further() {
    check(Reply::ops(&[]), "nothing by which the run gets any further").await;
    check(
        Reply::ops(&[json!({"op": "None", "id": ""})]),
        "nothing by which",
    )
    .await;
}

#[tokio::test]
async fn asking_to_be_called_again_for_ever() {
    let lab = Lab::start().await;
    let again = || Reply::ops(&[json!({"op": "DiscoveryRequest", "id": ""})]);
    let most = limits::CALLS_WITHOUT_PROGRESS as usize;
    lab.app.function((0..most).map(|_| again()));
    lab.app.function([Reply::returned(&json!("well"))]);
    let run = lab.go().await;
    lab.retried(run, 2).await;
    assert_eq!(lab.output(run).await, json!("well"));
    assert_eq!(lab.app.called().len(), most + 1);
}

#[tokio::test]
async fn ops_that_cannot_be_meant_fail_the_run() {
    for (reply, error) in [
        (
            json!({"op": "StepRun", "id": "short"}),
            "step `short` is not a SHA-1",
        ),
        (
            op("Sleep", "s", json!({"name": "soon"})),
            "`soon` is neither a duration",
        ),
        (op("InvokeFunction", "i", json!({})), "has no `function_id`"),
    ] {
        let lab = Lab::start().await;
        lab.app.function([Reply::ops(&[reply])]);
        let run = lab.go().await;
        let said = lab.error(run).await;
        assert!(said.contains(error), "{said}");
    }
}

#[tokio::test]
async fn one_step_twice_counts_once() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[ran("a", json!(1)), ran("a", json!(2)), planned("a")]),
        Reply::ops(&[ran("a", json!(3)), ran("b", json!(4))]),
        Reply::returned(&json!("ok")),
    ]);
    let run = lab.go().await;
    assert_eq!(lab.output(run).await, json!("ok"));
    let calls = lab.app.called();
    assert_eq!(calls[2].memo("a"), json!({"data": 1}));
    assert_eq!(
        calls[2].ctx("stack")["stack"],
        json!([hash("a"), hash("b")])
    );
}

#[tokio::test]
async fn a_planned_step_that_is_answered_without_its_result_is_a_failed_attempt() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[planned("a"), planned("b")]),
        Reply::returned(&json!("ok")),
    ]);
    let other = Reply::ops(&[ran("never-planned", json!(1))]);
    lab.app.step(
        "a",
        [
            other,
            Reply::ops(&[planned("a")]),
            Reply::ops(&[ran("a", json!("A"))]),
        ],
    );
    lab.app.step("b", [Reply::ops(&[ran("b", json!("B"))])]);
    let run = lab.go().await;
    for calls in [3, 4] {
        lab.app.calls(calls).await;
        lab.at_rest().await;
        lab.clock.advance(std::time::Duration::from_secs(3600));
    }
    assert_eq!(lab.output(run).await, json!("ok"));
    let last = lab.app.called().pop().unwrap();
    assert_eq!(last.memo("a"), json!({"data": "A"}));
}

#[tokio::test]
async fn more_steps_than_a_run_may_have_fail_it() {
    let lab = Lab::start().await;
    let ops = |from: usize| -> Vec<Value> {
        (from..from + 501)
            .map(|n| ran(&format!("s{n}"), json!(n)))
            .collect()
    };
    lab.app
        .function([Reply::ops(&ops(0)), Reply::ops(&ops(501))]);
    let run = lab.go().await;
    let said = lab.error(run).await;
    assert!(said.contains("more than the 1000 steps"), "{said}");
}

#[tokio::test]
async fn a_step_that_came_back_as_something_else_fails_the_run() {
    let lab = Lab::start().await;
    lab.app.function([
        Reply::ops(&[super::app::failed("StepError", "a", "flaky")]),
        Reply::ops(&[op("Sleep", "a", json!({"name": "1s"}))]),
    ]);
    let run = lab.go().await;
    lab.app.calls(1).await;
    lab.at_rest().await;
    lab.clock.advance(std::time::Duration::from_secs(3600));
    let said = lab.error(run).await;
    assert!(
        said.contains("is recorded as `run` and came back as `sleep`"),
        "{said}"
    );
}

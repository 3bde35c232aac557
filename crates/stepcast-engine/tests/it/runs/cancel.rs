//! The end that somebody asks for.

use bytes::Bytes;
use stepcast_engine::runs::Update;
use stepcast_protocol::{ErrorCode, RunId, RunStatus, event::CheckedEvent};

use super::script::{HOUR, Life, World, event};

#[tokio::test]
async fn a_run_that_is_held_is_cancelled_and_refuses_everything() {
    let mut life = World::new().open().await;
    let mut run = life.start().await;
    run.does("a").await;
    run.waits_for("w", "e").await;
    cancel(&life, run.run.id).await;
    run.is_over().await;
    run.can_do_nothing().await;
    run.lease().returned(Bytes::from_static(b"1"));
    life.tell("e", 1).await;
    assert_eq!(life.steps(run.run.id).await, ["a", "w"]);
    assert_eq!(life.status(run.run.id).await, RunStatus::Cancelled);
    run.can_do_nothing().await;
}

#[tokio::test]
async fn a_report_on_its_way_is_counted_and_a_later_one_is_not() {
    let mut life = World::new().open().await;
    let mut run = life.start().await;
    let id = run.run.id;
    life.gate.close_gate();
    run.reports("a");
    let cancelled = life.cancels(id);
    tokio::task::yield_now().await;
    run.reports("b");
    life.gate.open_gate();
    cancelled.await.unwrap().unwrap();
    run.hears_end("a").await;
    let refused = run.update().await;
    assert!(
        matches!(&refused, Update::StepRefused { step, error } if step == "b" && error.code == "run_ended"),
        "{refused:?}"
    );
    run.is_over().await;
    assert_eq!(life.steps(id).await, ["a"]);
}

#[tokio::test]
async fn a_parked_run_is_cancelled_where_it_is() {
    let world = World::new();
    let mut life = world.open().await;
    let mut run = life.start().await;
    run.sleeps("s", HOUR).await;
    run.waits_for("w", "e").await;
    run.parks(0).await;
    cancel(&life, run.run.id).await;
    life.has_no_timers().await;
    life.tell("e", 1).await;
    world.clock.advance(2 * HOUR);
    let other = life.start().await;
    assert!(!life.has_started());
    other.returns().await;
}

#[tokio::test]
async fn a_queued_run_is_cancelled_and_never_starts() {
    let mut world = World::new();
    world.functions[0].concurrency = 1;
    let mut life = world.open().await;
    let first = life.start().await;
    let [second, third] = [life.send("f").await, life.send("f").await];
    let later = CheckedEvent {
        at: Some(world.clock.now() + HOUR),
        ..event("f")
    };
    let later = life.engine.send(vec![later], None).await.unwrap()[0].runs[0];
    cancel(&life, second).await;
    cancel(&life, later).await;
    life.has_no_timers().await;
    world.clock.advance(HOUR);
    first.returns().await;
    let next = life.next().await;
    assert_eq!(next.run.id, third);
    next.returns().await;
    let last = life.start().await;
    assert!(!life.has_started());
    last.returns().await;
}

#[tokio::test]
async fn a_run_that_has_ended_cannot_be_cancelled_and_one_that_never_was_neither() {
    let mut life = World::new().open().await;
    let run = life.start().await;
    let id = run.run.id;
    run.returns().await;
    for (id, code) in [
        (id, ErrorCode::RunEnded),
        (RunId::from_parts(1, 1), ErrorCode::UnknownRun),
    ] {
        let refused = life.engine.cancel(id).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }
    assert_eq!(life.status(id).await, RunStatus::Completed);
}

/// Cancels a run; doing so again is refused.
async fn cancel(life: &Life, id: RunId) {
    life.engine.cancel(id).await.unwrap();
    let end = life.end_of(id).await;
    assert_eq!(end.status, RunStatus::Cancelled);
    assert_eq!(end.error.unwrap().code, "run_cancelled");
    let again = life.engine.cancel(id).await.unwrap_err();
    assert_eq!(again.code(), ErrorCode::RunEnded, "{again}");
}

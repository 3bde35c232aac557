//! Runs that are run again.

use bytes::Bytes;
use stepcast_engine::{
    EngineError,
    expression::Expression,
    runs::{FunctionConfig, Retry},
    store::{Batch, StoreExt, Write},
};
use stepcast_protocol::{ErrorCode, RunId, RunStatus, event::CheckedEvent};

use super::script::{HOUR, Life, SECOND, World, event, failure, function};
use crate::support::within;

async fn rerun(life: &Life, id: RunId) -> Result<RunId, EngineError> {
    within(life.engine.rerun(id)).await
}

#[tokio::test]
async fn a_run_that_has_failed_is_run_again_by_its_event_and_stays_as_it_is() {
    let mut life = World::new().open().await;
    let mut first = life.start().await;
    first.does("a").await;
    first.lease().failed(failure(), Retry::never());
    first.is_over().await;
    let id = first.run.id;
    let again = rerun(&life, id).await.unwrap();
    assert_ne!(again, id);
    let mut second = life.next().await;
    assert_eq!(second.run.id, again);
    assert_eq!(second.run.event, first.run.event);
    assert!(second.known().is_empty(), "it begins at its beginning");
    second.does("a").await;
    second.returns().await;
    assert_eq!(life.end_of(again).await.status, RunStatus::Completed);
    assert_eq!(life.status(id).await, RunStatus::Failed);
}

#[tokio::test]
async fn a_key_that_starts_a_function_once_does_not_stand_in_the_way() {
    let mut world = World::new();
    world.functions[0] = FunctionConfig {
        idempotency: Some(Expression::parse("event.data.n").unwrap()),
        ..function("f")
    };
    let mut life = world.open().await;
    let keyed = || CheckedEvent {
        key: Some("k".to_owned()),
        ..event("f")
    };
    let engine = life.engine.clone();
    let send = async || engine.send(vec![keyed()], None).await.unwrap();
    let sent = send().await;
    let first = life.next().await;
    assert_eq!(sent[0].runs, [first.run.id]);
    first.returns().await;
    world.clock.advance(SECOND);
    let again = rerun(&life, sent[0].runs[0]).await.unwrap();
    assert_eq!(send().await, sent, "what it has started was this");
    let second = life.next().await;
    assert_eq!(second.run.id, again);
    second.returns().await;
    // Another event with the same value starts it no more than before.
    let other = life.engine.send(vec![event("f")], None).await.unwrap();
    assert_eq!(other[0].runs, []);
}

#[tokio::test]
async fn what_invoked_a_run_hears_of_the_first_one_only() {
    let mut life = World::new().open().await;
    let mut parent = life.start().await;
    parent.invokes_g("call").await;
    let child = life.next().await;
    let id = child.run.id;
    child.returns().await;
    parent.hears_end("call").await;
    let again = rerun(&life, id).await.unwrap();
    assert_eq!(life.stored(again).await.row.parent, None);
    life.next().await.returns().await;
    parent.does("after").await;
    parent.returns().await;
    assert_eq!(life.end_of(again).await.status, RunStatus::Completed);
}

#[tokio::test]
async fn a_run_that_is_not_there_or_has_no_function_any_more_is_refused() {
    let mut world = World::new();
    let life = world.open().await;
    let unknown = RunId::from_parts(1, 2);
    let refused = rerun(&life, unknown).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::UnknownRun);
    let id = life.send("f").await;
    life.dies();
    world.functions.remove(0);
    let life = world.open().await;
    let refused = rerun(&life, id).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::UnknownFunction);
    let said = refused.to_string();
    assert!(
        said.contains(&id.to_string()) && said.contains("`f`"),
        "{said}"
    );
    assert_eq!(life.newest_runs().await, 1);
}

#[tokio::test]
async fn a_run_that_is_deleted_meanwhile_is_not_run_again() {
    let world = World::new();
    let mut life = world.open().await;
    let held = life.start().await;
    let id = held.run.id;
    held.returns().await;
    life.end_of(id).await;
    life.gate.close_gate();
    let before = life.gate.kept_back();
    let engine = life.engine.clone();
    let again = tokio::spawn(async move { engine.rerun(id).await });
    life.gate.keeps_back(before + 1).await;
    let (now, limit) = (world.clock.now() + HOUR, 9);
    let expire = Write::Expire {
        before: now,
        now,
        limit,
    };
    life.sqlite.commit(Batch::of(vec![expire])).await.unwrap();
    life.gate.open_gate();
    let refused = within(again).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::UnknownRun);
    assert_eq!(life.newest_runs().await, 0);
    // The place that the new run would have had is free again.
    let next = life.start().await;
    next.lease().returned(Bytes::from_static(b"1"));
}

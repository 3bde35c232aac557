//! Who executes, and who waits for his turn.

use std::{collections::BTreeSet, time::Duration};

use stepcast_engine::error::EngineError;
use stepcast_protocol::RunStatus;

use super::script::{World, function};

#[tokio::test]
async fn so_many_runs_of_a_function_execute_at_once_and_others_go_on() {
    let mut world = World::new();
    world.functions[0].concurrency = 2;
    let mut life = world.open().await;
    let mut waiting = BTreeSet::new();
    for _ in 0..5 {
        waiting.insert(life.send("f").await);
    }
    let (first, second) = (life.next().await, life.next().await);
    waiting.remove(&first.run.id);
    waiting.remove(&second.run.id);
    assert_eq!(waiting.len(), 3);
    // `g` has places of its own, and everybody who could start before it has.
    life.send("g").await;
    let other = life.next().await;
    assert_eq!(other.run.function, "g");
    for id in &waiting {
        assert_eq!(life.status(*id).await, RunStatus::Queued);
    }
    other.returns().await;
    first.returns().await;
    let mut last = second;
    while !waiting.is_empty() {
        let next = life.next().await;
        assert!(waiting.remove(&next.run.id));
        assert!(life.engine.running() <= 2 && !life.has_started());
        std::mem::replace(&mut last, next).returns().await;
    }
    last.returns().await;
}

#[tokio::test]
async fn runs_that_wait_for_their_turn_outlive_the_process() {
    let mut world = World::new();
    world.functions[0].concurrency = 1;
    let life = world.open().await;
    let mut sent = BTreeSet::new();
    for _ in 0..4 {
        sent.insert(life.send("f").await);
    }
    life.dies();
    let mut life = world.open().await;
    for _ in 0..4 {
        let run = life.next().await;
        assert!(sent.remove(&run.run.id));
        run.returns().await;
    }
    assert!(!life.has_started());
}

#[tokio::test]
async fn runs_of_a_function_that_is_gone_wait_for_it() {
    let mut world = World::new();
    let mut life = world.open().await;
    life.send("g").await;
    let held = life.next().await;
    let id = held.run.id;
    drop(held);
    life.dies();

    world.functions.pop();
    for _ in 0..10 {
        let mut life = world.open().await;
        life.start().await.returns().await;
        assert_eq!(life.status(id).await, RunStatus::Queued);
        world.clock.advance(stepcast_protocol::limits::RETENTION);
        life.dies();
    }

    world.functions.push(function("g"));
    let mut life = world.open().await;
    let run = life.next().await;
    assert_eq!(run.run.id, id);
    assert_eq!(
        life.stored(id).await.row.crashes,
        1,
        "only while it was held"
    );
    run.returns().await;
}

#[tokio::test]
async fn who_was_executed_before_goes_before_a_hundred_that_were_not() {
    let mut world = World::new();
    world.functions[0].concurrency = 1;
    let mut life = world.open().await;
    let mut slept = life.start().await;
    slept.sleeps("s", Duration::from_secs(1)).await;
    slept.parks(0).await;
    let first = life.start().await;
    for _ in 0..100 {
        life.send("f").await;
    }
    world.clock.advance(Duration::from_secs(2));
    let id = slept.run.id;
    while life.status(id).await != RunStatus::Queued {
        tokio::task::yield_now().await;
    }
    first.returns().await;
    let next = life.next().await;
    assert_eq!(next.run.id, id);
    next.returns().await;
}

#[tokio::test]
async fn functions_come_change_and_go_while_the_engine_runs() {
    let world = World::new();
    let mut life = world.open().await;
    life.tell("h", 1).await;
    life.engine.register("app", vec![function("h")]).unwrap();
    let id = life.send("h").await;
    let run = life.next().await;
    assert_eq!((run.run.id, run.run.function.as_str()), (id, "h"));
    run.returns().await;
    let twice = life.engine.register("app", vec![function("f")]);
    assert!(matches!(twice, Err(EngineError::FunctionTwice(_))));
    life.engine.register("app", vec![]).unwrap();
    life.tell("h", 2).await;
    life.start().await.returns().await;
}

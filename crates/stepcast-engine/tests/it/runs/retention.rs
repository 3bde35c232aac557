//! What is kept, and for how long.

use stepcast_engine::{EngineOptions, runs::IdSeed, store::Store};
use stepcast_protocol::{event::CheckedEvent, limits};

use super::script::{HOUR, World, event};
use crate::support::eventually;

#[tokio::test]
async fn runs_that_ended_go_after_the_retention_with_their_steps_and_events() {
    let mut world = World::new();
    world.options = EngineOptions::default()
        .with_clock(world.clock.clone())
        .with_retention(HOUR);
    let mut life = world.open().await;
    let mut old = life.start().await;
    let (old_id, old_event) = (old.run.id, old.run.event.id);
    old.does("a").await;
    old.returns().await;
    life.tell("e", 1).await;
    let mut open = life.start().await;
    open.does("b").await;
    open.waits_for("w", "e").await;
    open.parks(1).await;
    let open_id = open.run.id;
    let mut late = life.start().await;
    let late_id = late.run.id;
    world.clock.advance(HOUR);
    late.does("c").await;
    late.returns().await;
    drop(open);
    life.ends().await;
    world.clock.advance(HOUR / 2);

    let mut life = world.open().await;
    eventually(async || {
        life.engine
            .run(old_id)
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    assert_eq!(life.sqlite.event(old_event).await.unwrap(), None);
    assert_eq!(count(&world, "events"), 2, "those of the runs that stay");
    assert_eq!(count(&world, "runs"), 2);
    assert_eq!(count(&world, "steps"), 3);
    assert_eq!(life.steps(open_id).await, ["b", "w"]);
    assert_eq!(life.steps(late_id).await, ["c"]);
    life.tell("e", 2).await;
    let run = life.next().await;
    assert_eq!((run.run.id, run.known()), (open_id, vec!["b", "w"]));
    run.returns().await;
}

fn count(world: &World, table: &str) -> u32 {
    let shell = rusqlite::Connection::open(world.database.file()).unwrap();
    let sql = format!("SELECT count(*) FROM {table}");
    shell.query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn an_event_with_a_key_starts_its_runs_once_within_a_day() {
    let world = World::new();
    let life = world.open().await;
    let first = send(&life, keyed("f", "k")).await;
    assert_eq!(first.runs.len(), 1);
    assert_eq!(send(&life, keyed("f", "k")).await, first);
    assert_ne!(send(&life, keyed("f", "other")).await.event, first.event);
    assert_ne!(send(&life, keyed("g", "k")).await.event, first.event);
    life.dies();

    world.clock.advance(limits::IDEMPOTENCY_WINDOW - HOUR);
    let life = world.open().await;
    assert_eq!(send(&life, keyed("f", "k")).await, first);
    world.clock.advance(HOUR);
    let next = send(&life, keyed("f", "k")).await;
    assert_ne!(next.event, first.event);
    assert_eq!(life.newest_runs().await, 4);
    assert_eq!(send(&life, keyed("f", "k")).await, next);
}

#[tokio::test]
async fn one_request_may_repeat_a_key() {
    let life = World::new().open().await;
    let events = vec![keyed("f", "k"), event("f"), keyed("f", "k")];
    let sent = life.engine.send(events, None).await.unwrap();
    assert_eq!(sent[0], sent[2]);
    assert_ne!(sent[0].event, sent[1].event);
    assert_eq!(life.newest_runs().await, 2);
}

#[tokio::test]
async fn a_request_that_is_repeated_with_its_seed_starts_nothing_again() {
    let world = World::new();
    let life = world.open().await;
    let seed = IdSeed::parse("1795000000000,AAAAAAAAAAAAAQ==").unwrap();
    let events = || vec![event("f"), event("g"), event("e")];
    let sent = life.engine.send(events(), Some(seed)).await.unwrap();
    life.dies();
    let life = world.open().await;
    let again = life.engine.send(events(), Some(seed)).await.unwrap();
    assert_eq!(again, sent);
    assert_eq!(life.newest_runs().await, 2);
}

fn keyed(name: &str, key: &str) -> CheckedEvent {
    CheckedEvent {
        key: Some(key.to_owned()),
        ..event(name)
    }
}

async fn send(life: &super::script::Life, event: CheckedEvent) -> stepcast_engine::runs::Accepted {
    let mut sent = life.engine.send(vec![event], None).await.unwrap();
    sent.pop().unwrap()
}

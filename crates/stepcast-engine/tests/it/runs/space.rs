//! A disk that is full, and has room again.

use bytes::Bytes;
use stepcast_engine::{
    EngineError, Publication,
    store::{Batch, Outcome, StoreExt, Verb, sqlite::SqliteOptions},
};
use stepcast_protocol::{Cursor, ErrorCode, RunStatus, TopicName, event::CheckedEvent};

use super::script::{Held, Life, World, event, key};
use crate::support::{channel_name, eventually, within};

/// What the disk is filled with.
const FILLING: usize = 60_000;
/// What finds no room any more, whatever else is on the disk.
const LARGE: usize = 3 * FILLING;

#[tokio::test]
async fn a_sender_and_a_publisher_are_told_and_the_next_ones_are_served() {
    let world = small_world();
    let mut life = world.open().await;
    let mut run = life.start().await;
    let last = fill(&life).await;

    let refused = send(&life).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NoSpace, "{refused}");
    for durable in [true, false] {
        let refused = publish(&life, LARGE, durable).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::NoSpace, "durable: {durable}");
    }
    assert_eq!(life.newest_runs().await, 1);
    let channel = life.engine.hub().channel(&channel_name("c")).await.unwrap();
    assert_eq!(channel.visible().epoch, last.epoch);
    run.does("what fits goes on").await;

    make_room(&world);
    assert_eq!(send(&life).await.unwrap(), 1);
    for durable in [true, false] {
        let served = publish(&life, LARGE, durable).await.unwrap();
        assert!(served > last);
    }
    life.next().await.returns().await;
    run.returns().await;
}

#[tokio::test]
async fn a_run_that_executes_is_held_until_there_is_room() {
    let world = small_world();
    let mut life = world.open().await;
    let mut run = life.start().await;
    fill(&life).await;
    let before = life.gate.let_through().len();
    reports_large(&run, "a");
    let publication = life.outgoing("c", 1).await;
    run.publishes("p", publication);
    // It was refused, and is tried again.
    eventually(async || (life.gate.let_through().len() >= before + 2).then_some(())).await;
    assert!(run.lease().is_current());
    assert_eq!(life.steps(run.run.id).await, [""; 0]);
    assert!(run.run.updates.is_empty());

    make_room(&world);
    run.hears_end("a").await;
    run.hears_end("p").await;
    assert_eq!(life.steps(run.run.id).await, ["a", "p"]);
    run.returns().await;
}

#[tokio::test]
async fn a_run_that_is_held_for_want_of_room_goes_on_after_a_death() {
    let world = small_world();
    let mut life = world.open().await;
    let run = life.start().await;
    fill(&life).await;
    reports_large(&run, "a");
    // The store answers in the order of the queue, so it has refused by then.
    life.sqlite.commit(Batch::default()).await.unwrap();
    drop(run);
    life.dies();
    make_room(&world);

    let mut life = world.open().await;
    let mut run = life.next().await;
    assert_eq!(run.known(), [""; 0]);
    reports_large(&run, "a");
    run.hears_end("a").await;
    run.returns().await;
}

#[tokio::test]
async fn below_the_margin_of_free_space_nothing_new_begins_and_what_began_ends() {
    let world = World::new();
    let mut life = world.open().await;
    let mut run = life.start().await;
    run.does("a").await;
    drop(run);
    life.ends().await;

    let short = SqliteOptions::new().with_min_free_bytes(u64::MAX);
    let sqlite = world.database.open_with(short).await;
    let mut life = world.open_over(sqlite).await;
    let mut run = life.next().await;
    let refused = send(&life).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NoSpace, "{refused}");
    let refused = publish(&life, 1, true).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NoSpace);
    run.does("b").await;
    run.publishes("p", life.outgoing("c", 1).await);
    run.hears_end("p").await;
    run.returns().await;
}

#[tokio::test]
async fn below_the_margin_of_free_space_a_run_whose_end_is_told_can_be_cancelled() {
    let mut world = World::new();
    world.functions[0].announces_end = true;
    let mut life = world.open().await;
    let run = life.start().await.run.id;
    life.ends().await;

    let short = SqliteOptions::new().with_min_free_bytes(u64::MAX);
    let life = world.open_over(world.database.open_with(short).await).await;
    within(life.engine.cancel(run)).await.unwrap();
    assert_eq!(life.status(run).await, RunStatus::Cancelled);
}

fn small_world() -> World {
    World::with(SqliteOptions::new().with_max_bytes(1024 * 1024))
}

/// Publishes until nothing of that size fits any more. Says what the last message is.
async fn fill(life: &Life) -> Cursor {
    let mut last = Cursor::START;
    loop {
        match publish(life, FILLING, true).await {
            Ok(cursor) => last = cursor,
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::NoSpace);
                return last;
            }
        }
    }
}

/// Somebody deletes what filled the disk.
fn make_room(world: &World) {
    let shell = rusqlite::Connection::open(world.database.file()).unwrap();
    shell.execute_batch("DELETE FROM messages").unwrap();
}

fn text(bytes: usize) -> Bytes {
    Bytes::from(format!("\"{}\"", "x".repeat(bytes)))
}

async fn publish(life: &Life, bytes: usize, durable: bool) -> Result<Cursor, EngineError> {
    let publication = Publication {
        channel: channel_name("c"),
        topic: TopicName::parse("t").unwrap(),
        payload: text(bytes),
        run: None,
        durable,
        key: None,
    };
    life.engine.publish(publication).await
}

/// Sends an event that is too large for a full disk; how many runs it started.
async fn send(life: &Life) -> Result<usize, EngineError> {
    let large = CheckedEvent {
        data: Bytes::from(format!(r#"{{"x":"{}"}}"#, "x".repeat(LARGE))),
        ..event("f")
    };
    let sent = life.engine.send(vec![large], None).await?;
    Ok(sent[0].runs.len())
}

fn reports_large(run: &Held, step: &str) {
    let outcome = Outcome::Ok(text(LARGE));
    run.lease().step_ended(key(step, Verb::Run), outcome);
}

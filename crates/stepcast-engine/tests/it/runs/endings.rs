//! The end of a run as an event of its own.

use std::sync::Arc;

use serde_json::{Value, json};
use stepcast_engine::{
    Engine, EngineError, EngineOptions,
    expression::Expression,
    runs::{Failure, FunctionConfig, LeasedRun, Retry, Trigger, Worker},
    store::Store,
};
use stepcast_protocol::{ErrorCode, EventName, EventPattern, RunError, RunStatus};

use super::script::{HOUR, Life, SECOND, World, function};

/// `f`, whose ends are announced, and `g`, which handles its failures.
fn world() -> World {
    let mut world = World::new();
    let announced = FunctionConfig {
        announces_end: true,
        ..function("f")
    };
    let condition = "event.data.function_id == 'f'";
    let handler = FunctionConfig {
        triggers: vec![Trigger {
            event: EventPattern::parse("inngest/function.failed").unwrap(),
            condition: Some(Expression::parse(condition).unwrap()),
        }],
        announces_end: true,
        ..function("g")
    };
    world.functions = vec![announced, handler];
    world
}

/// The data of the events of one name.
async fn said(life: &Life, name: &str) -> Vec<Value> {
    let name = stepcast_protocol::EventName::parse(name).unwrap();
    let events = life.sqlite.events_after(name, 0, 10).await.unwrap();
    let data = events
        .iter()
        .map(|stored| serde_json::from_slice(&stored.event.data).unwrap());
    data.collect()
}

#[tokio::test]
async fn a_failure_starts_its_handler_from_the_same_commit_and_the_handler_none() {
    let world = world();
    let mut life = world.open().await;
    let run = life.start().await;
    let id = run.run.id;
    let failure = Failure::of(RunError::new(ErrorCode::FunctionFailed, "no"));
    run.lease().failed(failure, Retry::never());
    let handler = life.next().await;
    assert_eq!(handler.run.function, "g");
    assert_eq!(life.status(id).await, RunStatus::Failed);
    let data: Value = serde_json::from_slice(&handler.run.event.data).unwrap();
    assert_eq!(
        (&data["function_id"], &data["run_id"]),
        (&json!("f"), &json!(id.to_string()))
    );
    assert_eq!(data["error"]["message"], "no");
    assert_eq!(data["event"]["name"], "f");
    let failed = handler.run.id;
    handler.lease().failed(
        Failure::terminal(ErrorCode::FunctionFailed, "again"),
        Retry::never(),
    );
    life.end_of(failed).await;
    assert_eq!(said(&life, "inngest/function.failed").await.len(), 1);
    assert_eq!(said(&life, "inngest/function.finished").await.len(), 1);
    assert!(!life.has_started());
}

#[tokio::test]
async fn each_end_says_how_it_was() {
    let world = world();
    let mut life = world.open().await;
    life.start().await.returns().await;
    let run = life.start().await;
    life.cancels(run.run.id).await.unwrap().unwrap();
    let finished = said(&life, "inngest/function.finished").await;
    let status: Vec<_> = finished
        .iter()
        .map(|data| data["_inngest"]["status"].clone())
        .collect();
    assert_eq!(status, ["Completed", "Cancelled"]);
    assert_eq!(finished[0]["result"], "done");
    assert_eq!(said(&life, "inngest/function.cancelled").await.len(), 1);
}

#[tokio::test]
async fn an_end_that_is_due_at_the_start_is_announced_though_its_function_is_gone() {
    let mut world = world();
    world.functions[0].ends_within = Some(60 * SECOND);
    let handler = FunctionConfig {
        triggers: vec![Trigger::from(
            EventName::parse("inngest/function.cancelled").unwrap(),
        )],
        ..function("g")
    };
    let mut life = world.open().await;
    let mut run = life.start().await;
    let id = run.run.id;
    run.sleeps("s", HOUR).await;
    run.parks(0).await;
    drop(run);
    life.dies();
    world.clock.advance(61 * SECOND);
    world.functions.clear();
    world.options = world.options.with_app("shop", vec![handler]);
    let mut life = world.open().await;
    let handler = life.next().await;
    assert_eq!(handler.run.function, "g");
    let data: Value = serde_json::from_slice(&handler.run.event.data).unwrap();
    assert_eq!(data["run_id"], json!(id.to_string()));
    assert_eq!(life.status(id).await, RunStatus::Cancelled);
}

#[tokio::test]
async fn the_failure_of_a_run_that_is_older_than_its_guards_starts_its_handler() {
    let old = [None, Some(r#"{"ends_within":{"secs":3600,"nanos":0}}"#)];
    for guards in old {
        let world = world();
        let mut life = world.open().await;
        let run = life.start().await;
        let id = run.run.id;
        drop(run);
        life.ends().await;
        let shell = rusqlite::Connection::open(world.database.file()).unwrap();
        let changed = shell.execute("UPDATE runs SET guards = ?1", [guards]);
        assert_eq!(changed.unwrap(), 1);
        drop(shell);
        let mut life = world.open().await;
        let run = life.next().await;
        assert_eq!(run.run.id, id);
        assert_eq!(life.stored(id).await.row.guards.announces_end, None);
        let failure = Failure::of(RunError::new(ErrorCode::FunctionFailed, "no"));
        run.lease().failed(failure, Retry::never());
        let handler = life.next().await;
        assert_eq!(handler.run.function, "g");
        assert_eq!(life.status(id).await, RunStatus::Failed);
        handler.returns().await;
    }
}

#[tokio::test]
async fn two_apps_of_the_beginning_have_no_function_in_common() {
    let world = World::new();
    let app = |options: EngineOptions, app| options.with_app(app, vec![function("h")]);
    let options = app(app(world.options.clone(), "shop"), "store");
    let store = world.database.open().await;
    let opened = Engine::open(store, Vec::new(), Arc::new(Nobody), options).await;
    assert!(matches!(opened, Err(EngineError::FunctionTwice(id)) if id == "h"));
}

struct Nobody;

impl Worker for Nobody {
    fn start(&self, _: LeasedRun) {}
}

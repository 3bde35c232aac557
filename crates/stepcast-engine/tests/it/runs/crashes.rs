//! Processes that die while they hold a run.

use stepcast_protocol::RunStatus;

use super::script::World;

#[tokio::test]
async fn a_run_that_kills_its_process_five_times_fails() {
    let world = World::new();
    let life = world.open().await;
    let id = life.send("f").await;
    dies_holding(life).await;
    for _ in 0..4 {
        dies_holding(world.open().await).await;
    }
    let life = world.open().await;
    let end = life.end_of(id).await;
    assert_eq!(end.status, RunStatus::Failed);
    assert_eq!(end.error.unwrap().code, "crashed_repeatedly");
    assert!(!life.has_started(), "it was given to nobody any more");
}

#[tokio::test]
async fn a_step_that_ends_forgives_the_crashes_before_it() {
    let world = World::new();
    let life = world.open().await;
    life.send("f").await;
    dies_holding(life).await;
    for step in ["a", "b"] {
        for _ in 0..3 {
            dies_holding(world.open().await).await;
        }
        let mut life = world.open().await;
        let mut run = life.next().await;
        assert!(life.stored(run.run.id).await.row.crashes >= 4 - u32::from(step == "b"));
        run.does(step).await;
        assert_eq!(life.stored(run.run.id).await.row.crashes, 0);
        drop(run);
        life.dies();
    }
    let mut life = world.open().await;
    let run = life.next().await;
    assert_eq!(run.known(), ["a", "b"]);
    run.returns().await;
}

#[tokio::test]
async fn clean_ends_cost_a_run_nothing() {
    let world = World::new();
    let mut life = world.open().await;
    let held = life.start().await;
    let id = held.run.id;
    drop(held);
    life.ends().await;
    for lease in 2..9 {
        let mut life = world.open().await;
        let held = life.next().await;
        let row = life.stored(id).await.row;
        assert_eq!((held.run.id, row.crashes, row.lease), (id, 0, lease));
        drop(held);
        life.ends().await;
    }
}

/// Takes the next run and dies with it.
async fn dies_holding(mut life: super::script::Life) {
    drop(life.next().await);
    life.dies();
}

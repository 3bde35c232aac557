//! Runs that give their lease back while they wait, and what comes meanwhile.

use stepcast_engine::{
    runs::{Retry, Update},
    store::{Phase, Store, Verb},
};

use super::script::{HOUR, Life, World, failure, key};
use crate::support::eventually;

#[tokio::test]
async fn an_event_that_comes_while_the_run_parks_is_not_missed() {
    let mut life = World::new().open().await;
    let mut run = life.start().await;
    run.waits_for("w", "e").await;
    // Something else could wake it, so only the missed result is a reason to go on.
    run.waits_for("never", "never").await;
    life.gate.close_gate();
    life.tell_gated("e", 3).await;
    // The end of the wait is on its way when the worker, which does not know, decides to park.
    life.gate.commit_nth(0).await;
    life.gate.keeps_back(1).await;
    run.lease().park(0);
    life.gate.open_gate();
    assert_eq!(run.hears_event("w").await, 3);
    run.is_over().await;
    goes_on_with(&mut life, "w").await;
}

#[tokio::test]
async fn an_event_that_comes_after_the_run_decided_to_park_wakes_it() {
    let mut life = World::new().open().await;
    let mut run = life.start().await;
    run.waits_for("w", "e").await;
    life.gate.close_gate();
    run.lease().park(0);
    life.tell_gated("e", 3).await;
    life.gate.open_gate();
    run.is_over().await;
    goes_on_with(&mut life, "w").await;
}

#[tokio::test]
async fn a_sleep_that_ends_while_the_run_parks_is_not_missed() {
    let world = World::new();
    for parks_first in [true, false] {
        let mut life = world.open().await;
        let mut run = life.start().await;
        run.sleeps("s", HOUR).await;
        run.waits_for("never", "never").await;
        life.gate.close_gate();
        if parks_first {
            run.lease().park(0);
        }
        world.clock.advance(HOUR);
        life.gate.keeps_back(1).await;
        if !parks_first {
            run.lease().park(0);
        }
        life.gate.open_gate();
        goes_on_with(&mut life, "s").await;
        drop(run);
        life.ends().await;
    }
}

#[tokio::test]
async fn a_pause_that_ends_while_the_run_parks_is_not_missed() {
    let world = World::new();
    let mut life = world.open().await;
    let mut run = life.start().await;
    run.waits_for("w", "e").await;
    // Too short for a timer of its own: only a parked run needs one.
    let retry = Retry::times(1);
    run.lease()
        .step_failed(key("s", Verb::Run), failure(), retry);
    run.update().await;
    life.gate.close_gate();
    // Something is on its way, so that the report waits.
    run.asks_for("never", "never");
    run.lease().park(0);
    world.clock.advance(HOUR);
    life.gate.open_gate();
    let again = life.next().await;
    assert_eq!(again.known(), ["never", "s", "w"]);
}

#[tokio::test]
async fn a_run_that_knows_all_its_results_parks_until_the_next() {
    let mut life = World::new().open().await;
    let mut run = life.start().await;
    run.does("a").await;
    run.waits_for("w", "e").await;
    run.parks(1).await;
    assert_eq!(life.stored(run.run.id).await.row.phase, Phase::Parked);
    eventually(async || (life.engine.running() == 0).then_some(())).await;
    let other = life.start().await;
    assert!(!life.has_started());
    other.returns().await;
    life.tell("e", 1).await;
    goes_on_with(&mut life, "w").await;
}

#[tokio::test]
async fn a_run_that_parks_without_anything_to_wait_for_goes_on_at_once() {
    let mut life = World::new().open().await;
    let mut run = life.start().await;
    run.does("a").await;
    run.parks(1).await;
    goes_on_with(&mut life, "a").await;
}

#[tokio::test]
async fn more_runs_than_fit_into_memory_give_way_to_each_other() {
    const RUNS: usize = 7;
    let mut world = World::new();
    world.options = world.options.with_runs_in_memory(2);
    let mut life = world.open().await;
    for _ in 0..RUNS {
        life.send("f").await;
    }
    for n in 1..=RUNS {
        let mut run = life.next().await;
        run.sleeps("s", HOUR).await;
        if n < RUNS - 1 {
            assert_eq!(run.update().await, Update::GiveBack, "others wait");
        }
        run.parks(0).await;
        assert!(life.engine.running() <= 2);
    }
    world.clock.advance(HOUR);
    let mut goes_on = Vec::new();
    for _ in 0..RUNS {
        let run = life.next().await;
        assert!(life.engine.running() <= 2);
        assert_eq!(run.known(), ["s"]);
        goes_on.push(run.run.id);
        run.returns().await;
    }
    goes_on.sort();
    goes_on.dedup();
    assert_eq!(goes_on.len(), RUNS);
    assert!(!life.has_started());
    life.has_no_timers().await;
    assert_eq!(life.sqlite.event_waits(None, 10).await.unwrap(), []);
}

/// The run is handed over again, with the result of this step.
async fn goes_on_with(life: &mut Life, step: &str) {
    let run = life.next().await;
    assert!(run.result(step).is_some(), "{:?}", run.run.steps);
    run.returns().await;
    assert!(!life.has_started());
}

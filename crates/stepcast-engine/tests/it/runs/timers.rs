//! What happens at a time, also over the death of a process.

use std::time::Duration;

use bytes::Bytes;
use stepcast_engine::{
    runs::Retry,
    store::{Outcome, Phase, Store, Verb},
};
use stepcast_protocol::{ErrorCode, RunStatus, event::CheckedEvent};

use super::script::{HOUR, Life, SECOND, World, event, failure, key, number_of};

const NULL: Outcome = Outcome::Ok(Bytes::from_static(b"null"));

#[tokio::test]
async fn a_sleep_survives_a_death_and_ends_at_its_time() {
    let world = World::new();
    let mut life = world.open().await;
    let mut run = life.start().await;
    run.sleeps("s", HOUR).await;
    drop(run);
    life.dies();

    let mut life = world.open().await;
    let mut run = life.next().await;
    assert_eq!(run.known(), ["s"]);
    world.clock.advance(HOUR - SECOND);
    run.does("meanwhile").await;
    world.clock.advance(SECOND);
    assert_eq!(run.hears_end("s").await, NULL);
    run.returns().await;
    life.has_no_timers().await;
}

#[tokio::test]
async fn a_sleep_that_is_over_when_the_process_comes_back_ends_at_once() {
    let world = World::new();
    let mut life = world.open().await;
    let mut run = life.start().await;
    run.sleeps("s", HOUR).await;
    run.parks(0).await;
    let id = run.run.id;
    drop(run);
    life.dies();
    world.clock.advance(2 * HOUR);

    let mut life = world.open().await;
    let run = life.next().await;
    assert_eq!((run.run.id, run.known()), (id, vec!["s"]));
    assert_eq!(life.stored(id).await.row.crashes, 0, "it was not held");
    run.returns().await;
    life.has_no_timers().await;
}

#[tokio::test]
async fn a_run_whose_event_is_of_later_waits_for_its_time_over_a_clean_end() {
    let world = World::new();
    let life = world.open().await;
    let later = CheckedEvent {
        at: Some(world.clock.now() + HOUR),
        ..event("f")
    };
    let sent = life.engine.send(vec![later], None).await.unwrap();
    let id = sent[0].runs[0];
    life.ends().await;

    let mut life = world.open().await;
    assert_eq!(life.status(id).await, RunStatus::Queued);
    let other = life.start().await;
    assert!(!life.has_started(), "its time has not come");
    world.clock.advance(HOUR);
    assert_eq!(life.next().await.run.id, id);
    other.returns().await;
    life.has_no_timers().await;
}

#[tokio::test]
async fn a_body_that_failed_is_tried_again_after_its_pause_over_a_death() {
    let world = World::new();
    let mut life = world.open().await;
    let mut run = life.start().await;
    run.lease().failed(failure(), Retry::times(1));
    run.is_over().await;
    drop(run);
    life.dies();

    let mut life = world.open().await;
    world.clock.advance(SECOND);
    let mut run = life.next().await;
    assert_eq!(run.run.attempt, 2);
    let id = run.run.id;
    run.lease().failed(failure(), Retry::times(1));
    run.is_over().await;
    let end = life.end_of(id).await;
    assert_eq!(end.status, RunStatus::Failed);
    assert_eq!(end.error.unwrap().code, "function_failed");
    life.has_no_timers().await;
}

#[tokio::test]
async fn a_long_pause_of_a_step_wakes_its_parked_run() {
    let world = World::new();
    let mut life = world.open().await;
    let mut run = life.start().await;
    let retry = Retry::times(1).with_base(HOUR).with_cap(HOUR);
    run.lease()
        .step_failed(key("s", Verb::Run), failure(), retry);
    run.update().await;
    run.parks(0).await;
    world.clock.advance(HOUR);
    let mut run = life.next().await;
    run.does("s").await;
    let id = run.run.id;
    run.returns().await;
    assert_eq!(life.stored(id).await.steps[0].attempts, 2);
    life.has_no_timers().await;
}

/// The timer of a wait and the event it waits for come together, in either order: one of them ends it, the other finds nothing to do.
#[tokio::test]
async fn a_wait_whose_time_and_event_come_together_ends_once() {
    for time_first in [true, false] {
        let world = World::new();
        let mut life = world.open().await;
        let mut run = life.start().await;
        run.waits_until("w", "e", HOUR).await;
        life.gate.close_gate();
        if time_first {
            world.clock.advance(HOUR);
            life.gate.keeps_back(1).await;
        }
        life.tell_gated("e", 7).await;
        if time_first {
            // The event is on disk while the end of the wait is on its way.
            life.gate.commit_nth(1).await;
        } else {
            life.gate.commit_nth(0).await;
            life.gate.keeps_back(1).await;
            world.clock.advance(HOUR);
            fires(&life).await;
        }
        life.gate.open_gate();
        let outcome = run.hears_end("w").await;
        if time_first {
            assert_eq!(outcome, NULL);
        } else {
            assert_eq!(number_of(&outcome), 7);
        }
        run.does("next").await;
        run.returns().await;
        life.has_no_timers().await;
        assert_eq!(life.sqlite.event_waits(None, 10).await.unwrap(), []);
    }
}

/// The time of a sleep comes while the run is cancelled, in either order.
#[tokio::test]
async fn a_timer_that_fires_while_its_run_is_cancelled_ends_the_run_once() {
    for time_first in [true, false] {
        let world = World::new();
        let mut life = world.open().await;
        let mut run = life.start().await;
        run.sleeps("s", HOUR).await;
        run.parks(0).await;
        let id = run.run.id;
        life.gate.close_gate();
        let cancelled = if time_first {
            world.clock.advance(HOUR);
            life.gate.keeps_back(1).await;
            life.cancels(id)
        } else {
            let cancelled = life.cancels(id);
            life.gate.keeps_back(1).await;
            world.clock.advance(HOUR);
            cancelled
        };
        fires(&life).await;
        life.gate.open_gate();
        cancelled.await.unwrap().unwrap();
        assert_eq!(life.end_of(id).await.status, RunStatus::Cancelled);
        assert_eq!(life.stored(id).await.row.phase, Phase::Cancelled);
        let again = life.engine.cancel(id).await.unwrap_err();
        assert_eq!(again.code(), ErrorCode::RunEnded);
        assert_ne!(life.next().await.run.id, id);
        assert!(!life.has_started());
        life.has_no_timers().await;
    }
}

/// Waits until the engine has seen to what is due now: a timer of a moment later, which starts a run of `g`, fires after it.
async fn fires(life: &Life) {
    let kept_back = life.gate.kept_back();
    let later = CheckedEvent {
        at: Some(life.engine.clock().now() + Duration::from_millis(1)),
        ..event("g")
    };
    let engine = life.engine.clone();
    tokio::spawn(async move { engine.send(vec![later], None).await });
    life.gate.keeps_back(kept_back + 1).await;
    life.gate.commit_nth(kept_back).await;
    life.engine.clock().advance(Duration::from_millis(1));
    life.gate.keeps_back(kept_back + 1).await;
}

//! Which events a waiting step sees, and the ends of invoked runs.

use bytes::Bytes;
use serde_json::json;
use stepcast_engine::{
    expression::Expression,
    runs::Awaited,
    store::{Outcome, Store, Verb, rows::Matching},
};
use stepcast_protocol::EventName;

use super::script::{World, event, key, number_of, numbered_event};

#[tokio::test]
async fn a_wait_sees_the_first_event_that_is_committed_after_it() {
    let mut life = World::new().open().await;
    let mut run = life.start().await;
    life.tell("e", 1).await;
    // All three are on their way when the first is committed.
    life.gate.close_gate();
    life.tell_gated("e", 2).await;
    run.asks_for("w", "e");
    life.tell_gated("e", 3).await;
    life.tell_gated("e", 4).await;
    life.gate.open_gate();
    run.update().await;
    assert_eq!(run.hears_event("w").await, 3);
    run.waits_for("again", "e").await;
    life.tell("other", 5).await;
    life.tell("e", 6).await;
    assert_eq!(run.hears_event("again").await, 6);
    run.returns().await;
}

/// A wait begins after the event that ended the one before, so none is seen twice; and what it sees is the first that came after it began.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn waits_see_each_event_once_and_in_order_while_many_are_sent() {
    let mut life = World::new().open().await;
    let mut run = life.start().await;
    let sender = tokio::spawn({
        let engine = life.engine.clone();
        async move {
            for n in 1.. {
                let sent = engine.send(vec![numbered_event("e", n)], None).await;
                sent.unwrap();
            }
        }
    });
    let mut seen = Vec::new();
    for wait in 0..100 {
        let step = format!("wait-{wait}");
        run.waits_for(&step, "e").await;
        seen.push(run.hears_event(&step).await);
    }
    sender.abort();
    assert!(sender.await.unwrap_err().is_cancelled());
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    run.returns().await;
    assert_eq!(life.sqlite.event_waits(None, 10).await.unwrap(), []);
}

fn since_start(event: EventName) -> Awaited {
    Awaited {
        since_run_start: true,
        ..Awaited::next(event)
    }
}

#[tokio::test]
async fn a_wait_since_the_start_sees_what_came_before_it_but_after_the_run() {
    let mut life = World::new().open().await;
    life.tell("e", 1).await;
    let mut run = life.start().await;
    life.tell("e", 2).await;
    life.tell("e", 3).await;
    let wait = key("w", Verb::WaitForEvent).with_target("e");
    let name = EventName::parse("e").unwrap();
    run.lease()
        .step_waits_for_event(wait, since_start(name), None);
    run.update().await;
    assert_eq!(run.hears_event("w").await, 2);
    run.returns().await;
    assert_eq!(life.sqlite.event_waits(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_wait_since_the_start_that_finds_nothing_sees_what_comes() {
    let mut life = World::new().open().await;
    life.tell("e", 1).await;
    let mut run = life.start().await;
    let wait = key("w", Verb::WaitForEvent).with_target("e");
    let name = EventName::parse("e").unwrap();
    run.lease()
        .step_waits_for_event(wait, since_start(name), None);
    run.update().await;
    life.tell("e", 2).await;
    assert_eq!(run.hears_event("w").await, 2);
}

#[tokio::test]
async fn a_wait_ends_with_an_event_that_has_what_it_asks_for() {
    let mut life = World::new().open().await;
    let mut run = life.start().await;
    let wait = key("w", Verb::WaitForEvent).with_target("e");
    let matching = vec![Matching {
        field: "n".to_owned(),
        value: json!(3),
    }];
    let name = EventName::parse("e").unwrap();
    run.lease().step_waits_for_event(
        wait,
        Awaited {
            matching,
            ..Awaited::next(name)
        },
        None,
    );
    run.update().await;
    for n in 1..=4 {
        life.tell("e", n).await;
    }
    assert_eq!(run.hears_event("w").await, 3);
}

#[tokio::test]
async fn an_event_ends_its_wait_though_the_process_died_between_their_commits() {
    for parked in [false, true] {
        let world = World::new();
        let mut life = world.open().await;
        let mut run = life.start().await;
        life.tell("e", 1).await;
        run.waits_for("w", "e").await;
        if parked {
            run.parks(0).await;
        }
        life.gate.close_gate();
        life.tell_gated("e", 2).await;
        life.gate.commit_nth(0).await;
        life.gate.keeps_back(1).await;
        drop(run);
        life.dies();

        let mut life = world.open().await;
        let mut run = life.next().await;
        let outcome = match run.result("w") {
            Some(outcome) => outcome,
            None => run.hears_end("w").await,
        };
        assert_eq!(number_of(&outcome), 2, "parked: {parked}");
        run.returns().await;
        assert_eq!(life.sqlite.event_waits(None, 10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn the_end_of_an_invoked_run_reaches_its_parent() {
    let mut life = World::new().open().await;
    let mut parent = life.start().await;
    parent.invokes_g("i").await;
    let child = life.next().await;
    assert_eq!(child.run.function, "g");
    child.returns().await;
    assert_eq!(parent.hears_end("i").await, done());
    parent.returns().await;
}

#[tokio::test]
async fn the_end_of_an_invoked_run_reaches_its_parent_though_the_process_died_between_their_commits()
 {
    for parked in [false, true] {
        let world = World::new();
        let mut life = world.open().await;
        let mut parent = life.start().await;
        parent.invokes_g("i").await;
        if parked {
            parent.parks(0).await;
        }
        let child = life.next().await;
        life.gate.close_gate();
        let child_id = child.run.id;
        child.lease().returned(Bytes::from_static(b"\"done\""));
        life.gate.commit_nth(0).await;
        life.gate.keeps_back(1).await;
        assert!(life.stored(child_id).await.row.phase.is_final());
        drop((parent, child));
        life.dies();

        let mut life = world.open().await;
        let parent = life.next().await;
        assert_eq!(parent.result("i"), Some(done()), "parked: {parked}");
        parent.returns().await;
        assert!(!life.has_started(), "the child has ended");
    }
}

#[tokio::test]
async fn events_that_a_step_sends_are_one_commit_with_it_and_what_they_start() {
    let mut life = World::new().open().await;
    let mut waiting = life.start().await;
    waiting.waits_for("w", "e").await;
    let mut sending = life.start().await;
    life.gate.close_gate();
    sending.lease().step_sends(
        key("send", Verb::SendEvent),
        vec![event("g"), numbered_event("e", 5)],
    );
    assert_eq!(life.gate.kept_back(), 1);
    assert!(!life.has_started());
    life.gate.commit_nth(0).await;
    life.gate.open_gate();
    sending.hears_end("send").await;
    assert_eq!(waiting.hears_event("w").await, 5);
    assert_eq!(life.next().await.run.function, "g");
}

fn done() -> Outcome {
    Outcome::Ok(Bytes::from_static(b"\"done\""))
}

#[tokio::test]
async fn a_wait_ends_with_an_event_for_which_its_condition_holds_over_a_death() {
    let world = World::new();
    let mut life = world.open().await;
    let mut run = life.start().await;
    let wait = key("w", Verb::WaitForEvent).with_target("e");
    let text = "async.data.n >= 3 && async.data.n != event.data.n && event.name == 'f'";
    let awaited = Awaited {
        condition: Some(Expression::parse(text).unwrap()),
        ..Awaited::next(EventName::parse("e").unwrap())
    };
    run.lease().step_waits_for_event(wait, awaited, None);
    run.update().await;
    life.tell("e", 2).await;
    run.parks(0).await;
    drop(run);
    life.dies();
    let mut life = world.open().await;
    life.tell("e", 1).await;
    life.tell("e", 3).await;
    let run = life.next().await;
    assert_eq!(number_of(&run.result("w").unwrap()), 3);
}

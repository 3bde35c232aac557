//! What is one commit.

use stepcast_engine::store::{Fence, Phase, Write};

use super::script::{Life, World, event};
use crate::support::eventually;

#[tokio::test]
async fn a_run_of_three_steps_and_a_publish_is_six_commits() {
    let mut life = World::new().open().await;
    begins_at_once(&mut life).await;
    let before = life.gate.let_through().len();
    let mut run = life.start().await;
    for step in ["a", "b", "c"] {
        run.does(step).await;
    }
    run.publishes("p", life.outgoing("c", 1).await);
    run.hears_end("p").await;
    let fence = Some(Fence {
        run: run.run.id,
        lease: 1,
    });
    run.returns().await;

    let commits = life.gate.let_through().split_off(before);
    assert_eq!(commits.len(), 6);
    let [Write::Event(_), Write::Run(row)] = &commits[0].writes[..] else {
        panic!("event, run and lease are one commit: {:?}", commits[0]);
    };
    assert_eq!((row.phase, row.lease), (Phase::Leased, 1));
    assert!(commits[1..].iter().all(|commit| commit.fence == fence));
    let publish = &commits[4].writes[..];
    assert!(
        matches!(publish, [Write::Step(_), Write::Message(..)]),
        "{publish:?}"
    );
}

#[tokio::test]
async fn what_is_reported_while_a_commit_is_on_its_way_is_the_next_commit() {
    let mut life = World::new().open().await;
    let mut run = life.start().await;
    life.gate.close_gate();
    for step in ["a", "b", "c", "d"] {
        run.reports(step);
    }
    assert_eq!(life.gate.kept_back(), 1);
    life.gate.commit_nth(0).await;
    assert_eq!(life.gate.kept_back(), 1);
    assert_eq!(life.steps(run.run.id).await, ["a"]);
    life.gate.open_gate();
    for step in ["a", "b", "c", "d"] {
        run.hears_end(step).await;
    }
    run.returns().await;
}

#[tokio::test]
async fn an_event_that_is_not_committed_starts_nothing() {
    let world = World::new();
    let life = world.open().await;
    life.gate.close_gate();
    let sent = tokio::spawn({
        let engine = life.engine.clone();
        async move { engine.send(vec![event("f")], None).await }
    });
    life.gate.keeps_back(1).await;
    assert!(!life.has_started());
    sent.abort();
    sent.await.unwrap_err();
    life.dies();

    let life = world.open().await;
    assert_eq!(life.newest_runs().await, 0);
}

#[tokio::test]
async fn a_run_whose_commit_is_rejected_is_given_up_alone_and_taken_up_at_the_next_start() {
    let world = World::new();
    let mut life = world.open().await;
    let (mut bad, mut good) = (life.start().await, life.start().await);
    bad.does("a").await;
    life.gate.close_gate();
    bad.reports("poison");
    good.reports("b");
    life.gate.fail_nth(0);
    life.gate.open_gate();
    bad.is_over().await;
    bad.can_do_nothing().await;
    good.hears_end("b").await;
    good.returns().await;
    let id = bad.run.id;
    drop(bad);
    life.ends().await;

    let mut life = world.open().await;
    let again = life.next().await;
    assert_eq!((again.run.id, again.known()), (id, vec!["a"]));
    again.returns().await;
}

/// Waits until the engine has seen that no earlier runs of `f` wait for their turn: from then on a new one is leased as it is created.
async fn begins_at_once(life: &mut Life) {
    eventually(async || {
        let before = life.gate.let_through().len();
        let run = life.start().await;
        let leased = |write: &Write| matches!(write, Write::Run(row) if row.lease == 1);
        let at_once = life.gate.let_through()[before].writes.iter().any(leased);
        run.returns().await;
        at_once.then_some(())
    })
    .await;
}

//! A lease that is over cannot write.

use std::sync::Arc;

use stepcast_engine::store::{
    Store,
    sqlite::{CommitFault, Faults, SqliteOptions, SqliteStore},
};
use stepcast_protocol::ErrorCode;

use super::script::World;
use crate::support::channel_name;

/// A process that was stopped and goes on when another has taken its runs over.
#[tokio::test]
async fn a_report_on_its_way_is_refused_once_another_has_the_run() {
    let world = World::new();
    let sqlite = world.database.open().await;
    let mut old_life = world.open_over(Arc::<SqliteStore>::clone(&sqlite)).await;
    let mut old = old_life.start().await;
    old.does("a").await;
    old_life.gate.close_gate();
    old.publishes("b", old_life.outgoing("c", 1).await);

    let mut life = world.open_over(sqlite).await;
    let mut new = life.next().await;
    assert_eq!(new.known(), ["a"]);
    old_life.gate.open_gate();
    old.is_over().await;
    old.can_do_nothing().await;
    assert_eq!(life.steps(new.run.id).await, ["a"]);
    let channel = life.sqlite.channel(channel_name("c")).await.unwrap();
    assert_eq!(channel, None, "the message went with the step");
    new.does("b").await;
    new.returns().await;
}

#[tokio::test]
async fn the_store_refuses_a_fence_of_an_old_lease_with_lease_lost() {
    use stepcast_engine::store::{Batch, Fence, StoreExt};
    let world = World::new();
    let mut life = world.open().await;
    let id = life.start().await.run.id;
    life.dies();
    let mut life = world.open().await;
    let held = life.next().await;
    assert_eq!(held.run.id, id);
    for (lease, code) in [(1, Some(ErrorCode::LeaseLost)), (2, None)] {
        let batch = Batch {
            fence: Some(Fence { run: id, lease }),
            ..Batch::default()
        };
        let fate = life.sqlite.commit(batch).await;
        assert_eq!(fate.err().map(|error| error.code()), code, "lease {lease}");
    }
}

#[tokio::test]
async fn the_leases_of_a_store_that_was_reopened_are_over() {
    let faults = Faults::default();
    let world = World::with(SqliteOptions::new().with_faults(faults.clone()));
    let mut life = world.open().await;
    let mut old = life.start().await;
    old.does("a").await;
    faults.fail_next_commit(CommitFault::Lost);
    old.reports("b");
    old.is_over().await;

    let mut new = life.next().await;
    old.can_do_nothing().await;
    new.does("c").await;
    assert_eq!(life.steps(new.run.id).await, ["a", "c"]);
    new.tries_to_publish().await.unwrap();
    new.returns().await;
}

#[tokio::test]
async fn a_run_that_was_given_back_takes_no_reports() {
    let mut life = World::new().open().await;
    let mut old = life.start().await;
    old.waits_for("w", "e").await;
    old.parks(0).await;
    old.can_do_nothing().await;
    life.tell("e", 1).await;
    let mut new = life.next().await;
    old.can_do_nothing().await;
    new.does("a").await;
    assert_eq!(life.steps(new.run.id).await, ["a", "w"]);
    old.can_do_nothing().await;
    let id = new.run.id;
    new.returns().await;
    assert_eq!(life.steps(id).await, ["a", "w"]);
}

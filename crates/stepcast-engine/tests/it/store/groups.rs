//! How batches become commits, and what a failing disk does to them.

use std::sync::{Arc, mpsc};

use stepcast_engine::store::{
    Batch, CommitError, Store, StoreExt, Urgency,
    conformance::samples,
    sqlite::{CommitFault, Durability, Faults, SqliteOptions, SqliteStore},
};
use stepcast_protocol::limits;
use tokio::sync::oneshot;

use super::{Home, message, put, within};

/// Holds the writer between two groups until it is let go.
struct Held {
    _release: mpsc::Sender<()>,
}

async fn hold(store: &SqliteStore) -> Held {
    let (release, released) = mpsc::channel::<()>();
    let (reached, holds) = oneshot::channel();
    store.submit(
        Batch::default(),
        Box::new(move |_| {
            reached.send(()).unwrap();
            // Ends when the other side is dropped.
            released.recv().unwrap_err();
        }),
    );
    within(holds).await.unwrap();
    Held { _release: release }
}

fn soon(offset: u64) -> Batch {
    Batch {
        urgency: Urgency::Soon,
        ..Batch::of(vec![message(offset, 10)])
    }
}

#[tokio::test]
async fn what_waits_is_one_commit() {
    let home = Home::new();
    let store = home.open();
    check_groups(&store, (1..=64).map(|n| Batch::of(vec![message(n, 10)])), 1).await;
    let before = store.stats();
    assert_eq!((before.batches, before.refused, before.failed), (65, 0, 0));
}

#[tokio::test]
async fn a_group_is_bounded() {
    let home = Home::new();
    let store = home.open();
    let many = (1..=limits::GROUP_BATCHES as u64 + 1).map(|n| Batch::of(vec![message(n, 10)]));
    check_groups(&store, many, 2).await;
    let large =
        (1_001..1_005).map(|n| Batch::of(vec![message(n, limits::GROUP_BYTES / 2 - 1_000)]));
    check_groups(&store, large, 2).await;
    let huge = (2_001..2_003).map(|n| Batch::of(vec![message(n, limits::GROUP_BYTES + 1)]));
    check_groups(&store, huge, 2).await;
    let urgent_last = (3_001..3_010)
        .map(soon)
        .chain([Batch::of(vec![message(3_010, 10)])]);
    check_groups(&store, urgent_last, 1).await;
}

async fn check_groups(store: &SqliteStore, batches: impl Iterator<Item = Batch>, expected: u64) {
    let held = hold(store).await;
    let before = store.stats().groups;
    let fates: Vec<_> = batches.map(|batch| store.commit(batch)).collect();
    drop(held);
    for fate in fates {
        within(fate).await.unwrap();
    }
    assert_eq!(store.stats().groups - before, expected);
}

#[tokio::test]
async fn what_may_wait_is_written_all_the_same() {
    let home = Home::new();
    let store = home.open();
    within(store.commit(soon(1))).await.unwrap();
    let fates: Vec<_> = (2..100).map(|n| store.commit(soon(n))).collect();
    for fate in fates {
        within(fate).await.unwrap();
    }
}

#[tokio::test]
async fn only_the_guilty_batch_of_a_group_fails() {
    let home = Home::new();
    let store = home.open();
    put(&store, message(1, 10)).await.unwrap();
    let held = hold(&store).await;
    let before = store.stats();
    let fates: Vec<_> = (2..66)
        .map(|n| store.commit(Batch::of(vec![message(if n == 40 { 1 } else { n }, 10)])))
        .collect();
    drop(held);
    for (n, fate) in (2..66).zip(fates) {
        let fate = within(fate).await;
        assert_eq!(fate.is_err(), n == 40, "{fate:?}");
    }
    let after = store.stats();
    assert_eq!((after.groups - before.groups, after.failed), (63, 1));
}

#[tokio::test]
async fn a_commit_that_fails_is_unknown_until_the_store_is_reopened() {
    for (fault, head) in [(CommitFault::Lost, 1), (CommitFault::Kept, 3)] {
        let faults = Faults::default();
        let home = Home::with(SqliteOptions::new().with_faults(faults.clone()));
        let store = home.open();
        put(&store, message(1, 10)).await.unwrap();
        let held = hold(&store).await;
        let fates: Vec<_> = (2..4)
            .map(|n| store.commit(Batch::of(vec![message(n, 10)])))
            .collect();
        faults.fail_next_commit(fault);
        drop(held);
        for fate in fates {
            let fate = within(fate).await;
            assert!(
                matches!(fate, Err(CommitError::OutcomeUnknown(_))),
                "{fate:?}"
            );
        }
        assert_eq!(put(&store, message(9, 10)).await, Err(CommitError::Closed));
        let epoch = store.epoch();
        assert!(within(store.reopen()).await.unwrap() > epoch);
        let row = store.channel(samples::channel("c")).await.unwrap().unwrap();
        assert_eq!(row.head, samples::cursor(1, head), "{fault:?}");
        put(&store, message(4, 10)).await.unwrap();
        within(store.close()).await.unwrap();
    }
}

#[tokio::test]
async fn closing_after_a_failed_commit_leaves_the_epoch_open() {
    let faults = Faults::default();
    let home = Home::with(SqliteOptions::new().with_faults(faults.clone()));
    let store = home.open();
    faults.fail_next_commit(CommitFault::Lost);
    put(&store, message(1, 10)).await.unwrap_err();
    let error = within(store.close()).await.unwrap_err();
    assert!(
        error.to_string().contains("its epoch stays open"),
        "{error}"
    );
    let next = home.open();
    assert_eq!(
        next.closed_cleanly(store.epoch()).await.unwrap(),
        Some(false)
    );
}

#[tokio::test]
async fn dropping_the_store_commits_what_waits() {
    let home = Home::new();
    let store = home.open();
    let held = hold(&store).await;
    let fates: Vec<_> = (1..100).map(|n| store.commit(soon(n))).collect();
    drop(held);
    drop(store);
    for fate in fates {
        within(fate).await.unwrap();
    }
    let row = home
        .open()
        .channel(samples::channel("c"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.head, samples::cursor(1, 99));
}

#[tokio::test]
async fn a_completion_may_hold_the_last_handle() {
    let home = Home::new();
    let store = Arc::new(home.open());
    let held = hold(&store).await;
    let last = Arc::clone(&store);
    let (dropped, done) = oneshot::channel();
    store.submit(
        Batch::default(),
        Box::new(move |_| {
            drop(last);
            dropped.send(()).unwrap();
        }),
    );
    drop(store);
    drop(held);
    within(done).await.unwrap();
}

#[tokio::test]
async fn a_writer_in_the_shell_is_waited_for() {
    let home = Home::new();
    let store = home.open();
    let shell = home.shell();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = store.commit(Batch::of(vec![message(1, 10)]));
    shell.execute_batch("COMMIT").unwrap();
    within(waiting).await.unwrap();
}

#[tokio::test]
async fn a_process_durable_store_keeps_the_contract_too() {
    let home = Home::with(SqliteOptions::new().with_durability(Durability::Process));
    let store = home.open();
    put(&store, message(1, 10)).await.unwrap();
    drop(store);
    let row = home.open().channel(samples::channel("c")).await.unwrap();
    assert!(row.is_some());
}

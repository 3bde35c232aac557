//! One life of the owner after another.

use stepcast_protocol::{Epoch, ErrorCode};

use super::{Backup, Place, put, samples::*};
use crate::store::{Batch, CommitError, Expect, Phase, RunQuery, StoreError, StoreExt, Write};

pub(super) async fn epochs_grow(place: Box<dyn Place>) {
    let store = place.open();
    let first = store.epoch();
    let before = store.commit(Batch::of(vec![write_message("c", 1)]));
    let second = store.reopen().await.unwrap();
    before.await.unwrap();
    assert!(second > first, "{second:?} follows {first:?}");
    assert_eq!(store.epoch(), second);
    put(&store, vec![write_message("c", 2)]).await.unwrap();
    assert_eq!(
        store.channel(channel("c")).await.unwrap().unwrap().head,
        cursor(1, 2)
    );
    store.close().await.unwrap();
    drop(store);

    let store = place.open();
    assert!(store.epoch() > second);
    assert_eq!(store.closed_cleanly(first).await.unwrap(), Some(false));
    assert_eq!(store.closed_cleanly(second).await.unwrap(), Some(true));
    assert_eq!(
        store.closed_cleanly(store.epoch()).await.unwrap(),
        Some(false)
    );
    assert_eq!(store.closed_cleanly(Epoch(1)).await.unwrap(), None);
    let third = store.epoch();
    drop(store);

    let store = place.open();
    assert!(store.epoch() > third);
    assert_eq!(store.closed_cleanly(third).await.unwrap(), Some(false));
}

pub(super) async fn a_store_says_whether_it_takes_work(place: Box<dyn Place>) {
    let store = place.open();
    store.probe().await.unwrap();
    store.reopen().await.unwrap();
    store.probe().await.unwrap();
    store.close().await.unwrap();
    let closed = store.probe().await.unwrap_err();
    assert_eq!(closed.code(), ErrorCode::Closing);
}

pub(super) async fn what_is_done_is_counted(place: Box<dyn Place>) {
    let store = place.open();
    assert_eq!(store.stats().groups, 0);
    put(&store, vec![write_message("c", 1)]).await.unwrap();
    put(&store, vec![write_message("c", 2)]).await.unwrap();
    let unknown = Batch {
        expect: vec![Expect::RunIsOpen(run(7, Phase::Queued).id)],
        ..Batch::default()
    };
    store.commit(unknown).await.unwrap_err();
    let stats = store.stats();
    assert_eq!((stats.batches, stats.refused, stats.failed), (2, 1, 0));
    assert_eq!((stats.waiting_batches, stats.waiting_bytes), (0, 0));
    assert_eq!(stats.groups, 2);
    assert_eq!(stats.group_batches.sum, 2);
    store.close().await.unwrap();
}

pub(super) async fn closing_keeps_everything(place: Box<dyn Place>) {
    let store = place.open();
    let fates: Vec<_> = (1..=100)
        .map(|n| {
            store.commit(Batch::of(vec![
                write_run(run(n, Phase::Queued)),
                Write::Event(event(n, "e")),
            ]))
        })
        .collect();
    store.close().await.unwrap();
    for fate in fates {
        fate.await.unwrap();
    }
    drop(store);
    let store = place.open();
    assert_eq!(
        store
            .runs(RunQuery::Newest(None, 1_000))
            .await
            .unwrap()
            .len(),
        100
    );
    assert_eq!(
        store
            .events_after(event_name("e"), 0, 1_000)
            .await
            .unwrap()
            .len(),
        100
    );
    put(&store, vec![Write::Event(event(101, "e"))])
        .await
        .unwrap();
    assert_eq!(store.event(event_id(101)).await.unwrap().unwrap().seq, 101);
}

pub(super) async fn a_closed_store_says_so(place: Box<dyn Place>) {
    let store = place.open();
    let closing = store.close();
    let late = store.commit(Batch::of(vec![write_message("c", 1)]));
    closing.await.unwrap();
    assert_eq!(late.await, Err(CommitError::Closed));
    let closed = |error: StoreError| assert_eq!(error.code(), ErrorCode::Closing, "{error}");
    closed(store.channel(channel("c")).await.unwrap_err());
    closed(store.reopen().await.unwrap_err());
    closed(store.close().await.unwrap_err());
}

pub(super) async fn a_backup_is_a_database(place: Box<dyn Place>) {
    let store = place.open();
    put(
        &store,
        vec![write_message("c", 1), Write::Setting("s", vec![1])],
    )
    .await
    .unwrap();
    let file = std::env::temp_dir().join(format!(
        "stepcast-{}-{}",
        std::process::id(),
        store.epoch().0
    ));
    drop(std::fs::remove_file(&file));
    let copied = store.backup(file.clone()).await;
    if place.backup() == Backup::Refused {
        copied.unwrap_err();
        assert!(!file.exists());
        return;
    }
    copied.unwrap();
    assert!(std::fs::metadata(&file).unwrap().len() > 0);
    let again = store.backup(file.clone()).await.unwrap_err();
    assert!(again.to_string().contains("exists"), "{again}");
    std::fs::remove_file(&file).unwrap();
    put(&store, vec![write_message("c", 2)]).await.unwrap();
}

//! What happens when more comes than can be written.

use std::sync::Arc;

use stepcast_engine::{hub::PublishError, store::sqlite::SqliteOptions};
use stepcast_protocol::{Cursor, ErrorCode, limits};

use super::*;
use crate::support::{Database, draft, eventually, gated::GatedStore};

fn payload(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes))
}

#[tokio::test]
async fn a_channel_takes_so_much_that_is_not_written_and_others_go_on() {
    let database = Database::new();
    let store = GatedStore::new(database.open().await);
    let hub = hub(Arc::<GatedStore>::clone(&store));
    let (full, other) = (channel(&hub, "full").await, channel(&hub, "other").await);
    store.close_gate();
    let mut accepted = 0;
    let refused = loop {
        match hub
            .try_publish(&full, draft(payload(16 * 1024), true))
            .await
        {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 100, "the bound is never met");
    };
    assert_eq!(refused.code(), ErrorCode::Overloaded);
    assert!(refused.to_string().contains("channel `full`"), "{refused}");
    assert!((limits::UNWRITTEN_BYTES_PER_CHANNEL / (16 * 1024) - 1..=17).contains(&accepted));
    assert_eq!(store.kept_back(), accepted);
    hub.try_publish(&other, numbered(1)).await.unwrap();

    let waits = tokio::spawn({
        let (hub, full) = (hub.clone(), Arc::clone(&full));
        async move { hub.publish(&full, numbered(2)).await }
    });
    store.open_gate();
    within(waits).await.unwrap().unwrap();
    let mut reader = subscribe(&hub, &full, Cursor::START).await;
    for _ in 0..accepted {
        next(&mut reader).await;
    }
    assert_eq!(read(&mut reader, 1).await, [2]);
}

/// Room is there for one of them, and all of them see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_wait_for_room_are_never_refused() {
    let database = Database::new();
    let hub = hub(database.open().await);
    let channel = channel(&hub, "c").await;
    let publisher = |_| {
        let (hub, channel) = (hub.clone(), Arc::clone(&channel));
        tokio::spawn(async move {
            for _ in 0..300 {
                let message = draft(payload(1_000), true);
                hub.publish(&channel, message).await.unwrap();
            }
        })
    };
    let publishers: Vec<_> = (0..8).map(publisher).collect();
    for publisher in publishers {
        within(publisher).await.unwrap();
    }
}

#[tokio::test]
async fn a_live_topic_waits_for_no_disk() {
    let database = Database::new();
    let store = GatedStore::new(database.open().await);
    let hub = hub(Arc::<GatedStore>::clone(&store));
    let channel = channel(&hub, "c").await;
    store.close_gate();
    let mut reader = subscribe(&hub, &channel, Cursor::START).await;
    for n in 0..1_000 {
        hub.try_publish(&channel, draft(n.to_string(), false))
            .await
            .unwrap();
        assert_eq!(read(&mut reader, 1).await, [n]);
    }
    assert_eq!(store.kept_back(), 0);
}

#[tokio::test]
async fn without_space_publishers_are_told_and_what_fits_goes_on() {
    const LARGE: usize = 100_000;
    let database = Database::with(SqliteOptions::new().with_max_bytes(1024 * 1024));
    let hub = hub(database.open().await);
    let channel = channel(&hub, "c").await;
    let mut kept = 0;
    let refused = loop {
        let outgoing = outgoing(&channel, draft(payload(LARGE), true));
        match hub.publish_durable(outgoing, Batch::default()).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 20, "the bound is never met");
    };
    assert_eq!(refused.code(), ErrorCode::NoSpace);
    // Those who would be believed at once wait for their commit now, and hear of it too.
    let refused = hub
        .try_publish(&channel, draft(payload(LARGE), true))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, PublishError::Commit(CommitError::NoSpace(_))),
        "{refused}"
    );
    hub.try_publish(&channel, draft("1", false)).await.unwrap();
    let small = hub.try_publish(&channel, numbered(2)).await.unwrap();
    assert_eq!(channel.visible(), small);

    let mut reader = subscribe(&hub, &channel, Cursor::START).await;
    for _ in 0..kept {
        assert!(next(&mut reader).await.message().payload.len() > LARGE);
    }
    assert_eq!(read(&mut reader, 2).await, [1, 2]);
}

#[tokio::test]
async fn a_message_that_was_believed_and_not_written_leaves_the_process_alive() {
    let database = Database::with(SqliteOptions::new().with_max_bytes(512 * 1024));
    let hub = hub(database.open().await);
    let channel = channel(&hub, "c").await;
    let refused = eventually(async || {
        let published = hub.publish(&channel, draft(payload(60_000), true)).await;
        published.err()
    })
    .await;
    assert_eq!(refused.code(), ErrorCode::NoSpace);
    let small = hub.publish(&channel, numbered(1)).await.unwrap();
    assert_eq!(channel.visible(), small);
}

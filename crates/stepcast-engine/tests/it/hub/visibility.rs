//! Nobody sees past a message whose commit is not there yet, and a failed one takes nobody with it.

use std::{collections::BTreeSet, sync::Arc};

use stepcast_engine::hub::Hub;
use stepcast_protocol::Cursor;

use super::*;
use crate::support::{Database, draft, gated::GatedStore, offset};

/// A hub whose commits the test decides.
async fn gated(database: &Database) -> (Hub, Arc<GatedStore>) {
    let store = GatedStore::new(database.open().await);
    (hub(Arc::<GatedStore>::clone(&store)), store)
}

#[tokio::test]
async fn what_is_published_behind_a_commit_waits_for_it() {
    let database = Database::new();
    let (hub, store) = gated(&database).await;
    let channel = channel(&hub, "c").await;
    let mut reader = subscribe(&hub, &channel, Cursor::START).await;
    hub.try_publish(&channel, numbered(1)).await.unwrap();
    assert_eq!(read(&mut reader, 1).await, [1]);

    store.close_gate();
    let commit = durable(&hub, &channel, 2).await;
    let live = hub.try_publish(&channel, numbered(3)).await.unwrap();
    assert_eq!(offset(live), 3);
    nothing_yet(&mut reader).await;
    assert!(offset(channel.visible()) < 2);
    assert_eq!(
        read(&mut subscribe(&hub, &channel, Cursor::START).await, 1).await,
        [1]
    );

    store.commit_nth(0).await;
    assert_eq!(offset(within(commit).await.unwrap().unwrap()), 2);
    assert_eq!(read(&mut reader, 2).await, [2, 3]);
    store.open_gate();
}

#[tokio::test]
async fn a_commit_that_overtakes_another_is_not_seen_before_it() {
    let database = Database::new();
    let (hub, store) = gated(&database).await;
    let channel = channel(&hub, "c").await;
    store.close_gate();
    let first = durable(&hub, &channel, 1).await;
    let second = durable(&hub, &channel, 2).await;
    let mut reader = subscribe(&hub, &channel, Cursor::START).await;
    store.commit_nth(1).await;
    within(second).await.unwrap().unwrap();
    nothing_yet(&mut reader).await;
    assert_eq!(offset(channel.visible()), 0);
    store.commit_nth(0).await;
    within(first).await.unwrap().unwrap();
    assert_eq!(read(&mut reader, 2).await, [1, 2]);
}

#[tokio::test]
async fn a_failed_message_leaves_a_hole_and_those_behind_it_are_seen() {
    let database = Database::new();
    let (hub, store) = gated(&database).await;
    let channel = channel(&hub, "c").await;
    store.close_gate();
    let failed = durable(&hub, &channel, 1).await;
    let kept = durable(&hub, &channel, 2).await;
    hub.try_publish(&channel, numbered(3)).await.unwrap();
    let mut reader = subscribe(&hub, &channel, Cursor::START).await;
    store.fail_nth(0);
    within(failed).await.unwrap().unwrap_err();
    store.open_gate();
    within(kept).await.unwrap().unwrap();
    assert_eq!(read(&mut reader, 2).await, [2, 3]);
    let next = hub.try_publish(&channel, numbered(4)).await.unwrap();
    assert_eq!(
        offset(next),
        4,
        "the failed message's number is not given again"
    );
}

#[tokio::test]
async fn messages_of_one_commit_are_seen_on_every_channel_or_on_none() {
    let database = Database::new();
    let (hub, store) = gated(&database).await;
    let channels = [channel(&hub, "a").await, channel(&hub, "b").await];
    let mut readers = Vec::new();
    for channel in &channels {
        readers.push(subscribe(&hub, channel, Cursor::START).await);
    }
    store.close_gate();
    let to_both = channels
        .iter()
        .map(|channel| outgoing(channel, numbered(1)))
        .collect();
    let (told, fate) = tokio::sync::oneshot::channel();
    let done = |result| drop(told.send(result));
    hub.commit(Batch::default(), to_both, |_, _| {}, done);
    for reader in &mut readers {
        nothing_yet(reader).await;
    }
    store.fail_nth(0);
    within(fate).await.unwrap().unwrap_err();
    store.open_gate();
    for (channel, reader) in channels.iter().zip(&mut readers) {
        hub.try_publish(channel, numbered(2)).await.unwrap();
        assert_eq!(read(reader, 1).await, [2]);
    }
}

/// Publishers of all kinds at once, and every kind of message has its own count.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_are_given_once_and_seen_in_order_whoever_publishes() {
    const EACH: u64 = 100;
    let database = Database::new();
    let hub = hub(database.open().await);
    let channel = channel(&hub, "c").await;
    let mut reader = subscribe(&hub, &channel, Cursor::START).await;
    let publishers = (0..6).map(|publisher| {
        let (hub, channel) = (hub.clone(), Arc::clone(&channel));
        tokio::spawn(async move {
            let mut cursors = Vec::new();
            for n in 0..EACH {
                let message = draft(n.to_string(), publisher % 3 != 2);
                let cursor = if publisher % 3 == 0 {
                    let outgoing = outgoing(&channel, message);
                    hub.publish_durable(outgoing, Batch::default())
                        .await
                        .unwrap()
                } else {
                    hub.publish(&channel, message).await.unwrap()
                };
                cursors.push(cursor);
            }
            cursors
        })
    });
    let publishers: Vec<_> = publishers.collect();
    let mut seen = Vec::new();
    for _ in 0..6 * EACH {
        seen.push(next(&mut reader).await.message().cursor);
    }
    let mut given = BTreeSet::new();
    for publisher in publishers {
        let cursors = within(publisher).await.unwrap();
        assert!(
            cursors.is_sorted(),
            "one publisher's messages stay in order"
        );
        given.extend(cursors);
    }
    assert!(seen.is_sorted_by(|a, b| a < b));
    assert!(seen.iter().eq(&given));
    nothing_yet(&mut reader).await;
}

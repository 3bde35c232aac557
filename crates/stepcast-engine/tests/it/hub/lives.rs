//! What a channel is after it has left memory, and after a restart.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use stepcast_engine::{
    hub::{Hub, ReadError, TopicFilter},
    store::sqlite::SqliteStore,
};
use stepcast_protocol::{Cursor, ErrorCode};

use super::*;
use crate::support::{Database, draft, gated::GatedStore, offset, still_clock};

#[tokio::test]
async fn no_pair_is_given_twice_over_crashes_and_clean_ends() {
    let database = Database::new();
    let (mut given, mut last) = (BTreeSet::new(), Cursor::START);
    for life in 0..6 {
        let store = database.open().await;
        let gated = GatedStore::new(Arc::<SqliteStore>::clone(&store));
        let hub = hub(Arc::<GatedStore>::clone(&gated));
        let channel = channel(&hub, "c").await;
        let mut publish = async |stored| {
            let cursor = hub.try_publish(&channel, draft("1", stored)).await.unwrap();
            assert!(given.insert(cursor), "{cursor} was given twice");
            assert!(cursor > last, "{cursor} is not after {last}");
            last = cursor;
        };
        publish(true).await;
        publish(false).await;
        if life % 2 == 0 {
            hub.store_heads().await;
            store.close().await.unwrap();
        } else {
            // What is accepted now is lost with the process.
            gated.close_gate();
            publish(true).await;
            publish(false).await;
            gated.lose_all();
        }
    }
    let epochs: BTreeSet<_> = given.iter().map(|cursor| cursor.epoch).collect();
    assert_eq!(epochs.len(), 6, "every life has an epoch of its own");
}

#[tokio::test]
async fn a_message_that_died_in_the_queue_never_shares_its_number_with_one_that_was_seen() {
    let database = Database::new();
    let store = GatedStore::new(database.open().await);
    let lost = {
        let hub = hub(Arc::<GatedStore>::clone(&store));
        let channel = channel(&hub, "c").await;
        store.close_gate();
        hub.try_publish(&channel, numbered(1)).await.unwrap()
    };
    store.lose_all();
    drop(store);

    let hub = hub(database.open().await);
    let channel = channel(&hub, "c").await;
    let next = hub.try_publish(&channel, numbered(2)).await.unwrap();
    assert!(
        next > lost && next.epoch > lost.epoch,
        "{next} after {lost}"
    );
    // A reader that had seen the lost one goes on, one from the future does not.
    let mut reader = subscribe(&hub, &channel, lost).await;
    assert!(matches!(next_item(&mut reader).await, Item::Gap(_)));
    assert_eq!(read(&mut reader, 1).await, [2]);
    let ahead = Cursor::new(next.epoch, stepcast_protocol::Offset(offset(next) + 1));
    let refused = hub
        .subscribe(&channel, TopicFilter::All, Position::After(ahead))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, ReadError::AheadOfChannel { .. }),
        "{refused}"
    );
    assert_eq!(refused.code(), ErrorCode::BadCursor);
}

#[tokio::test]
async fn the_head_of_live_topics_survives_a_clean_end() {
    let database = Database::new();
    let store = database.open().await;
    let first_life = hub(Arc::<SqliteStore>::clone(&store));
    let live = channel(&first_life, "live").await;
    for _ in 0..3 {
        first_life
            .try_publish(&live, draft("1", false))
            .await
            .unwrap();
    }
    first_life.store_heads().await;
    let head = live.head();
    drop(live);
    store.close().await.unwrap();
    drop((first_life, store));

    let store = database.open().await;
    assert_eq!(store.closed_cleanly(head.epoch).await.unwrap(), Some(true));
    let hub = hub(store);
    let live = channel(&hub, "live").await;
    assert_eq!(live.visible().offset, head.offset);
    let next = hub.try_publish(&live, draft("1", false)).await.unwrap();
    assert_eq!(offset(next), 4);
}

#[tokio::test]
async fn a_channel_that_left_memory_goes_on_where_it_was() {
    let database = Database::new();
    let clock = still_clock();
    let hub = Hub::new(database.open().await, clock.clone(), Catalog::default());
    for (name, stored) in [("log", true), ("live", false)] {
        let before = channel(&hub, name).await;
        for n in 1..=3 {
            hub.try_publish(&before, draft(n.to_string(), stored))
                .await
                .unwrap();
        }
        let head = before.head();
        clock.advance(Duration::from_secs(60));
        hub.sweep();
        assert_eq!(hub.channels_in_memory(), 1, "somebody holds it");
        drop(before);
        evict_all(&hub).await;

        let after = channel(&hub, name).await;
        assert_eq!(after.head(), head);
        let next = hub.try_publish(&after, numbered(4)).await.unwrap();
        assert_eq!((next.epoch, offset(next)), (head.epoch, 4));
        let kept = if stored { vec![1, 2, 3, 4] } else { vec![4] };
        let mut reader = subscribe(&hub, &after, Cursor::START).await;
        assert_eq!(read(&mut reader, kept.len()).await, kept, "{name}");
        drop((after, reader));
        clock.advance(Duration::from_secs(60));
        evict_all(&hub).await;
    }
}

#[tokio::test]
async fn a_channel_stays_while_it_is_watched_or_waits_to_be_written() {
    let database = Database::new();
    let clock = still_clock();
    let store = GatedStore::new(database.open().await);
    let hub = Hub::new(
        Arc::<GatedStore>::clone(&store),
        clock.clone(),
        Catalog::default(),
    );
    let busy = channel(&hub, "busy").await;
    let watched = subscribe(&hub, &channel(&hub, "watched").await, Cursor::START).await;
    store.close_gate();
    hub.try_publish(&busy, numbered(1)).await.unwrap();
    drop(busy);
    clock.advance(Duration::from_secs(60));
    hub.sweep();
    assert_eq!(hub.channels_in_memory(), 2);
    drop(watched);
    store.open_gate();
    evict_all(&hub).await;
    assert_eq!(offset(channel(&hub, "busy").await.head()), 1);
}

#[tokio::test]
async fn looking_at_a_channel_writes_nothing() {
    let database = Database::new();
    let store = database.open().await;
    let hub = hub(Arc::<SqliteStore>::clone(&store));
    let quiet = channel(&hub, "quiet").await;
    nothing_yet(&mut subscribe(&hub, &quiet, Cursor::START).await).await;
    hub.store_heads().await;
    assert_eq!(store.channel(quiet.name().clone()).await.unwrap(), None);
}

#[tokio::test]
async fn numbers_from_before_a_reopening_do_not_reach_the_store_after_it() {
    let database = Database::new();
    let sqlite = database.open().await;
    let store = GatedStore::new(Arc::<SqliteStore>::clone(&sqlite));
    let hub = hub(Arc::<GatedStore>::clone(&store));
    let channel = channel(&hub, "c").await;
    store.close_gate();
    let late = durable(&hub, &channel, 1).await;
    sqlite.reopen().await.unwrap();
    store.open_gate();
    let refused = within(late).await.unwrap().unwrap_err();
    assert!(matches!(refused, CommitError::Refused(_)), "{refused}");
    within(hub.restart()).await.unwrap();
    let cursor = hub
        .publish_durable(outgoing(&channel, numbered(2)), Batch::default())
        .await
        .unwrap();
    assert_eq!(cursor.epoch, sqlite.epoch());
    assert_eq!(
        read(&mut subscribe(&hub, &channel, Cursor::START).await, 1).await,
        [2]
    );
}

#[tokio::test]
async fn who_enters_while_the_store_is_reopened_enters_again() {
    let database = Database::new();
    let store = database.open().await;
    let hub = hub(Arc::<SqliteStore>::clone(&store));
    let channel = channel(&hub, "c").await;
    hub.publish_durable(outgoing(&channel, numbered(1)), Batch::default())
        .await
        .unwrap();
    let seen = channel.visible();
    store.reopen().await.unwrap();
    for from in [Position::Now, Position::Start, Position::After(seen)] {
        let entry = hub.enter(&channel, &TopicFilter::All, from).await.unwrap();
        assert_eq!(entry.life, seen.epoch, "{from:?}");
    }
    hub.restart().await.unwrap();
    assert!(channel.must_enter(seen, seen.epoch, false));
    let anew = hub
        .enter_anew(&channel, &TopicFilter::All, seen, seen.epoch)
        .await
        .unwrap();
    assert!(!channel.must_enter(anew.cursor, anew.life, false));
}

#[tokio::test]
async fn a_channel_loaded_since_a_reopening_keeps_its_numbers() {
    let database = Database::new();
    let store = GatedStore::new(database.open().await);
    let hub = hub(Arc::<GatedStore>::clone(&store));
    store.reopen().await.unwrap();
    let channel = channel(&hub, "c").await;
    store.close_gate();
    let first = hub.try_publish(&channel, numbered(1)).await.unwrap();
    within(hub.restart()).await.unwrap();
    let second = hub.try_publish(&channel, numbered(2)).await.unwrap();
    store.open_gate();
    assert!(second > first, "{second} was given after {first}");
    assert_eq!(
        read(&mut subscribe(&hub, &channel, Cursor::START).await, 2).await,
        [1, 2]
    );
}

#[tokio::test]
async fn a_closed_hub_takes_no_more_messages() {
    let database = Database::new();
    let store = database.open().await;
    let hub = hub(Arc::<SqliteStore>::clone(&store));
    let channel = channel(&hub, "c").await;
    let last = hub.try_publish(&channel, numbered(1)).await.unwrap();
    hub.close().await;
    let refused = hub.try_publish(&channel, numbered(2)).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Closing);
    assert_eq!(channel.head(), last);
    store.close().await.unwrap();
}

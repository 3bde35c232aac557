//! Readers from the store into the tail, while others publish and the tail is let go of.

use std::{sync::Arc, time::Duration};

use stepcast_engine::hub::{Hub, TopicFilter};
use stepcast_protocol::{Cursor, TopicName, limits};

use super::*;
use crate::support::{Database, draft, eventually, offset, still_clock};

const MESSAGES: u64 = 1_500;

/// The n-th message, large enough that the tail cannot hold all of them.
fn large(n: u64) -> stepcast_engine::hub::Draft {
    draft(format!("{n}{}", " ".repeat(2_000)), true)
}

fn publish_all(hub: &Hub, channel: &Arc<Channel>) -> JoinHandle<()> {
    let (hub, channel) = (hub.clone(), Arc::clone(channel));
    tokio::spawn(async move {
        for n in 1..=MESSAGES {
            hub.publish(&channel, large(n)).await.unwrap();
        }
    })
}

async fn read_all(mut subscription: Subscription, from: u64) {
    for n in from..=MESSAGES {
        let payload = next(&mut subscription).await.message().payload.clone();
        let text = std::str::from_utf8(&payload).unwrap();
        assert_eq!(text.trim().parse(), Ok(n));
    }
    nothing_yet(&mut subscription).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_from_the_start_cross_into_the_tail_without_gap_or_double() {
    let database = Database::new();
    let hub = hub(database.open().await);
    let channel = channel(&hub, "c").await;
    assert!(MESSAGES as usize * 2_000 > 2 * limits::TAIL_BYTES_PER_CHANNEL);
    let publisher = publish_all(&hub, &channel);
    let mut readers = Vec::new();
    for eighth in 0..8 {
        let published = eighth * MESSAGES / 8;
        eventually(async || (offset(channel.head()) >= published).then_some(())).await;
        let reader = subscribe(&hub, &channel, Cursor::START).await;
        readers.push(tokio::spawn(read_all(reader, 1)));
    }
    within(publisher).await.unwrap();
    readers.push(tokio::spawn(read_all(
        subscribe(&hub, &channel, Cursor::START).await,
        1,
    )));
    for reader in readers {
        within(reader).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_comes_back_again_and_again_misses_nothing() {
    let database = Database::new();
    let hub = hub(database.open().await);
    let channel = channel(&hub, "c").await;
    let publisher = publish_all(&hub, &channel);
    let (mut cursor, mut seen) = (Cursor::START, 0);
    while seen < MESSAGES {
        let mut reader = subscribe(&hub, &channel, cursor).await;
        for _ in 0..(MESSAGES - seen).min(97) {
            let posted = next(&mut reader).await;
            let text = String::from_utf8(posted.message().payload.to_vec()).unwrap();
            seen += 1;
            assert_eq!(text.trim().parse(), Ok(seen));
        }
        cursor = reader.cursor();
    }
    within(publisher).await.unwrap();
}

#[tokio::test]
async fn a_filter_passes_over_what_it_does_not_name_in_the_store_and_in_the_tail() {
    let database = Database::new();
    let clock = still_clock();
    let hub = Hub::new(database.open().await, clock.clone(), Catalog::default());
    let topics = ["a", "b"].map(|name| TopicName::parse(name).unwrap());
    let publish = async |numbers: std::ops::Range<u64>| {
        let channel = channel(&hub, "c").await;
        for n in numbers {
            let topic = topics[usize::from(n % 10 == 0)].clone();
            let draft = stepcast_engine::hub::Draft {
                topic,
                ..numbered(n)
            };
            hub.publish_durable(outgoing(&channel, draft), Batch::default())
                .await
                .unwrap();
        }
    };
    publish(1..31).await;
    clock.advance(Duration::from_secs(60));
    evict_all(&hub).await;
    publish(31..61).await;
    let channel = channel(&hub, "c").await;
    let filter = TopicFilter::Only(topics[1..].into());
    let mut reader = hub
        .subscribe(&channel, filter, Position::Start)
        .await
        .unwrap();
    assert_eq!(read(&mut reader, 6).await, [10, 20, 30, 40, 50, 60]);
    nothing_yet(&mut reader).await;
    assert_eq!(reader.cursor(), channel.visible());
}

#[tokio::test]
async fn a_stream_with_an_end_ends_there() {
    let database = Database::new();
    let hub = hub(database.open().await);
    let channel = channel(&hub, "c").await;
    let mut reader = subscribe(&hub, &channel, Cursor::START).await;
    let mut cursors = Vec::new();
    for n in 1..=3 {
        cursors.push(hub.try_publish(&channel, numbered(n)).await.unwrap());
    }
    reader.end_at(cursors[1]);
    assert_eq!(read(&mut reader, 2).await, [1, 2]);
    let end = poll_fn(|context| Pin::new(&mut reader).poll_next(context));
    assert!(within(end).await.is_none());
}

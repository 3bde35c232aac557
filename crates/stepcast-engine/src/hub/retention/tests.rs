use std::time::Duration;

use bytes::Bytes;
use stepcast_protocol::{Bounds, Epoch, Kind, Message, Origin};

use super::*;
use crate::{
    catalog::Catalog,
    clock::Clock,
    hub::{Draft, Outgoing},
    store::{
        Batch, Phase, RunRow, Store, StoreExt, Write, conformance::samples, memory::MemoryStore,
    },
};

const LONG: Duration = Duration::from_secs(100 * 24 * 60 * 60);

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

fn hub(catalog: Catalog) -> (Hub, Arc<MemoryStore>) {
    let clock = Clock::manual(now());
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let hub = Hub::new(Arc::<MemoryStore>::clone(&store), clock, catalog);
    (hub, store)
}

/// A message that was accepted long ago, of a run or of nobody.
fn old(channel: &str, offset: u64, run: Option<RunId>) -> Write {
    let origin = run.map(|run| {
        Arc::new(Origin {
            run,
            step: None,
            attempt: 1,
        })
    });
    let message = Message {
        cursor: Cursor::new(Epoch(1), Offset(offset)),
        topic: samples::topic("t"),
        kind: Kind::Data,
        payload: Bytes::from_static(b"1"),
        created_at: samples::at(0),
        origin,
    };
    Write::Message(samples::channel(channel), Arc::new(message))
}

async fn put(store: &MemoryStore, writes: Vec<Write>) {
    store.commit(Batch::of(writes)).await.unwrap();
}

/// Goes over everything that is kept, and over the beginning of it once more.
async fn expire(hub: &Hub, rounds: usize) {
    let mut place = Place::default();
    for _ in 0..rounds {
        hub.expire(&mut place).await.unwrap();
    }
}

async fn kept(store: &MemoryStore, channel: &str) -> Vec<u64> {
    let query = MessageQuery {
        channel: samples::channel(channel),
        after: Cursor::START,
        up_to: Cursor::new(Epoch(u64::MAX), Offset(u64::MAX)),
        topics: None,
        limit: limits::PAGE_ROWS,
    };
    let page = store.messages(query).await.unwrap();
    page.messages
        .iter()
        .map(|message| message.cursor.offset.0)
        .collect()
}

#[tokio::test]
async fn what_is_old_goes_and_the_messages_of_an_open_run_stay() {
    let (hub, store) = hub(Catalog::default());
    let ended = RunRow {
        ended_at: Some(samples::at(1)),
        ..samples::run(2, Phase::Completed)
    };
    let open = samples::run(1, Phase::Parked);
    put(
        &store,
        vec![samples::write_run(open), samples::write_run(ended)],
    )
    .await;
    put(
        &store,
        vec![
            old("c", 1, None),
            old("c", 2, Some(samples::run_id(2))),
            old("c", 3, Some(samples::run_id(1))),
            old("c", 4, None),
        ],
    )
    .await;
    expire(&hub, 2).await;
    assert_eq!(
        kept(&store, "c").await,
        [3, 4],
        "what is behind a message that stays, stays"
    );
}

/// The background looks at a page of messages at a time; an older one that stays may lie pages before those whose time has come.
#[tokio::test]
async fn the_messages_of_an_open_run_stay_though_pages_lie_between() {
    let (hub, store) = hub(Catalog::default());
    put(
        &store,
        vec![samples::write_run(samples::run(1, Phase::Parked))],
    )
    .await;
    put(&store, vec![old("c", 1, Some(samples::run_id(1)))]).await;
    let between = (1..=limits::PAGE_ROWS as u64).map(|n| old("d", n, Some(samples::run_id(1))));
    put(&store, between.collect()).await;
    put(&store, vec![old("c", 2, None)]).await;
    expire(&hub, 4).await;
    assert_eq!(kept(&store, "c").await, [1, 2]);
}

#[tokio::test]
async fn a_topic_that_grows_slowly_is_held_within_its_bounds_too() {
    let catalog = Catalog::default();
    catalog.set_default_bounds(Bounds {
        messages: 100,
        bytes: 1 << 30,
        age: LONG,
    });
    let (hub, store) = hub(catalog);
    put(&store, (1..=150).map(|n| old("c", n, None)).collect()).await;
    // One message in this life is far from an eighth of the bound.
    let channel = hub.channel(&samples::channel("c")).await.unwrap();
    let draft = Draft::new(
        samples::topic("t"),
        Keep::Log,
        Bytes::from_static(b"1"),
        None,
    );
    hub.publish_durable(Outgoing { channel, draft }, Batch::default())
        .await
        .unwrap();
    hub.trim().await.unwrap();
    assert_eq!(kept(&store, "c").await.len(), 100);
}

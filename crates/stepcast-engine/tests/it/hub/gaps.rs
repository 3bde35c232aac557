//! What is gone is told, and only to those who could have had it.

use stepcast_protocol::{Epoch, ErrorCode, GapReason, Offset};

use super::{client::Client, declared::*, *};
use crate::support::{Database, gated::GatedStore};

/// The gaps a client was told of on a topic.
fn gaps(client: &mut Client, topic: &str) -> Vec<(GapReason, Cursor)> {
    let gaps = client.view(&name(topic)).gaps.iter();
    gaps.map(|gap| (gap.reason, gap.keep_to)).collect()
}

/// Enough on topic `latest` that the tail lets go of everything before.
async fn push_out_of_memory(hub: &Hub, channel: &Arc<Channel>) {
    for _ in 0..12 {
        let padding = "x".repeat(100_000);
        say_durably(hub, channel, "latest", &padding, None).await;
    }
}

#[tokio::test]
async fn a_reader_of_a_trimmed_log_is_told_and_one_who_joins_late_is_not() {
    let database = Database::new();
    let store = database.open().await;
    let (hub, channel) = open(Arc::<SqliteStore>::clone(&store)).await;
    let topics = only(&["log"]);
    say_durably(&hub, &channel, "log", "1", None).await;
    let (mut client, subscription) = reader(&hub, &channel, &topics, Position::Start).await;
    let cursor = subscription.cursor();
    drop(subscription);
    let gone = say_durably(&hub, &channel, "log", "2", None).await;
    say_durably(&hub, &channel, "log", "3", None).await;
    push_out_of_memory(&hub, &channel).await;
    trim(&*store, "log", gone).await;

    come_back(
        &mut client,
        &hub,
        &channel,
        &topics,
        Position::After(cursor),
    )
    .await;
    assert_eq!(
        gaps(&mut client, "log"),
        [(GapReason::Trimmed, Cursor::START)]
    );
    assert_eq!(held(&mut client, "log"), ["3"]);
    let (mut late, _) = reader(&hub, &channel, &topics, Position::Start).await;
    assert_eq!(gaps(&mut late, "log"), []);
    assert_eq!(held(&mut late, "log"), ["3"]);
    // Who has read past it has lost nothing.
    let (mut client, _) = reader(&hub, &channel, &topics, Position::After(gone)).await;
    assert_eq!(gaps(&mut client, "log"), []);
}

/// The reader begins with the channel, so that its first messages come from memory and only the later ones from the store.
#[tokio::test]
async fn one_that_began_with_the_channel_is_told_as_well() {
    let database = Database::new();
    let store = database.open().await;
    let (hub, channel) = open(Arc::<SqliteStore>::clone(&store)).await;
    let topics = only(&["log"]);
    let (mut client, mut subscription) = reader(&hub, &channel, &topics, Position::Start).await;
    say_durably(&hub, &channel, "log", "1", None).await;
    read_on(&mut client, &mut subscription).await;
    let gone = say_durably(&hub, &channel, "log", "2", None).await;
    push_out_of_memory(&hub, &channel).await;
    trim(&*store, "log", gone).await;
    read_on(&mut client, &mut subscription).await;
    assert_eq!(
        gaps(&mut client, "log"),
        [(GapReason::Trimmed, Cursor::START)]
    );
}

/// The record that would have taken back what the reader holds is trimmed with the messages around it.
#[tokio::test]
async fn who_missed_a_rollback_that_is_trimmed_keeps_nothing_void() {
    let database = Database::new();
    let store = database.open().await;
    let (hub, channel) = open(Arc::<SqliteStore>::clone(&store)).await;
    let topics = only(&["log", "live"]);
    let first = say_durably(&hub, &channel, "log", "void", by("s", 1)).await;
    say(&hub, &channel, "live", "void", by("s", 1)).await;
    let (mut client, subscription) = reader(&hub, &channel, &topics, Position::Start).await;
    let cursor = subscription.cursor();
    drop(subscription);
    take_back(&hub, &channel, "live", by("s", 1), before(first)).await;
    let record = take_back(&hub, &channel, "log", by("s", 1), before(first)).await;
    say_durably(&hub, &channel, "log", "next", by("s", 2)).await;
    push_out_of_memory(&hub, &channel).await;
    trim(&*store, "log", record).await;

    assert_eq!(held(&mut client, "log"), ["void"]);
    come_back(
        &mut client,
        &hub,
        &channel,
        &topics,
        Position::After(cursor),
    )
    .await;
    assert_eq!(held(&mut client, "log"), ["next"]);
    assert!(held(&mut client, "live").is_empty());
}

#[tokio::test]
async fn a_live_topic_that_memory_does_not_hold_any_more_has_a_gap() {
    let database = Database::new();
    let (hub, channel) = open(database.open().await).await;
    let topics = only(&["live"]);
    say(&hub, &channel, "live", "1", None).await;
    let (mut client, subscription) = reader(&hub, &channel, &topics, Position::Start).await;
    let cursor = subscription.cursor();
    drop(subscription);
    say(&hub, &channel, "live", "2", None).await;
    come_back(
        &mut client,
        &hub,
        &channel,
        &topics,
        Position::After(cursor),
    )
    .await;
    assert_eq!(held(&mut client, "live"), ["1", "2"]);
    assert_eq!(gaps(&mut client, "live"), []);

    push_out_of_memory(&hub, &channel).await;
    say(&hub, &channel, "live", "3", None).await;
    come_back(
        &mut client,
        &hub,
        &channel,
        &topics,
        Position::After(cursor),
    )
    .await;
    assert_eq!(
        gaps(&mut client, "live"),
        [(GapReason::NotKept, Cursor::START)]
    );
    assert_eq!(held(&mut client, "live"), ["3"]);
}

#[tokio::test]
async fn a_crash_is_a_gap_after_the_last_message_that_is_on_disk() {
    let database = Database::new();
    let store = GatedStore::new(database.open().await);
    let (hub, channel) = open(Arc::<GatedStore>::clone(&store)).await;
    say_durably(&hub, &channel, "log", "1", None).await;
    let written = say_durably(&hub, &channel, "latest", "2", None).await;
    store.close_gate();
    for topic in TOPICS {
        say(&hub, &channel, topic, "lost", None).await;
    }
    let (mut client, subscription) =
        reader(&hub, &channel, &TopicFilter::All, Position::Start).await;
    let cursor = subscription.cursor();
    assert_eq!(held(&mut client, "log"), ["1", "lost"]);
    store.lose_all();
    drop((subscription, hub, channel, store));

    let (hub, channel) = open(database.open().await).await;
    say(&hub, &channel, "log", "next", None).await;
    let from = Position::After(cursor);
    come_back(&mut client, &hub, &channel, &TopicFilter::All, from).await;
    for topic in ["log", "latest", "text"] {
        let expected = (GapReason::Crashed, written);
        assert_eq!(gaps(&mut client, topic), [expected], "{topic}");
    }
    assert_eq!(
        gaps(&mut client, "live")[0],
        (GapReason::Crashed, Cursor::START)
    );
    assert_eq!(held(&mut client, "log"), ["1", "next"]);
    assert_eq!(held(&mut client, "latest"), ["2"]);
    assert!(held(&mut client, "text").is_empty());
    assert!(held(&mut client, "live").is_empty());
}

#[tokio::test]
async fn a_clean_end_loses_nothing_that_is_kept() {
    let database = Database::new();
    let store = database.open().await;
    let (first_life, channel) = open(Arc::<SqliteStore>::clone(&store)).await;
    for topic in TOPICS {
        say(&first_life, &channel, topic, "1", None).await;
    }
    let (mut client, subscription) =
        reader(&first_life, &channel, &TopicFilter::All, Position::Start).await;
    let cursor = subscription.cursor();
    first_life.store_heads().await;
    within(store.close()).await.unwrap();
    drop((subscription, first_life, channel, store));

    let (hub, channel) = open(database.open().await).await;
    say(&hub, &channel, "log", "2", None).await;
    let from = Position::After(cursor);
    come_back(&mut client, &hub, &channel, &TopicFilter::All, from).await;
    for topic in ["log", "latest", "text"] {
        assert_eq!(gaps(&mut client, topic), [], "{topic}");
    }
    assert_eq!(held(&mut client, "log"), ["1", "2"]);
    assert_eq!(held(&mut client, "latest"), ["1"]);
}

#[tokio::test]
async fn cursors_of_a_life_the_store_does_not_know_and_of_the_future() {
    let database = Database::new();
    let (hub, channel) = open(database.open().await).await;
    let kept = say_durably(&hub, &channel, "log", "kept", None).await;
    let unknown = Cursor::new(Epoch(kept.epoch.0 - 1), Offset(900));
    let (mut client, _) = reader(&hub, &channel, &only(&["log"]), Position::After(unknown)).await;
    assert_eq!(
        gaps(&mut client, "log"),
        [(GapReason::UnknownEpoch, Cursor::START)]
    );
    assert_eq!(held(&mut client, "log"), ["kept"]);
    let later = Cursor::new(kept.epoch, Offset(kept.offset.0 + 1));
    for future in [later, Cursor::new(Epoch(kept.epoch.0 + 1), Offset(1))] {
        let from = Position::After(future);
        let refused = hub
            .subscribe(&channel, TopicFilter::All, from)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), ErrorCode::BadCursor, "{future}");
    }
}

/// Nobody declares the topics of such a channel: they are those that it has.
#[tokio::test]
async fn a_crash_is_told_on_every_topic_of_a_channel_that_nobody_declares() {
    let database = Database::new();
    let store = GatedStore::new(database.open().await);
    let hub = undeclared(Arc::<GatedStore>::clone(&store));
    let channel = channel(&hub, "c").await;
    let kept = say_durably(&hub, &channel, "log", "1", None).await;
    let gone = say_durably(&hub, &channel, "other", "2", None).await;
    trim(&*store, "other", gone).await;
    store.close_gate();
    say(&hub, &channel, "log", "lost", None).await;
    let (mut client, subscription) =
        reader(&hub, &channel, &TopicFilter::All, Position::After(kept)).await;
    let cursor = subscription.cursor();
    assert_eq!(held(&mut client, "log"), ["lost"]);
    store.lose_all();
    drop((subscription, hub, channel, store));

    let hub = undeclared(database.open().await);
    let channel = super::channel(&hub, "c").await;
    let from = Position::After(cursor);
    come_back(&mut client, &hub, &channel, &TopicFilter::All, from).await;
    for topic in ["log", "other"] {
        let told = gaps(&mut client, topic);
        assert_eq!(told.first(), Some(&(GapReason::Crashed, kept)), "{topic}");
    }
    assert!(held(&mut client, "log").is_empty());
}

#[tokio::test]
async fn a_topic_that_only_memory_knew_is_told_of_when_the_store_was_reopened() {
    let database = Database::new();
    let store = GatedStore::new(database.open().await);
    let hub = undeclared(Arc::<GatedStore>::clone(&store));
    let channel = channel(&hub, "c").await;
    store.close_gate();
    say(&hub, &channel, "log", "lost", None).await;
    let (mut client, mut subscription) =
        reader(&hub, &channel, &TopicFilter::All, Position::Start).await;
    assert_eq!(held(&mut client, "log"), ["lost"]);
    store.lose_all();
    store.open_gate();
    within(store.reopen()).await.unwrap();
    within(hub.restart()).await.unwrap();
    say(&hub, &channel, "log", "next", None).await;
    read_on(&mut client, &mut subscription).await;
    assert_eq!(held(&mut client, "log"), ["next"]);
    assert_eq!(
        gaps(&mut client, "log"),
        [(GapReason::Crashed, Cursor::START)]
    );
}

fn undeclared(store: Arc<dyn Store>) -> Hub {
    super::hub(store)
}

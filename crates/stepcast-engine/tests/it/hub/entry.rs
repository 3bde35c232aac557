//! How a reader begins: from the start, now, with the last messages, or where it was.

use stepcast_protocol::{ErrorCode, limits};

use super::{declared::*, *};
use crate::support::Database;

#[tokio::test]
async fn the_start_is_what_topics_have_come_to_and_what_is_kept_of_the_others() {
    let database = Database::new();
    let (hub, channel) = open(database.open().await).await;
    for n in 1..=3 {
        for topic in TOPICS {
            say(&hub, &channel, topic, &n.to_string(), by("s", 1)).await;
        }
    }
    let (mut late, mut subscription) =
        reader(&hub, &channel, &TopicFilter::All, Position::Start).await;
    for (topic, expected) in [
        ("log", &["1", "2", "3"][..]),
        ("latest", &["3"]),
        ("text", &["123"]),
        ("live", &["1", "2", "3"]),
    ] {
        assert_eq!(held(&mut late, topic), expected, "{topic}");
        say(&hub, &channel, topic, "4", by("s", 1)).await;
    }
    read_on(&mut late, &mut subscription).await;
    assert_eq!(held(&mut late, "latest").last().unwrap(), "4");
    assert_eq!(
        late.view(&name("text"))
            .texts()
            .into_values()
            .collect::<Vec<_>>(),
        ["1234"]
    );
}

#[tokio::test]
async fn now_is_what_comes_next() {
    let database = Database::new();
    let (hub, channel) = open(database.open().await).await;
    say(&hub, &channel, "log", "1", None).await;
    say(&hub, &channel, "latest", "1", None).await;
    let (mut client, mut subscription) =
        reader(&hub, &channel, &TopicFilter::All, Position::Now).await;
    say(&hub, &channel, "log", "2", None).await;
    read_on(&mut client, &mut subscription).await;
    assert_eq!(held(&mut client, "log"), ["2"]);
    assert!(held(&mut client, "latest").is_empty());
}

#[tokio::test]
async fn the_last_messages_are_counted_over_the_topics_one_reads() {
    let database = Database::new();
    let store = database.open().await;
    let (first_life, channel) = open(Arc::<SqliteStore>::clone(&store)).await;
    say_durably(&first_life, &channel, "log", "1", None).await;
    say_durably(&first_life, &channel, "log", "2", by("s", 1)).await;
    say_durably(&first_life, &channel, "log", "3", None).await;
    drop((first_life, channel));
    // The others are read from the store.
    let (hub, channel) = open(store).await;
    say(&hub, &channel, "live", "4", None).await;
    say(&hub, &channel, "log", "5", by("s", 2)).await;
    let void = say(&hub, &channel, "log", "void", by("s", 3)).await;
    take_back(&hub, &channel, "log", by("s", 3), before(void)).await;
    for (n, topics, expected) in [
        (1, &["log"][..], &["5"][..]),
        (2, &["log"], &["3", "5"]),
        (4, &["log"], &["1", "2", "3", "5"]),
        (1_000, &["log"], &["1", "2", "3", "5"]),
        (3, &["log", "live"], &["3", "5"]),
        (1, &["text"], &[]),
    ] {
        let (mut client, _) = reader(&hub, &channel, &only(topics), Position::Last(n)).await;
        assert_eq!(held(&mut client, "log"), expected, "{n} of {topics:?}");
        assert!(client.view(&name("log")).gaps.is_empty());
    }
}

#[tokio::test]
async fn no_last_message_and_too_many_are_refused() {
    let database = Database::new();
    let (hub, channel) = open(database.open().await).await;
    for n in [0, limits::LAST_MESSAGES + 1] {
        let refused = hub
            .subscribe(&channel, TopicFilter::All, Position::Last(n))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), ErrorCode::BadRequest);
        assert!(refused.to_string().contains("`now`"), "{refused}");
    }
}

#[tokio::test]
async fn what_was_trimmed_before_is_no_loss_to_one_who_asks_for_the_last() {
    let database = Database::new();
    let store = database.open().await;
    let (first_life, channel) = open(Arc::<SqliteStore>::clone(&store)).await;
    say_durably(&first_life, &channel, "other", "1", None).await;
    let gone = say_durably(&first_life, &channel, "log", "2", None).await;
    say_durably(&first_life, &channel, "log", "3", None).await;
    trim(&*store, "log", gone).await;
    drop((first_life, channel));
    let (hub, channel) = open(store).await;
    let topics = only(&["log", "other"]);
    let (mut client, _) = reader(&hub, &channel, &topics, Position::Last(9)).await;
    assert_eq!(held(&mut client, "log"), ["3"]);
    assert!(client.view(&name("log")).gaps.is_empty());
}

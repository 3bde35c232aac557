//! Publishing and reading from outside a function.

use std::future::ready;

use bytes::Bytes;
use stepcast::{App, Cursor, Position, Subscription, Update, channel::ChannelAt};
use stepcast_engine::Publication;
use stepcast_protocol::TopicName;

use crate::support::{Chat, HOUR, World, options, within};

async fn opened() -> (World, ChannelAt<Chat>) {
    let world = World::with(options, |_| App::new("it").channel::<Chat>()).await;
    (world, Chat::at("room"))
}

/// The next `count` texts that a reader gets.
async fn texts(mut reader: Subscription<Chat>, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        match within(reader.try_next()).await.unwrap().unwrap() {
            Update::Message(message) => match message.data {
                Chat::Said { text } => texts.push(text),
                other => texts.push(format!("{other:?}")),
            },
            other => panic!("{other:?}"),
        }
    }
    texts
}

async fn say(world: &World, room: &ChannelAt<Chat>, text: &str) -> Cursor {
    world
        .publish(room, Chat::said(text))
        .durable()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_reader_begins_at_the_start_or_after_a_message_and_goes_on() {
    let (mut world, room) = opened().await;
    say(&world, &room, "a").await;
    let b = say(&world, &room, "b").await;
    say(&world, &room, "c").await;
    world.restart().await;
    say(&world, &room, "d").await;
    assert_eq!(texts(world.subscribe(&room), 4).await, ["a", "b", "c", "d"]);
    let after = world.subscribe(&room).from(Position::After(b));
    assert_eq!(texts(after, 2).await, ["c", "d"]);
}

#[tokio::test]
async fn a_reader_from_now_gets_what_comes() {
    let (world, room) = opened().await;
    say(&world, &room, "old").await;
    let mut reader = world.subscribe(&room).from(Position::Now);
    // A subscription opens when it is first polled.
    tokio::select! {
        biased;
        early = reader.try_next() => panic!("{early:?}"),
        () = ready(()) => {}
    }
    say(&world, &room, "new").await;
    assert_eq!(texts(reader, 1).await, ["new"]);
}

#[tokio::test]
async fn a_reader_of_some_topics_gets_no_others() {
    let (world, room) = opened().await;
    say(&world, &room, "a").await;
    world
        .publish(&room, Chat::Progress { percent: 1 })
        .await
        .unwrap();
    say(&world, &room, "b").await;
    assert_eq!(
        texts(world.subscribe(&room).topics(["said"]), 2).await,
        ["a", "b"]
    );
    let error = world
        .subscribe(&room)
        .topics(["sung"])
        .try_next()
        .await
        .unwrap_err();
    assert_eq!(error.code(), "bad_topic");
    assert_eq!(
        error.message(),
        "the channel declares no topic `sung`; it has `said`, `progress`, `number`"
    );
}

#[tokio::test]
async fn a_cursor_that_nobody_can_have_is_refused() {
    let (world, room) = opened().await;
    let last = say(&world, &room, "a").await;
    let ahead = Cursor {
        offset: stepcast_protocol::Offset(last.offset.0 + 1),
        ..last
    };
    let mut reader = world.subscribe(&room).from(Position::After(ahead));
    assert_eq!(reader.try_next().await.unwrap_err().code(), "bad_cursor");
    assert!(reader.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_reader_until_a_run_ends_gets_its_last_message_and_then_the_run() {
    let world = World::of(|ctx, log| async move {
        let room = Chat::at("room");
        ctx.step("durable")
            .publish(&room, Chat::said("durable"))
            .await?;
        let last = || async {
            log.until("go").await;
            ctx.publish(&room, Chat::said("last")).await
        };
        ctx.step("last").run(last).await
    })
    .await;
    let (run, room) = (world.start().await, Chat::at("room"));
    let mut reader = world.subscribe(&room).until_run_ends(world.run(run));
    let first = within(reader.try_next()).await.unwrap().unwrap();
    assert!(matches!(first, Update::Message(message) if message.data == Chat::said("durable")));
    world.log.say("go");
    let second = within(reader.try_next()).await.unwrap().unwrap();
    assert!(matches!(second, Update::Message(message) if message.data == Chat::said("last")));
    let end = within(reader.try_next()).await.unwrap().unwrap();
    assert!(matches!(end, Update::Run(view) if view.run_id == run && view.status.is_final()));
    assert!(within(reader.try_next()).await.unwrap().is_none());
    // One that comes late gets the same.
    let late = world.subscribe(&room).until_run_ends(world.run(run));
    let mut late = late.messages();
    let mut texts = Vec::new();
    while let Some(message) = within(late.try_next()).await.unwrap() {
        texts.push(message.data);
    }
    assert_eq!(texts, [Chat::said("durable"), Chat::said("last")]);
}

#[tokio::test]
async fn a_payload_that_does_not_decode_is_one_error() {
    let (world, room) = opened().await;
    let number = |payload: &'static str| Publication {
        channel: room.name().unwrap().clone(),
        topic: TopicName::parse("number").unwrap(),
        payload: Bytes::from_static(payload.as_bytes()),
        run: None,
        durable: true,
        key: None,
    };
    for payload in [r#"{"n":1}"#, r#"{"n":"one"}"#, r#"{"n":2}"#] {
        world.engine().publish(number(payload)).await.unwrap();
    }
    let mut reader = world.subscribe(&room).messages();
    let first = within(reader.try_next()).await.unwrap().unwrap();
    assert_eq!(first.data, Chat::Number { n: 1 });
    let error = within(reader.try_next()).await.unwrap_err();
    assert!(
        error
            .message()
            .starts_with("payload of topic `number` cannot be read"),
        "{error}"
    );
    let third = within(reader.try_next()).await.unwrap().unwrap();
    assert_eq!(third.data, Chat::Number { n: 2 });
}

#[tokio::test]
async fn a_key_publishes_once_per_channel_and_day() {
    let (mut world, room) = opened().await;
    let publish = |world: &World, room: &ChannelAt<Chat>, text: &str| {
        world.publish(room, Chat::said(text)).idempotency_key("k")
    };
    let first = publish(&world, &room, "first").await.unwrap();
    assert_eq!(publish(&world, &room, "again").await.unwrap(), first);
    world.restart().await;
    assert_eq!(publish(&world, &room, "again").await.unwrap(), first);
    publish(&world, &Chat::at("other"), "other").await.unwrap();
    world.clock.advance(HOUR * 24);
    assert!(publish(&world, &room, "next day").await.unwrap() > first);
    assert_eq!(
        texts(world.subscribe(&room), 2).await,
        ["first", "next day"]
    );
    assert_eq!(
        texts(world.subscribe(&Chat::at("other")), 1).await,
        ["other"]
    );
}

#[tokio::test]
async fn a_sender_s_key_starts_one_run() {
    let world = World::of(|ctx, _| async move { Ok(ctx.event.n) }).await;
    let send = |n| world.send(crate::support::Start { n }).idempotency_key("k");
    let (first, again) = (send(1).await.unwrap(), send(1).await.unwrap());
    assert_eq!(first.event_id(), again.event_id());
    let id = first.run().await.unwrap().id();
    assert_eq!(again.run().await.unwrap().id(), id);
    assert_eq!(world.result::<u64>(id).await.unwrap(), 1);
}

#[tokio::test]
async fn a_durable_publish_survives_a_close_without_patience() {
    let (mut world, room) = opened().await;
    say(&world, &room, "kept").await;
    world.restart_with(options).await;
    assert_eq!(texts(world.subscribe(&room), 1).await, ["kept"]);
}

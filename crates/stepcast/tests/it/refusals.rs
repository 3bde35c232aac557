//! What is refused, and what the error says.

use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::{App, Channel, Error, Event, Stepcast, channel::ChannelAt};
use stepcast_engine::Publication;
use stepcast_protocol::{ChannelName, TopicName, limits};

use crate::support::{Chat, World, options, store};

async fn empty() -> World {
    World::with(options, |_| App::new("it").channel::<Chat>()).await
}

fn check(error: &Error, code: &str, message: &str) {
    assert_eq!((error.code(), error.message()), (code, message));
}

/// Opens the world's file once more.
async fn open_again(world: &World) -> Result<Stepcast, Error> {
    let options = options(world.clock.clone()).with_store(store().with_owner_wait(Duration::ZERO));
    options.open(world.file(), App::new("it")).await
}

#[tokio::test]
async fn a_channel_parameter_with_a_colon() {
    let world = empty().await;
    let expected = "channel parameter `room` is \"a:b\"; it may not contain `:`";
    let wrong: ChannelAt<Chat> = Chat::at("a:b");
    let published = world.publish(&wrong, Chat::said("hi")).await;
    check(&published.unwrap_err(), "bad_channel", expected);
    let read = world.subscribe(&wrong).try_next().await;
    check(&read.unwrap_err(), "bad_channel", expected);
    let minted = world.token(&wrong).await;
    check(&minted.unwrap_err(), "bad_channel", expected);
}

#[tokio::test]
async fn a_channel_parameter_with_a_colon_in_a_function() {
    let world = World::of(|ctx, _| async move {
        let step = ctx.step("publish");
        step.publish(&Chat::at("a:b"), Chat::said("hi")).await
    })
    .await;
    let run = world.start().await;
    assert_eq!(world.failure(run).await.0, "bad_channel");
}

#[tokio::test]
async fn a_second_owner_of_a_file_is_told_who_is_first() {
    let mut world = empty().await;
    let error = open_again(&world).await.unwrap_err();
    let expected = format!(
        "database `{}` is in use by process {}; stop it or give another file",
        world.file().display(),
        std::process::id()
    );
    check(&error, "in_use", &expected);
    world.shut_down().await;
    open_again(&world).await.unwrap().shutdown().await.unwrap();
}

#[tokio::test]
async fn a_file_of_another_program() {
    let mut world = empty().await;
    world.shut_down().await;
    std::fs::write(world.file(), "notes of mine").unwrap();
    let error = open_again(&world).await.unwrap_err();
    assert_eq!(error.code(), "foreign_file");
    assert_eq!(std::fs::read(world.file()).unwrap(), b"notes of mine");
}

#[tokio::test]
async fn a_file_of_a_newer_version() {
    const VERSION_AT: usize = 60;
    let mut world = empty().await;
    world.shut_down().await;
    let mut bytes = std::fs::read(world.file()).unwrap();
    bytes[VERSION_AT..VERSION_AT + 4].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(world.file(), bytes).unwrap();
    let error = open_again(&world).await.unwrap_err();
    assert_eq!(error.code(), "newer_file");
    assert!(error.message().contains("has schema version 99"), "{error}");
}

#[tokio::test]
async fn a_payload_against_its_schema() {
    let world = empty().await;
    let wrong = Chat::Progress { percent: 101 };
    let error = world.publish(&Chat::at("r"), wrong).await.unwrap_err();
    check(
        &error,
        "schema_violation",
        "payload for topic `progress` does not fit its schema at `/percent`: 101 is greater than the maximum of 100",
    );
}

#[tokio::test]
async fn a_payload_against_its_schema_in_a_function() {
    let world = World::of(|ctx, _| async move {
        let wrong = Chat::Progress { percent: 200 };
        let error = ctx.publish(&Chat::at("r"), wrong).await.unwrap_err();
        let wrong = Chat::Progress { percent: 200 };
        let step = ctx
            .step("publish")
            .publish(&Chat::at("r"), wrong)
            .await
            .unwrap_err();
        Ok((error.code().to_owned(), step.code().to_owned()))
    })
    .await;
    let run = world.start().await;
    let codes: (String, String) = world.result(run).await.unwrap();
    assert_eq!(
        (&*codes.0, &*codes.1),
        ("schema_violation", "schema_violation")
    );
    assert!(world.messages(&Chat::at("r")).await.is_empty());
}

#[tokio::test]
async fn a_payload_that_is_too_large() {
    let world = empty().await;
    let overhead = r#"{"text":""}"#.len();
    let fits = Chat::said("x".repeat(limits::MESSAGE_BYTES - overhead));
    world.publish(&Chat::at("r"), fits).durable().await.unwrap();
    let large = Chat::said("x".repeat(limits::MESSAGE_BYTES - overhead + 1));
    let error = world.publish(&Chat::at("r"), large).await.unwrap_err();
    check(
        &error,
        "too_large",
        "payload for topic `said` has 524289 bytes, at most 524288 are allowed; publish a reference instead",
    );
}

#[derive(Serialize, Deserialize)]
struct Nameless {}

impl Event for Nameless {
    const NAME: &'static str = "";
}

#[derive(Serialize, Deserialize)]
struct LongName {}

impl Event for LongName {
    const NAME: &'static str = match str::from_utf8(&[b'e'; limits::NAME_BYTES + 1]) {
        Ok(name) => name,
        Err(_) => "",
    };
}

#[tokio::test]
async fn an_event_name_that_is_empty_or_too_long() {
    let world = empty().await;
    let error = world.send(Nameless {}).await.unwrap_err();
    assert_eq!(error.code(), "bad_event");
    assert!(error.message().contains("is empty"), "{error}");
    let error = world.send(LongName {}).await.unwrap_err();
    assert_eq!(error.code(), "bad_event");
    assert!(error.message().contains("257 bytes"), "{error}");
}

#[derive(Debug, Clone, Channel, Serialize, Deserialize, JsonSchema)]
#[channel("count:{of}")]
enum Count {
    Total { by_day: Vec<i64> },
}

#[tokio::test]
async fn an_integer_that_pages_would_read_as_another() {
    const SAFE: i64 = (1 << 53) - 1;
    let world = World::with(options, |_| App::new("it").channel::<Count>()).await;
    let total = |last| Count::Total {
        by_day: vec![0, last],
    };
    let (at, most) = (Count::at("a"), [SAFE, -SAFE]);
    for last in most {
        world.publish(&at, total(last)).await.unwrap();
    }
    for last in [SAFE + 1, -SAFE - 1, i64::MAX] {
        let error = world.publish(&at, total(last)).await.unwrap_err();
        assert_eq!(error.code(), "schema_violation");
        let begin = "payload for topic `total` does not fit its schema at `/by_day/1`: ";
        let advice = "; pages would read another number, publish it as a string";
        let message = error.message();
        assert!(
            message.starts_with(begin) && message.ends_with(advice),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_topic_of_the_engine_s_own() {
    let world = empty().await;
    let publication = Publication {
        channel: ChannelName::parse("any").unwrap(),
        topic: TopicName::parse("$run").unwrap(),
        payload: Bytes::from_static(b"{}"),
        run: None,
        durable: false,
        key: None,
    };
    let error = world.engine().publish(publication).await.unwrap_err();
    assert_eq!(error.code().as_str(), "bad_topic");
    assert_eq!(
        error.to_string(),
        "topic `$run` starts with `$`; such topics are written by the engine alone"
    );
}

#[tokio::test]
async fn keys_of_no_or_too_many_bytes() {
    let world = empty().await;
    for key in [String::new(), "k".repeat(257)] {
        let publish = world.publish(&Chat::at("r"), Chat::said("hi"));
        let error = publish.idempotency_key(&key).await.unwrap_err();
        assert_eq!(error.code(), "bad_request");
        let send = world.send(crate::support::Start { n: 0 });
        let error = send.idempotency_key(&key).await.unwrap_err();
        assert_eq!(error.code(), "bad_event");
        let bytes = format!("has {} bytes, 1 to 256 are allowed", key.len());
        assert!(error.message().contains(&bytes), "{error}");
    }
}

#[tokio::test]
async fn a_run_that_is_unknown_or_has_ended() {
    let world = World::of(|_, _| async { Ok(()) }).await;
    let unknown = stepcast::RunId::from_parts(1, 1);
    assert_eq!(
        world.run(unknown).end().await.unwrap_err().code(),
        "unknown_run"
    );
    assert_eq!(
        world.run(unknown).cancel().await.unwrap_err().code(),
        "unknown_run"
    );
    let run = world.start().await;
    world.result::<()>(run).await.unwrap();
    assert_eq!(
        world.run(run).cancel().await.unwrap_err().code(),
        "run_ended"
    );
}

#[tokio::test]
async fn an_event_that_starts_nothing() {
    let world = empty().await;
    let sent = world.send(crate::support::Start { n: 0 }).await.unwrap();
    assert_eq!(sent.run().await.unwrap_err().code(), "unknown_function");
}

//! Channels and events by name, for programs without their types.

use std::future::IntoFuture;

use serde_json::{json, value::RawValue};
use stepcast::{App, Ctx, Error, JsonChannel, Position, Update, function};

use super::lives::Lives;
use crate::support::{Chat, Start, within};

async fn main(ctx: Ctx<Start>) -> Result<u64, Error> {
    Ok(ctx.event.n)
}

fn app() -> App {
    App::new("json")
        .channel::<Chat>()
        .function(function("main", main))
}

/// Both ways to reach the same engine.
fn both(lives: &Lives, name: &str) -> [JsonChannel; 2] {
    [
        lives.client().json_channel(name),
        lives.stepcast().json_channel(name),
    ]
}

#[tokio::test]
async fn what_is_written_is_read_byte_for_byte() {
    let lives = Lives::of(app).await;
    for (index, channel) in both(&lives, "chat:room").into_iter().enumerate() {
        let written = format!(r#"{{"n":{index}, "exact":1.50}}"#);
        let raw = RawValue::from_string(written.clone()).unwrap();
        let place = channel.publish("number", &raw).durable();
        let place = within(place.into_future()).await.unwrap();
        let updates = channel.subscribe(["number"]).from(Position::Last(1));
        let mut updates = within(updates.opened()).await.unwrap();
        let Some(Update::Message(message)) = within(updates.try_next()).await.unwrap() else {
            panic!("a message was published");
        };
        assert_eq!((message.cursor, message.data.get()), (place, &*written));
        assert_eq!(message.topic.as_str(), "number");
    }
}

#[tokio::test]
async fn declared_channels_hold_for_json_too() {
    let lives = Lives::of(app).await;
    for channel in both(&lives, "chat:room") {
        let topics = within(channel.topics()).await.unwrap();
        let topics: Vec<_> = topics.iter().map(|topic| topic.as_str()).collect();
        assert_eq!(topics, ["number", "progress", "said"]);
        for (publish, code) in [
            (
                channel.publish("progress", &json!({ "percent": 101 })),
                "schema_violation",
            ),
            (channel.publish("other", &json!(1)), "bad_topic"),
            (channel.publish("$run", &json!(1)), "bad_topic"),
            (channel.publish("", &json!(1)), "bad_topic"),
            (channel.publish("said", &f64::NAN), "schema_violation"),
        ] {
            let error = within(publish.into_future()).await.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
        }
        let nothing: [&str; 0] = [];
        let error = within(channel.subscribe(nothing).try_next()).await;
        assert_eq!(error.unwrap_err().code(), "bad_topic");
        let error = within(channel.token(nothing).into_future()).await;
        assert_eq!(error.unwrap_err().code(), "bad_topic");
        assert!(within(channel.token(["said"]).into_future()).await.is_ok());
    }
    for channel in both(&lives, "") {
        let error = within(channel.topics()).await.unwrap_err();
        assert_eq!((error.code(), error.is_terminal()), ("bad_channel", true));
    }
    for channel in both(&lives, "undeclared") {
        assert!(within(channel.topics()).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn events_by_name_start_runs_and_runs_are_listed() {
    let lives = Lives::of(app).await;
    let client = lives.client();
    let mut started = Vec::new();
    for n in 0..3 {
        let sent = client.send_json("it/start", &json!({ "n": n }));
        let run = within(sent.into_future()).await.unwrap().run();
        let run = within(run).await.unwrap();
        assert_eq!(within(run.result::<u64>()).await.unwrap(), n);
        started.push(run.id());
    }
    started.reverse();
    for lists in [
        [client.list_runs(), client.list_runs().limit(1)],
        [
            lives.stepcast().list_runs(),
            lives.stepcast().list_runs().limit(1),
        ],
    ] {
        let [all, first] = lists;
        let ids = |runs: Vec<stepcast::RunView>| runs.iter().map(|run| run.run_id).collect();
        let all: Vec<_> = ids(within(all.into_future()).await.unwrap());
        assert_eq!(all, started);
        let first: Vec<_> = ids(within(first.into_future()).await.unwrap());
        assert_eq!(first, started[..1]);
    }
    let older = client.list_runs().before(started[0]);
    assert_eq!(within(older.into_future()).await.unwrap().len(), 2);
    for limit in [0, 101] {
        let error = within(client.list_runs().limit(limit).into_future()).await;
        assert!(error.unwrap_err().message().contains("1 to 100"));
    }
    for (name, data) in [("it/start", json!([1])), ("inngest/x", json!({}))] {
        let error = within(client.send_json(name, &data).into_future()).await;
        assert_eq!(error.unwrap_err().code(), "bad_event");
    }
}

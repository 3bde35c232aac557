//! Native readers that lag, come back, or live through a failure: what they are told, and that it adds up.

use serde_json::{Value, json};
use stepcast_http::{GatewayOptions, Keys};
use stepcast_protocol::{Keep, Retention};

use crate::{
    clients::Socket,
    model::Model,
    server::{TestServer, text},
    slow::narrow,
};

/// Reads until the model says so.
async fn follow(socket: &mut Socket, model: &mut Model, until: impl Fn(&Model) -> bool) {
    while !until(model) {
        model.on_frame(&socket.next().await);
    }
}

fn token(text: impl Into<String>) -> String {
    json!({ "token": text.into() }).to_string()
}

#[tokio::test]
async fn a_reader_that_lags_gets_the_text_instead_of_its_pieces() {
    let server = TestServer::with(GatewayOptions::default().with_shards(1), Keys::Dev).await;
    server.declare("c", vec![("tokens", text()), ("log", Keep::Log)]);
    let both = server.token("c", &["tokens", "log"]).await;
    let mut slow = server
        .connect_on(narrow(&server).await, &format!("{both}&v=1"))
        .await;
    let mut fast = server.native(&both, "").await;
    let (mut slowly, mut quickly) = (Model::default(), Model::default());
    let mut said = String::new();
    for number in 0..300 {
        let piece = format!("{number}{} ", "x".repeat(3_000));
        server.publish("c", "tokens", token(&*piece)).await;
        said.push_str(&piece);
        server.publish("c", "log", number.to_string()).await;
        follow(&mut fast, &mut quickly, |model| {
            model.data("log").len() > number
        })
        .await;
    }
    let is_done = |model: &Model| model.data("log").len() == 300 && model.text("tokens") == said;
    follow(&mut fast, &mut quickly, is_done).await;
    assert_eq!(
        quickly.told.get("snapshot"),
        None,
        "one that keeps up needs none"
    );
    follow(&mut slow, &mut slowly, is_done).await;
    let numbers: Vec<_> = (0..300).map(|number| json!(number)).collect();
    assert_eq!(
        slowly.data("log"),
        numbers,
        "every message of a log, in order"
    );
    assert!(slowly.told["snapshot"] >= 1, "{:?}", slowly.told);
    assert!(
        slowly.told["data"] < 500,
        "{:?} are most of the pieces",
        slowly.told
    );
    assert_eq!(slowly.cursor(), quickly.cursor());
    // It keeps up again.
    server.publish("c", "tokens", token("end")).await;
    follow(&mut slow, &mut slowly, |model| {
        model.text("tokens").ends_with("end")
    })
    .await;
}

#[tokio::test]
async fn a_failed_attempt_is_taken_back_from_those_who_are_there() {
    let server = TestServer::start().await;
    server.declare(
        "c",
        vec![
            ("tokens", text()),
            ("status", Keep::Latest),
            ("log", Keep::Log),
        ],
    );
    let all = server.token("c", &["tokens", "status", "log"]).await;
    let mut native = server.native(&all, "").await;
    let mut plain = server.connect(&all).await;
    let mut model = Model::default();
    server.publish("c", "status", "\"waiting\"").await;
    let run = server.run().await;
    for (topic, payload) in [
        ("tokens", token("wro")),
        ("status", "\"first try\"".into()),
        ("log", "1".into()),
    ] {
        server.say(&run, 1, ("c", topic), payload).await;
    }
    follow(&mut native, &mut model, |model| {
        model.data("log").len() == 1
    })
    .await;
    assert_eq!(
        (model.text("tokens"), model.data("status").len()),
        ("wro".to_owned(), 2)
    );
    TestServer::fail(&run);
    follow(&mut native, &mut model, |model| {
        model.told.get("rollback") == Some(&3)
    })
    .await;
    assert_eq!(
        (model.text("tokens"), model.data("log")),
        (String::new(), vec![])
    );
    assert_eq!(
        model.data("status"),
        [json!("waiting")],
        "what was before is back"
    );
    server.say(&run, 2, ("c", "tokens"), token("right")).await;
    follow(&mut native, &mut model, |model| {
        model.text("tokens") == "right"
    })
    .await;
    // The other dialect hears of messages alone.
    let mut data = Vec::new();
    for _ in 0..5 {
        let frame = plain.next().await;
        assert_eq!(frame["kind"], "data");
        data.push(frame["data"].clone());
    }
    assert_eq!(data[0], json!("waiting"));
    assert_eq!(data[4], json!({ "token": "right" }));
}

#[tokio::test]
async fn a_failed_attempt_is_taken_back_from_those_who_were_away() {
    for is_restarted in [false, true] {
        let mut server = TestServer::start().await;
        server.declare("c", vec![("tokens", text()), ("log", Keep::Log)]);
        let both = server.token("c", &["tokens", "log"]).await;
        let mut model = Model::default();
        let mut socket = server.native(&both, "").await;
        let run = server.run().await;
        server.publish("c", "log", "0").await;
        server.say(&run, 1, ("c", "tokens"), token("wro")).await;
        server.say(&run, 1, ("c", "log"), "1").await;
        follow(&mut socket, &mut model, |model| {
            model.data("log").len() == 2
        })
        .await;
        drop(socket);
        server.say(&run, 1, ("c", "log"), "2").await;
        TestServer::fail(&run);
        server
            .until(async |server| server.visible("c").await.offset.0 == 6)
            .await;
        server.publish("c", "log", "3").await;
        drop(run);
        if is_restarted {
            server = server.restart().await;
        }
        let both = server.token("c", &["tokens", "log"]).await;
        let from = format!("&from={}", model.cursor());
        let mut socket = server.native(&both, &from).await;
        follow(&mut socket, &mut model, |model| {
            model.data("log").last() == Some(&json!(3))
        })
        .await;
        assert_eq!(
            model.data("log"),
            [json!(0), json!(3)],
            "restarted: {is_restarted}"
        );
        assert_eq!(model.text("tokens"), "", "restarted: {is_restarted}");
        assert_eq!(model.told.get("gap"), None, "{:?}", model.told);
    }
}

/// A channel whose topics keep eight messages, and its first one.
async fn declare_narrow(server: &TestServer) {
    server.declare_bounded(
        "c",
        vec![("log", Keep::Log), ("other", Keep::Log)],
        Retention {
            messages: Some(8),
            ..Retention::default()
        },
    );
    server.publish("c", "log", "0").await;
}

/// Publishes more than the memory of a channel holds, and waits until most of it had to go.
async fn publish_too_much(server: &TestServer) {
    for number in 1..=80 {
        let payload = json!({ "n": number, "pad": "x".repeat(20_000) });
        server.publish("c", "log", payload.to_string()).await;
    }
    server
        .until(async |server| {
            let kept = server.kept("c").await;
            kept[0] <= 9
        })
        .await;
}

#[tokio::test]
async fn what_had_to_go_is_told_to_native_readers_and_counted_for_others() {
    let server = TestServer::start().await;
    declare_narrow(&server).await;
    let both = server.token("c", &["log", "other"]).await;
    let mut model = Model::default();
    let mut socket = server.native(&both, "&from=start").await;
    follow(&mut socket, &mut model, |model| {
        model.data("log").len() == 1
    })
    .await;
    drop(socket);
    publish_too_much(&server).await;
    let from = format!("&from={}", model.cursor());
    let mut socket = server.native(&both, &from).await;
    let is_done = |model: &Model| {
        model
            .data("log")
            .last()
            .is_some_and(|last| last["n"] == json!(80))
    };
    follow(&mut socket, &mut model, is_done).await;
    assert_eq!(model.told.get("gap"), Some(&1), "{:?}", model.told);
    let kept = model.data("log");
    // What it had before the gap does not count any more: the record that it is void may be gone, too.
    let numbers: Vec<_> = kept
        .iter()
        .map(|data| data["n"].as_u64().unwrap())
        .collect();
    let first = numbers[0];
    assert!(first > 1, "{numbers:?}");
    assert_eq!(
        numbers,
        (first..=80).collect::<Vec<_>>(),
        "and after it nothing is missing"
    );
    // One that begins at the beginning has lost nothing.
    let (mut late, mut begun) = (server.native(&both, "&from=start").await, Model::default());
    follow(&mut late, &mut begun, is_done).await;
    assert_eq!(begun.told.get("gap"), None, "{:?}", begun.told);
    assert_eq!(server.gateway.stats().await.plain_gaps, 0);
    let mut plain = server.connect(&both).await;
    assert_eq!(plain.next().await["data"]["n"], json!(first));
    assert_eq!(server.gateway.stats().await.plain_gaps, 1);
}

#[tokio::test]
async fn a_store_that_was_reopened_is_told_to_everyone_who_was_there() {
    let server = TestServer::start().await;
    server.declare("c", vec![("status", Keep::Latest), ("log", Keep::Log)]);
    let both = server.token("c", &["status", "log"]).await;
    let (mut native, mut model) = (server.native(&both, "").await, Model::default());
    let mut plain = server.connect(&both).await;
    server.publish("c", "log", "1").await;
    server.publish("c", "status", "\"a\"").await;
    follow(&mut native, &mut model, |model| {
        model.data("status").len() == 1
    })
    .await;
    // Everything is written before the store goes.
    server
        .until(async |server| server.kept("c").await == [1, 1])
        .await;
    server.reopen().await;
    server.publish("c", "log", "2").await;
    follow(&mut native, &mut model, |model| {
        model.data("log").last() == Some(&json!(2))
    })
    .await;
    assert_eq!(model.told.get("gap"), Some(&2), "{:?}", model.told);
    assert_eq!(model.data("log"), [json!(1), json!(2)]);
    assert_eq!(model.data("status"), [json!("a")]);
    assert_eq!(plain.data(3).await, [json!(1), json!("a"), json!(2)]);
    assert_eq!(server.gateway.stats().await.plain_gaps, 2);
}

#[tokio::test]
async fn a_clean_restart_loses_nothing_and_says_so() {
    let server = TestServer::start().await;
    server.declare("c", vec![("tokens", text()), ("log", Keep::Log)]);
    let both = server.token("c", &["tokens", "log"]).await;
    let (mut socket, mut model) = (server.native(&both, "").await, Model::default());
    for number in 0..3 {
        server
            .publish("c", "tokens", token(number.to_string()))
            .await;
        server.publish("c", "log", number.to_string()).await;
    }
    follow(&mut socket, &mut model, |model| {
        model.data("log").len() == 2
    })
    .await;
    drop(socket);
    let server = server.restart().await;
    // The same token is good in the next life.
    let from = format!("&from={}", model.cursor());
    let mut socket = server.native(&both, &from).await;
    let mut plain = server.connect(&both).await;
    follow(&mut socket, &mut model, |model| {
        model.data("log").len() == 3 && model.text("tokens") == "012"
    })
    .await;
    assert_eq!(model.told.get("gap"), None, "{:?}", model.told);
    let data: Vec<Value> = plain.data(6).await;
    assert_eq!(data[5], json!(2));
    assert_eq!(server.gateway.stats().await.plain_gaps, 0);
}

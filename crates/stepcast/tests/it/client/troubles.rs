//! What becomes of a connection: servers that fall silent, refuse, go, or say what nobody can read.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepcast::{Channel, Client, Error};

use super::{
    holder::Holding,
    mock::{Mock, Peer},
};
use crate::support::Chat;

fn hello(keepalive_ms: u64, cursor: &str) -> Value {
    json!({
        "kind": "hello", "protocol": 1, "epoch": 9, "keepalive_ms": keepalive_ms, "channel": "chat:room",
        "topics": ["number"], "cursor": cursor, "session": 3600,
    })
}

fn number(n: u64) -> Value {
    json!({
        "kind": "data", "channel": "chat:room", "topic": "number", "id": format!("9-{n}"), "data": { "n": n },
        "created_at": "2026-11-23T19:34:01.203Z",
    })
}

/// Reads the mock's channel; its tokens are numbered.
fn reader(mock: &Mock) -> Holding {
    let client = Client::new(&mock.url()).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let next = move || {
        let number = count.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok::<_, Error>(format!("token {number}")))
    };
    Holding::of(client.subscribe_with_token(&Chat::at("room"), next))
}

async fn welcome(mock: &Mock, keepalive_ms: u64) -> Peer {
    let mut peer = mock.accept().await;
    peer.say(&hello(keepalive_ms, "9-1")).await;
    peer
}

fn count(holding: &Holding) -> usize {
    holding.now().shown().values().map(Vec::len).sum()
}

#[tokio::test]
async fn a_silent_server_is_asked_and_then_left() {
    let mock = Mock::start().await;
    let holding = reader(&mock);
    let mut peer = welcome(&mock, 20).await;
    peer.say(&number(2)).await;
    for _ in 0..3 {
        let ping = peer.hear().await;
        assert_eq!(ping, json!({ "kind": "ping", "data": null }));
        peer.say(&json!({ "kind": "pong", "data": null })).await;
    }
    // Asked once more, it says nothing.
    peer.gone().await;
    let peer = mock.accept().await;
    assert_eq!(peer.query["from"], "9-2");
    assert_eq!(count(&holding), 1);
}

#[tokio::test]
async fn a_message_that_comes_twice_is_given_once() {
    let mock = Mock::start().await;
    let holding = reader(&mock);
    let mut peer = welcome(&mock, 15_000).await;
    for n in [2, 3, 3, 2] {
        peer.say(&number(n)).await;
    }
    peer.settle().await;
    drop(peer);
    let mut peer = mock.accept().await;
    assert_eq!(peer.query["from"], "9-3");
    // Where it comes back does not change what it holds.
    peer.say(&hello(15_000, "0-0")).await;
    for n in 1..=4 {
        peer.say(&number(n)).await;
    }
    peer.settle().await;
    assert_eq!(count(&holding), 3);
}

#[tokio::test]
async fn a_server_that_refuses_for_now_is_tried_again_and_a_token_that_is_old_replaced() {
    let mock = Mock::start().await;
    let holding = reader(&mock);
    let mut peer = welcome(&mock, 15_000).await;
    peer.settle().await;
    drop(peer);
    mock.refuse("503 Service Unavailable", "closing").await;
    mock.refuse("429 Too Many Requests", "too_many").await;
    mock.refuse("401 Unauthorized", "bad_token").await;
    let peer = mock.accept().await;
    assert_eq!(peer.query["token"], "token 4");
    assert_eq!(holding.now().end, None);
}

#[tokio::test]
async fn what_will_not_get_better_ends_the_stream() {
    for (status, code) in [
        ("400 Bad Request", "bad_cursor"),
        ("403 Forbidden", "forbidden"),
        ("404 Not Found", "not_found"),
    ] {
        let mock = Mock::start().await;
        let mut holding = reader(&mock);
        let mut peer = welcome(&mock, 15_000).await;
        peer.settle().await;
        drop(peer);
        mock.refuse(status, code).await;
        let end = holding.until(|holder| holder.end.is_some()).await.end;
        assert_eq!(end, Some(Err(code.to_owned())));
    }
    let mock = Mock::start().await;
    let mut holding = reader(&mock);
    mock.refuse("401 Unauthorized", "bad_token").await;
    mock.refuse("401 Unauthorized", "bad_token").await;
    let end = holding.until(|holder| holder.end.is_some()).await.end;
    assert_eq!(end, Some(Err("bad_token".to_owned())));
}

#[tokio::test]
async fn frames_that_cannot_be_read_end_the_stream_and_payloads_that_cannot_do_not() {
    let mock = Mock::start().await;
    let client = Client::new(&mock.url()).unwrap();
    let token = || std::future::ready(Ok::<_, Error>("token".to_owned()));
    let mut updates = client.subscribe_with_token(&Chat::at("room"), token);
    let (error, next, last) = tokio::join!(
        async {
            let error = updates.try_next().await.unwrap_err();
            let next = updates.try_next().await.unwrap();
            let last = updates.try_next().await.unwrap_err();
            assert!(updates.try_next().await.unwrap().is_none());
            (error, next, last)
        },
        async {
            let mut peer = welcome(&mock, 15_000).await;
            let mut wrong = number(2);
            wrong["data"] = json!("no number");
            peer.say(&wrong).await;
            peer.say(&number(3)).await;
            peer.say(&json!({ "kind": "data" })).await;
            peer.gone().await;
        }
    )
    .0;
    assert_eq!(
        (error.code(), last.code()),
        ("schema_violation", "internal")
    );
    assert!(next.is_some());
}

#[tokio::test]
async fn topics_that_are_not_asked_for_are_given_back() {
    let mock = Mock::start().await;
    let client = Client::new(&mock.url()).unwrap();
    let token = || std::future::ready(Ok::<_, Error>("token".to_owned()));
    let updates = client.subscribe_with_token(&Chat::at("room"), token);
    let holding = Holding::of(updates.topics(["number"]));
    let mut peer = mock.accept().await;
    let mut more = hello(15_000, "9-1");
    more["topics"] = json!(["said", "number"]);
    peer.say(&more).await;
    let unsub = peer.hear().await;
    assert_eq!(
        unsub,
        json!({ "kind": "unsub", "channel": "chat:room", "topics": ["said"] })
    );
    let mut said = number(2);
    said["topic"] = json!("said");
    peer.say(&said).await;
    peer.say(&json!({ "kind": "unsubscribed", "channel": "chat:room", "topics": ["number"] }))
        .await;
    peer.say(&number(3)).await;
    peer.settle().await;
    assert_eq!(count(&holding), 1);
}

#[tokio::test]
async fn it_comes_back_for_the_topic_that_is_behind() {
    let mock = Mock::start().await;
    let holding = reader(&mock);
    let mut peer = mock.accept().await;
    let mut both = hello(15_000, "9-1");
    both["topics"] = json!(["said", "number"]);
    peer.say(&both).await;
    // Messages of the other topic that lie before the snapshot are still to come.
    let snapshot = json!({ "kind": "snapshot", "channel": "chat:room", "topic": "said", "id": "9-9", "data": [] });
    peer.say(&snapshot).await;
    peer.settle().await;
    drop(peer);
    let mut peer = mock.accept().await;
    assert_eq!(peer.query["from"], "9-1");
    peer.say(&both).await;
    peer.say(&number(5)).await;
    let gap = json!({ "kind": "gap", "channel": "chat:room", "topic": "number", "keep_to": "9-2", "reason": "crashed" });
    peer.say(&gap).await;
    // What is left of the topic comes again.
    peer.say(&number(3)).await;
    peer.settle().await;
    assert_eq!(
        json!(holding.now().shown()),
        json!({ "number": [{ "n": 3 }] })
    );
    drop(peer);
    assert_eq!(mock.accept().await.query["from"], "9-3");
}

/// A `latest` and a `text` topic, which come as snapshots.
#[derive(Debug, PartialEq, Channel, Serialize, Deserialize)]
#[channel("folds")]
enum Folds {
    #[topic(keep = "latest", unchecked)]
    Status(u64),
    #[topic(keep = "text", text = "s", unchecked)]
    Text { s: String },
}

#[tokio::test]
async fn those_who_want_messages_only_are_given_nothing_twice_by_a_snapshot() {
    let mock = Mock::start().await;
    let client = Client::new(&mock.url()).unwrap();
    let token = || std::future::ready(Ok::<_, Error>("token".to_owned()));
    let mut messages = client.subscribe_with_token(&Folds::at(), token).messages();
    let mut hello = hello(15_000, "9-1");
    hello["channel"] = json!("folds");
    hello["topics"] = json!(["status", "text"]);
    let piece = |id: u64, data: Value| json!({ "data": data, "created_at": "2026-11-23T19:34:01.203Z", "id": format!("9-{id}") });
    let snapshot = |topic: &str, piece: Value| json!({ "kind": "snapshot", "channel": "folds", "topic": topic, "id": "9-20", "data": [piece] });
    let said = snapshot("text", piece(5, json!({ "s": "Hello" })));
    let server = async {
        for status in [4, 6] {
            let mut peer = mock.accept().await;
            peer.say(&hello).await;
            peer.say(&snapshot("status", piece(status, json!(status))))
                .await;
            peer.say(&said).await;
            peer.settle().await;
        }
        let mut peer = mock.accept().await;
        peer.say(&hello).await;
        let more = piece(7, json!({ "s": "Hello world" }));
        peer.say(&snapshot("text", more)).await;
        peer.gone().await;
    };
    let reader = async move {
        let mut read = Vec::new();
        loop {
            match messages.try_next().await {
                Ok(message) => read.push(message.unwrap().data),
                Err(error) => return (read, error),
            }
        }
    };
    let ((read, error), ()) = tokio::join!(reader, server);
    let hello = Folds::Text {
        s: "Hello".to_owned(),
    };
    assert_eq!(read, [Folds::Status(4), hello, Folds::Status(6)]);
    assert_eq!(
        error.code(),
        "gap",
        "the text has gone on, and cannot be told as messages"
    );
}

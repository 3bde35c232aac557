//! The verbs against a real server: they give what the embedded engine gives.

use std::{future::IntoFuture, time::Duration};

use stepcast::{
    App, Client, Ctx, Cursor, Error, Keys, Position, RunStatus, RunUpdate, Update, function,
};
use tokio::net::TcpListener;

use super::lives::Lives;
use crate::support::{Chat, Go, Start, within};

/// Waits for an event, speaks, and gives what it was started with.
async fn main(ctx: Ctx<Start>) -> Result<u64, Error> {
    let n = ctx.event.n;
    if n == 13 {
        return Err(Error::msg("thirteen").terminal());
    }
    ctx.step("wait").wait_for_event::<Go>().await?;
    let room = Chat::at("room");
    for text in ["one", "two"] {
        ctx.publish(&room, Chat::said(text)).await?;
    }
    ctx.step("last").publish(&room, Chat::Number { n }).await?;
    Ok(n)
}

fn app() -> App {
    App::new("verbs")
        .channel::<Chat>()
        .function(function("main", main))
}

#[tokio::test]
async fn a_run_is_sent_for_followed_and_awaited() {
    let lives = Lives::of(app).await;
    let client = lives.client();
    let room = Chat::at("room");
    let updates = within(client.subscribe(&room).opened()).await.unwrap();
    let sent = within(client.send(Start { n: 7 }).into_future())
        .await
        .unwrap();
    let run = sent.run().await.unwrap();
    let again = client.send(Start { n: 8 }).idempotency_key("k");
    let again = within(again.into_future()).await.unwrap();
    let twice = client.send(Start { n: 8 }).idempotency_key("k");
    let twice = within(twice.into_future()).await.unwrap();
    assert_eq!(
        again.run().await.unwrap().id(),
        twice.run().await.unwrap().id()
    );
    within(again.run().await.unwrap().cancel()).await.unwrap();
    let refused = within(again.run().await.unwrap().cancel())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "run_ended");
    let mut watch = run.watch();
    assert!(within(watch.try_next()).await.unwrap().is_some());

    // Beside the run, other channels and topics move on.
    for n in 0..3 {
        let other = client.publish(&Chat::at("other"), Chat::Number { n });
        within(other.into_future()).await.unwrap();
    }
    within(client.send(Go { n: 0 }).into_future())
        .await
        .unwrap();
    let mut updates = updates.until_run_ends(run.clone());
    let (mut said, mut end) = (Vec::new(), None);
    while let Some(update) = within(updates.try_next()).await.unwrap() {
        match update {
            Update::Message(message) => said.push(message.data),
            Update::Run(view) => end = Some(view),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        said,
        [Chat::said("one"), Chat::said("two"), Chat::Number { n: 7 }]
    );
    assert_eq!(end.unwrap().status, RunStatus::Completed);
    assert_eq!(within(run.result::<u64>()).await.unwrap(), 7);
    assert_eq!(within(run.status()).await.unwrap(), RunStatus::Completed);
    let mut last = None;
    while let Some(update) = within(watch.try_next()).await.unwrap() {
        last = Some(update);
    }
    assert!(matches!(last, Some(RunUpdate::Run(news)) if news.ended_at.is_some()));

    // Of a run that has ended, everything is there at once.
    let mut messages = client.subscribe(&room).until_run_ends(run).messages();
    let mut count = 0;
    while within(messages.try_next()).await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 3);
}

#[tokio::test]
async fn errors_of_runs_and_of_the_server_keep_their_codes() {
    let lives = Lives::of(app).await;
    let client = lives.client();
    let sent = within(client.send(Start { n: 13 }).into_future())
        .await
        .unwrap();
    let error = within(sent.run().await.unwrap().result::<u64>()).await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        ("function_failed", "thirteen")
    );
    let failed = sent.run().await.unwrap();
    let again = within(failed.rerun()).await.unwrap();
    assert_ne!(again.id(), failed.id());
    let error = within(again.result::<u64>()).await.unwrap_err();
    assert_eq!(error.message(), "thirteen");
    let views = [failed, again].map(|run| async move { within(run.view()).await.unwrap() });
    let [first, second] = views;
    assert_eq!(first.await.event_id, second.await.event_id);
    let unknown = client.run("01KASE7J6K0000000000000000".parse().unwrap());
    for error in [
        within(unknown.view()).await.unwrap_err(),
        within(unknown.rerun()).await.unwrap_err(),
        within(unknown.end()).await.unwrap_err(),
        within(unknown.watch().try_next()).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), "unknown_run", "{error}");
    }
    let room = Chat::at("room");
    let percent = client.publish(&room, Chat::Progress { percent: 101 });
    let error = within(percent.into_future()).await.unwrap_err();
    assert_eq!(error.code(), "schema_violation", "{error}");
    let large = client.publish(&room, Chat::said("x".repeat(600_000)));
    let error = within(large.into_future()).await.unwrap_err();
    assert_eq!(error.code(), "too_large", "{error}");
    assert!(error.message().contains("524288"), "{error}");
    for (position, code) in [
        (
            Position::After("9999999999-1".parse().unwrap()),
            "bad_cursor",
        ),
        (Position::Last(0), "bad_request"),
    ] {
        let mut updates = client.subscribe(&room).from(position);
        let error = within(updates.try_next()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(within(updates.try_next()).await.unwrap().is_none());
    }
    let mut updates = client.subscribe(&room).topics(["nothing"]);
    let error = within(updates.try_next()).await.unwrap_err();
    assert_eq!(error.code(), "bad_topic");
}

#[tokio::test]
async fn messages_are_published_once_and_read_from_anywhere() {
    let lives = Lives::of(app).await;
    let client = lives.client();
    let room = Chat::at("a/b ü&?");
    let first = client.publish(&room, Chat::said("0")).durable();
    let first = within(first.into_future()).await.unwrap();
    let keyed = |text: &str| {
        client
            .publish(&room, Chat::said(text))
            .idempotency_key("schlüssel")
    };
    let second = within(keyed("1").into_future()).await.unwrap();
    assert_eq!(within(keyed("2").into_future()).await.unwrap(), second);
    assert!(first < second && first > Cursor::START);
    let number = client.publish(&room, Chat::Number { n: 2 });
    let third = within(number.into_future()).await.unwrap();
    for (position, topics, cursors) in [
        (
            Position::Start,
            ["said", "number"],
            vec![first, second, third],
        ),
        (
            Position::After(first),
            ["said", "number"],
            vec![second, third],
        ),
        (Position::Last(2), ["said", "number"], vec![second, third]),
        (Position::Start, ["number", "number"], vec![third]),
    ] {
        let mut messages = client
            .subscribe(&room)
            .from(position)
            .topics(topics)
            .messages();
        let mut read = Vec::new();
        while read.len() < cursors.len() {
            read.push(within(messages.try_next()).await.unwrap().unwrap().cursor);
        }
        assert_eq!(read, cursors, "{position:?}");
    }
    let now = client.subscribe(&room).from(Position::Now).opened();
    let mut now = within(now).await.unwrap().messages();
    let next = client.publish(&room, Chat::said("3"));
    let next = within(next.into_future()).await.unwrap();
    let seen = within(now.try_next()).await.unwrap().unwrap();
    assert_eq!((seen.cursor, seen.data), (next, Chat::said("3")));
}

#[tokio::test]
async fn keys_open_what_they_are_for_and_tokens_the_rest() {
    let keys = Keys::Production {
        event_keys: vec!["the event key".to_owned()],
        signing_keys: vec!["signkey-prod-00ff00ff00ff00ff".to_owned()],
    };
    let lives = Lives::with(keys, app).await;
    let room = Chat::at("room");
    let nobody = lives.client();
    for error in [
        within(nobody.send(Start { n: 1 }).into_future())
            .await
            .unwrap_err(),
        within(nobody.publish(&room, Chat::said("x")).into_future())
            .await
            .unwrap_err(),
        within(nobody.token(&room).into_future()).await.unwrap_err(),
        within(nobody.subscribe(&room).try_next())
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.code(), "bad_token", "{error}");
    }
    let broken = lives.client().with_signing_key("line\nbreak");
    let error = within(broken.token(&room).into_future()).await.unwrap_err();
    assert!(error.message().contains("authorization"), "{error}");

    let operator = lives
        .client()
        .with_event_key("the event key")
        .with_signing_key("signkey-prod-00ff00ff00ff00ff");
    assert!(!format!("{operator:?}").contains("00ff"));
    within(operator.send(Start { n: 1 }).into_future())
        .await
        .unwrap();
    let before = operator.publish(&room, Chat::said("before"));
    within(before.into_future()).await.unwrap();
    let token = operator.token(&room).topics(["said"]).without_history();
    let token = within(token.into_future()).await.unwrap();
    let after = operator.publish(&room, Chat::said("after"));
    within(after.into_future()).await.unwrap();

    // Nobody has a token now: it reads where that was minted, and nothing before.
    let given = move || std::future::ready(Ok::<_, Error>(token.clone()));
    let mut read = nobody.subscribe_with_token(&room, given.clone()).messages();
    let first = within(read.try_next()).await.unwrap().unwrap();
    assert_eq!(first.data, Chat::said("after"));
    for (updates, code) in [
        (
            nobody
                .subscribe_with_token(&room, given.clone())
                .from(Position::Start),
            "forbidden",
        ),
        (
            nobody
                .subscribe_with_token(&room, given.clone())
                .topics(["number"]),
            "forbidden",
        ),
        (
            nobody.subscribe_with_token(&Chat::at("other"), given),
            "bad_channel",
        ),
        (
            nobody.subscribe_with_token(&room, || std::future::ready(Ok("a.b.c".to_owned()))),
            "bad_token",
        ),
    ] {
        let mut updates = updates;
        let error = within(updates.try_next()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    for session in [Duration::from_millis(999), Duration::from_secs(1_000_000)] {
        let token = operator.token(&room).session(session);
        let error = within(token.into_future()).await.unwrap_err();
        assert_eq!(error.code(), "bad_request");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&url).unwrap();
    let room = Chat::at("room");
    for error in [
        within(client.publish(&room, Chat::said("x")).into_future())
            .await
            .unwrap_err(),
        within(client.subscribe(&room).try_next())
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.code(), "unreachable");
        assert!(error.message().contains(&url), "{error}");
    }
}

//! The engine's handle: tokens, copies, and the end.

use std::time::Duration;

use stepcast::{App, Cursor, MintToken, RunStatus, Stepcast, channel::ChannelAt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Chat, Go, HOUR, SaysWhenDropped, Start, World, options, within};

/// What the router answers to a reader with this token, until the answer holds one of `ends`.
async fn answer(world: &World, token: &str, from: Cursor, ends: &[&str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut socket = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let router = world.router();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let request = format!(
        "GET /v1/realtime/sse?from={from} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let (mut text, mut bytes) = (String::new(), [0; 4096]);
    while !ends.iter().any(|end| text.contains(end)) {
        let read = within(socket.read(&mut bytes)).await.unwrap();
        assert_ne!(read, 0, "the answer ended after {text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    serving.abort();
    text
}

async fn minted(token: MintToken) -> String {
    token.await.unwrap()
}

async fn opened() -> (World, ChannelAt<Chat>) {
    let world = World::with(options, |_| App::new("it").channel::<Chat>()).await;
    (world, Chat::at("room"))
}

#[tokio::test]
async fn a_token_opens_its_topics_of_its_channel() {
    let (world, room) = opened().await;
    let token = minted(world.token(&room).topics(["said"])).await;
    world
        .publish(&room, Chat::Progress { percent: 55 })
        .durable()
        .await
        .unwrap();
    world
        .publish(&Chat::at("other"), Chat::said("elsewhere"))
        .durable()
        .await
        .unwrap();
    world
        .publish(&room, Chat::said("last"))
        .durable()
        .await
        .unwrap();
    let text = answer(&world, &token, Cursor::START, &["last"]).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(
        !text.contains("progress") && !text.contains("elsewhere"),
        "{text}"
    );
}

#[tokio::test]
async fn a_token_ends_with_its_lifetime() {
    let (world, room) = opened().await;
    let short = minted(world.token(&room)).await;
    let long = minted(world.token(&room).lifetime(HOUR)).await;
    world
        .publish(&room, Chat::said("hello"))
        .durable()
        .await
        .unwrap();
    world.clock.advance(Duration::from_secs(61));
    let text = answer(&world, &short, Cursor::START, &["}", "hello"]).await;
    assert!(
        text.starts_with("HTTP/1.1 401") && text.contains("bad_token"),
        "{text}"
    );
    answer(&world, &long, Cursor::START, &["hello"]).await;
}

#[tokio::test]
async fn a_token_without_history_opens_nothing_from_before() {
    let (world, room) = opened().await;
    world
        .publish(&room, Chat::said("secret"))
        .durable()
        .await
        .unwrap();
    let open = minted(world.token(&room)).await;
    let closed = minted(world.token(&room).without_history()).await;
    answer(&world, &open, Cursor::START, &["secret"]).await;
    let text = answer(&world, &closed, Cursor::START, &["}", "secret"]).await;
    assert!(
        text.starts_with("HTTP/1.1 403") && text.contains("forbidden"),
        "{text}"
    );
}

#[tokio::test]
async fn a_token_survives_a_restart() {
    let (mut world, room) = opened().await;
    let token = minted(world.token(&room)).await;
    world.restart().await;
    world
        .publish(&room, Chat::said("hello"))
        .durable()
        .await
        .unwrap();
    answer(&world, &token, Cursor::START, &["hello"]).await;
}

#[tokio::test]
async fn a_token_cannot_be_minted_for_what_is_not_there_or_for_too_long() {
    let (world, room) = opened().await;
    let error = world.token(&room).topics(["sung"]).await.unwrap_err();
    assert_eq!(error.code(), "bad_topic");
    let error = world.token(&room).lifetime(25 * HOUR).await.unwrap_err();
    assert_eq!(error.code(), "bad_request");
}

#[tokio::test]
async fn a_backup_is_a_database_of_its_own() {
    let mut world = World::of(|ctx, log| async move {
        ctx.step("tell")
            .publish(&Chat::at("room"), Chat::said("before"))
            .await?;
        log.say("waits");
        let go = ctx.step("go").wait_for_event::<Go>().since_run_start();
        Ok(go.await?.map(|go| go.n))
    })
    .await;
    let run = world.start().await;
    world.log.until("waits").await;
    world.backup(world.path("copy.db")).await.unwrap();
    world
        .publish(&Chat::at("room"), Chat::said("after"))
        .durable()
        .await
        .unwrap();
    let again = world.backup(world.path("copy.db")).await.unwrap_err();
    assert!(again.message().contains("copy.db"), "{again}");

    world.restart_on("copy.db").await;
    world.send(Go { n: 6 }).await.unwrap();
    assert_eq!(world.result::<Option<u64>>(run).await.unwrap(), Some(6));
    let messages = world.messages(&Chat::at("room")).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].data, Chat::said("before"));
}

#[tokio::test]
async fn a_shutdown_waits_for_steps_that_execute_and_keeps_their_results() {
    let mut world = World::of(|ctx, log| async move {
        let ran = ctx.step("long").run(|| async {
            log.say("began");
            log.until("end").await;
            Ok(log.count_up("ran"))
        });
        let ran = ran.await?;
        ctx.step("after")
            .run(|| async {
                log.say("after");
                Ok(())
            })
            .await?;
        Ok(ran)
    })
    .await;
    let run = world.start().await;
    world.log.until("began").await;
    let log = world.log.clone();
    // It is patient from the moment on at which it has asked every run to come to rest.
    let patience = async {
        log.say("end");
        std::future::pending().await
    };
    world.close(patience).await;
    assert_eq!(world.log.count("after"), 0, "no step begins any more");
    world.open().await;
    assert_eq!(world.result::<usize>(run).await.unwrap(), 1);
    assert_eq!(world.log.count("began"), 1);
    assert_eq!(world.log.count("after"), 1);
}

#[tokio::test]
async fn after_a_shutdown_everything_is_refused() {
    let mut world = World::of(|ctx, log| async move {
        log.say("waits");
        ctx.step("go").wait_for_event::<Go>().await.map(|_| ())
    })
    .await;
    let run = world.start().await;
    world.log.until("waits").await;
    let stepcast = Stepcast::clone(&world);
    let waiting = stepcast.run(run);
    let (end, ()) = tokio::join!(waiting.end(), world.shut_down());
    assert_eq!(end.unwrap_err().code(), "closing");
    let sent = stepcast.send(Start { n: 1 }).await;
    assert_eq!(sent.unwrap_err().code(), "closing");
    let published = stepcast
        .publish(&Chat::at("r"), Chat::said("hi"))
        .durable()
        .await;
    assert_eq!(published.unwrap_err().code(), "closing");
    world.open().await;
    assert_eq!(world.run(run).status().await.unwrap(), RunStatus::Running);
}

#[tokio::test]
async fn a_cancelled_run_is_dropped_at_its_next_await() {
    let world = World::of(|ctx, log| async move {
        ctx.step("kept")
            .publish(&Chat::at("room"), Chat::said("kept"))
            .await?;
        let forever = || async {
            let _dropped = SaysWhenDropped(&log);
            log.say("began");
            std::future::pending::<()>().await;
            Ok(())
        };
        ctx.step("forever").run(forever).await
    })
    .await;
    let run = world.start().await;
    world.log.until("began").await;
    world.run(run).cancel().await.unwrap();
    let view = within(world.run(run).end()).await.unwrap();
    assert_eq!(view.status, RunStatus::Cancelled);
    assert_eq!(
        world.result::<()>(run).await.unwrap_err().code(),
        "run_cancelled"
    );
    world.log.until("dropped").await;
    assert_eq!(world.messages(&Chat::at("room")).await.len(), 1);
}

//! Too little room on the disk: nothing is acknowledged, and all goes on when there is room again.

use stepcast::{Clock, Ctx, Options, RunStatus};

use crate::support::{Chat, HOUR, Log, Start, World, only, options, recorded, store};

const MIB: u64 = 1024 * 1024;
const LARGE: usize = 100_000;

fn large() -> Chat {
    Chat::said("x".repeat(LARGE))
}

fn small_file(clock: Clock) -> Options {
    options(clock).with_store(store().with_max_bytes(MIB))
}

fn full_disk(clock: Clock) -> Options {
    options(clock).with_store(store().with_min_free_bytes(u64::MAX))
}

#[tokio::test]
async fn a_full_file_refuses_publishers_and_holds_steps_until_there_is_room() {
    let body = |ctx: Ctx<Start>, log: Log| async move {
        let room = Chat::at("room");
        let fill = || async {
            loop {
                if let Err(error) = ctx.publish(&room, large()).await {
                    return Ok(error.code().to_owned());
                }
            }
        };
        let refused = ctx.step("fill").run(fill).await?;
        log.say(&refused);
        let result = ctx.step("large").run(|| async {
            log.say("large ran");
            Ok("y".repeat(2 * LARGE))
        });
        let bytes = result.await?.len();
        log.say("has large");
        ctx.step("tell").publish(&Chat::at("end"), large()).await?;
        Ok((refused, bytes))
    };
    let mut world = World::with(small_file, only(body)).await;
    let run = world.start().await;
    world.log.until("large ran").await;
    let refused = world.publish(&Chat::at("room"), large()).durable().await;
    assert_eq!(refused.unwrap_err().code(), "no_space");
    assert_eq!(world.run(run).status().await.unwrap(), RunStatus::Running);
    assert_eq!(world.log.lines(), ["no_space", "large ran"]);

    world.restart_with(options).await;
    let result: (String, usize) = world.result(run).await.unwrap();
    assert_eq!(result, ("no_space".to_owned(), 2 * LARGE));
    // The step was not acknowledged, so it ran again; the one before was.
    let lines = [
        "no_space",
        "large ran",
        "no_space",
        "large ran",
        "has large",
    ];
    assert_eq!(world.log.lines(), lines);
    assert_eq!(world.messages(&Chat::at("end")).await.len(), 1);
}

#[tokio::test]
async fn a_durable_message_that_finds_no_room_is_published_once_there_is() {
    let body = |ctx: Ctx<Start>, log: Log| async move {
        log.say("began");
        ctx.step("wait")
            .run(|| async {
                log.until("full").await;
                Ok(())
            })
            .await?;
        log.say("publishes");
        ctx.step("tell").publish(&Chat::at("end"), large()).await?;
        log.say("published");
        Ok(())
    };
    let mut world = World::with(small_file, only(body)).await;
    let run = world.start().await;
    world.log.until("began").await;
    let room = Chat::at("room");
    while world.publish(&room, large()).durable().await.is_ok() {}
    world.log.say("full");
    world.log.until("publishes").await;
    let refused = world.publish(&room, large()).durable().await;
    assert_eq!(refused.unwrap_err().code(), "no_space");
    assert_eq!(world.log.count("published"), 0);

    world.restart_with(options).await;
    world.result::<()>(run).await.unwrap();
    let end = world.messages(&Chat::at("end")).await;
    assert_eq!(end.len(), 1);
    assert_eq!(end[0].data, large());
}

#[tokio::test]
async fn a_nearly_full_disk_takes_no_new_work_and_lets_runs_end() {
    let body = |ctx: Ctx<Start>, log: Log| async move {
        recorded(&ctx, &log, ctx.step("sleep").sleep(HOUR)).await?;
        ctx.step("tell")
            .publish(&Chat::at("end"), Chat::said("done"))
            .await?;
        Ok(())
    };
    let mut world = World::with(options, only(body)).await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world.restart_with(full_disk).await;
    let refused = world
        .publish(&Chat::at("end"), Chat::said("hi"))
        .durable()
        .await;
    assert_eq!(refused.unwrap_err().code(), "no_space");
    let refused = world.send(Start { n: 1 }).await;
    assert_eq!(refused.unwrap_err().code(), "no_space");
    world.clock.advance(HOUR);
    world.result::<()>(run).await.unwrap();

    world.restart_with(options).await;
    let end = world.messages(&Chat::at("end")).await;
    assert_eq!(end.len(), 1);
    assert_eq!(end[0].data, Chat::said("done"));
    world.send(Start { n: 2 }).await.unwrap();
}

//! Times that come while nobody is there, or after.

use std::time::Duration;

use stepcast::{Ctx, Error};
use tokio::runtime::Runtime;

use crate::support::{Chat, Go, HOUR, Log, Start, World, recorded};

/// Sleeps for an hour and says that it woke up.
async fn sleeps(ctx: Ctx<Start>, log: Log) -> Result<(), Error> {
    recorded(&ctx, &log, ctx.step("sleep").sleep(HOUR)).await?;
    log.say("woke up");
    Ok(())
}

#[tokio::test]
async fn only_what_is_left_of_a_sleep_is_slept_after_a_restart() {
    let mut world = World::of(sleeps).await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world.clock.advance(HOUR / 2);
    world.restart().await;
    world.clock.advance(HOUR / 2 - Duration::from_millis(1));
    world.messages(&Chat::at("any")).await;
    assert_eq!(world.log.count("woke up"), 0);
    world.clock.advance(Duration::from_millis(1));
    world.result::<()>(run).await.unwrap();
}

#[tokio::test]
async fn a_sleep_whose_time_passed_while_the_process_was_down_ends_at_once() {
    let mut world = World::of(sleeps).await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world.shut_down().await;
    world.clock.advance(2 * HOUR);
    world.open().await;
    world.result::<()>(run).await.unwrap();
}

#[test]
fn a_sleep_survives_a_crash() {
    let first = Runtime::new().unwrap();
    let (mut world, run) = first.block_on(async {
        let world = World::of(sleeps).await;
        let run = world.start().await;
        world.log.until("recorded").await;
        (world, run)
    });
    world.crash(first);

    Runtime::new().unwrap().block_on(async {
        world.open().await;
        world.clock.advance(HOUR);
        world.result::<()>(run).await.unwrap();
        assert_eq!(world.log.count("woke up"), 1);
    });
}

#[tokio::test]
async fn the_timeout_of_a_wait_survives_a_restart() {
    let mut world = World::of(|ctx, log| async move {
        let wait = ctx.step("wait").timeout(HOUR).wait_for_event::<Go>();
        Ok(recorded(&ctx, &log, wait).await?.map(|go| go.n))
    })
    .await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world.restart().await;
    world.clock.advance(HOUR);
    assert_eq!(world.result::<Option<u64>>(run).await.unwrap(), None);
}

#[tokio::test]
async fn the_pause_of_a_body_survives_a_restart() {
    let mut world = World::of(|ctx, log| async move {
        if log.count_up("life") == 1 {
            return Err(Error::msg("no luck"));
        }
        Ok(ctx.attempt())
    })
    .await;
    let run = world.start().await;
    world.log.until("life").await;
    world.restart().await;
    world.clock.advance(HOUR);
    assert_eq!(world.result::<u32>(run).await.unwrap(), 2);
}

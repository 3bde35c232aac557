//! What has ended is not done again.

use stepcast::{Ctx, Error};
use tokio::runtime::Runtime;

use crate::support::{Go, Log, Start, World};

/// Counts how often its step runs, waits, and gives what the step recorded.
async fn counts(ctx: Ctx<Start>, log: Log) -> Result<usize, Error> {
    let count = ctx
        .step("count")
        .run(|| async { Ok(log.count_up("ran")) })
        .await?;
    for n in 1..=3 {
        log.say(format!("has its result, waits for {n}"));
        let go = ctx.step(format!("go-{n}")).wait_for_event::<Go>();
        go.matching("n", n).since_run_start().await?;
    }
    Ok(count)
}

#[tokio::test]
async fn steps_that_ended_are_not_run_again_after_a_shutdown() {
    let mut world = World::of(counts).await;
    let run = world.start().await;
    for n in 1..=3 {
        world
            .log
            .until(format!("has its result, waits for {n}"))
            .await;
        world.restart().await;
        // It was parked by the shutdown; the event brings it back.
        world.send(Go { n }).await.unwrap();
    }
    assert_eq!(world.result::<usize>(run).await.unwrap(), 1);
    assert_eq!(world.log.count("ran"), 1);
    assert_eq!(world.log.count("has its result, waits for 1"), 4);
}

#[test]
fn steps_that_ended_are_not_run_again_after_a_crash() {
    let first = Runtime::new().unwrap();
    let (mut world, run) = first.block_on(async {
        let world = World::of(counts).await;
        let run = world.start().await;
        world.log.until("has its result, waits for 1").await;
        (world, run)
    });
    world.crash(first);

    Runtime::new().unwrap().block_on(async {
        world.open().await;
        for n in 1..=3 {
            world.send(Go { n }).await.unwrap();
        }
        assert_eq!(world.result::<usize>(run).await.unwrap(), 1);
        assert_eq!(world.log.count("ran"), 1);
    });
}

#[test]
fn a_step_that_a_crash_cut_off_is_run_again() {
    let first = Runtime::new().unwrap();
    let (mut world, run) = first.block_on(async {
        let world = World::of(|ctx, log| async move {
            let cut_off = || async {
                let count = log.count_up("ran");
                if count == 1 {
                    std::future::pending::<()>().await;
                }
                Ok(count)
            };
            ctx.step("cut off").run(cut_off).await
        })
        .await;
        let run = world.start().await;
        world.log.until("ran").await;
        (world, run)
    });
    world.crash(first);

    Runtime::new().unwrap().block_on(async {
        world.open().await;
        assert_eq!(world.result::<usize>(run).await.unwrap(), 2);
    });
}

#[tokio::test]
async fn branches_polled_in_another_order_keep_their_results() {
    let mut world = World::of(|ctx, log| async move {
        let life = log.count_up("life");
        let left = ctx.step("left").run(|| async {
            log.until("right ran").await;
            Ok(format!("left {}", log.count_up("left ran")))
        });
        let right = ctx
            .step("right")
            .run(|| async { Ok(format!("right {}", log.count_up("right ran"))) });
        let (left, right) = if life == 1 {
            tokio::join!(left, right)
        } else {
            let (right, left) = tokio::join!(right, left);
            (left, right)
        };
        let both = (left?, right?);
        log.say("has both");
        ctx.step("go")
            .wait_for_event::<Go>()
            .since_run_start()
            .await?;
        Ok(both)
    })
    .await;
    let run = world.start().await;
    world.log.until("has both").await;
    world.restart().await;
    world.send(Go { n: 1 }).await.unwrap();
    let both: (String, String) = world.result(run).await.unwrap();
    assert_eq!(both, ("left 1".to_owned(), "right 1".to_owned()));
    assert_eq!(world.log.count("life"), 2);
}

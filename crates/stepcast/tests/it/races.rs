//! A race between steps ends on replay as it ended live, also when the loser has a result too.

use std::pin::pin;

use stepcast::{Ctx, Error, RunId};

use crate::support::{Chat, Go, Log, Start, World};

const RUNS: u64 = 16;

/// A racer of run `n`: `left` ends first in even runs, `right` in odd ones, the other right after it.
async fn racer(ctx: &Ctx<Start>, log: &Log, id: &str) -> Result<String, Error> {
    let n = ctx.event.n;
    let (winner, is_winner) = if n.is_multiple_of(2) {
        ("left", id == "left")
    } else {
        ("right", id == "right")
    };
    let run = || async {
        if !is_winner {
            log.until(format!("{winner} of {n} ran")).await;
        }
        log.say(format!("{id} of {n} ran"));
        Ok(id.to_owned())
    };
    ctx.step(id).run(run).await
}

async fn end(ctx: &Ctx<Start>, log: &Log, won: String) -> Result<String, Error> {
    log.say(format!("{won} won {}", ctx.event.n));
    ctx.step("go")
        .wait_for_event::<Go>()
        .since_run_start()
        .await?;
    Ok(won)
}

/// Runs the races, replays them, and holds each to how it ended live.
async fn check(mut world: World) {
    let mut runs: Vec<(u64, RunId)> = Vec::new();
    for n in 0..RUNS {
        runs.push((n, world.start_nth(n).await));
    }
    let winner = |n: u64| if n.is_multiple_of(2) { "left" } else { "right" };
    for (n, _) in &runs {
        world.log.until(format!("{} won {n}", winner(*n))).await;
    }
    // They are parked by the shutdown; the event brings them back, to be replayed.
    world.restart().await;
    world.send(Go { n: 1 }).await.unwrap();
    for (n, run) in runs {
        assert_eq!(world.result::<String>(run).await.unwrap(), winner(n));
        assert_eq!(world.log.count(&format!("{} won {n}", winner(n))), 2);
        for racer in ["left", "right"] {
            assert_eq!(world.log.count(&format!("{racer} of {n} ran")), 1);
        }
    }
}

#[tokio::test]
async fn a_race_whose_loser_is_dropped_ends_the_same_way_on_replay() {
    let race = |ctx: Ctx<Start>, log: Log| async move {
        let won = tokio::select! {
            left = racer(&ctx, &log, "left") => left?,
            right = racer(&ctx, &log, "right") => right?,
        };
        end(&ctx, &log, won).await
    };
    check(World::of(race).await).await;
}

#[tokio::test]
async fn a_race_whose_loser_is_awaited_ends_the_same_way_on_replay() {
    let race = |ctx: Ctx<Start>, log: Log| async move {
        let mut left = pin!(racer(&ctx, &log, "left"));
        let mut right = pin!(racer(&ctx, &log, "right"));
        let (won, lost) = tokio::select! {
            won = &mut left => (won?, right.await?),
            won = &mut right => (won?, left.await?),
        };
        assert_ne!(won, lost);
        end(&ctx, &log, won).await
    };
    check(World::of(race).await).await;
}

#[tokio::test]
async fn a_race_after_a_publish_ends_the_same_way_on_replay() {
    let race = |ctx: Ctx<Start>, log: Log| async move {
        ctx.step("before").run(|| async { Ok(()) }).await?;
        // The channel has to be read from the store, so the publish takes its time.
        let room = Chat::at(ctx.event.n);
        ctx.publish(&room, Chat::said("they are off")).await?;
        let won = tokio::select! {
            left = racer(&ctx, &log, "left") => left?,
            right = racer(&ctx, &log, "right") => right?,
        };
        end(&ctx, &log, won).await
    };
    check(World::of(race).await).await;
}

#[tokio::test]
async fn a_loser_without_a_result_is_not_begun_on_replay() {
    let mut world = World::of(|ctx, log| async move {
        let slow = ctx.step("slow").run(|| async {
            log.say("slow began");
            std::future::pending::<Result<String, Error>>().await
        });
        let fast = ctx.step("fast").run(|| async {
            log.until("slow began").await;
            Ok("fast".to_owned())
        });
        let won = tokio::select! { slow = slow => slow?, fast = fast => fast? };
        end(&ctx, &log, won).await
    })
    .await;
    let run = world.start().await;
    world.log.until("fast won 0").await;
    world.restart().await;
    world.send(Go { n: 1 }).await.unwrap();
    assert_eq!(world.result::<String>(run).await.unwrap(), "fast");
    assert_eq!(world.log.count("slow began"), 1);
    assert_eq!(world.log.count("fast won 0"), 2);
}

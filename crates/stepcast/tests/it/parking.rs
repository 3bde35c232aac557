//! Runs that only wait leave memory, and come back.

use std::time::Duration;

use stepcast::{App, Clock, Ctx, EngineOptions, Options, Retry};

use crate::support::{Chat, Go, HOUR, Log, SECOND, Start, World, only, options, recorded, serve};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_run_that_sleeps_long_leaves_memory_after_a_minute_and_comes_back() {
    let world = World::of(|ctx, log| async move {
        recorded(&ctx, &log, ctx.step("sleep").sleep(24 * HOUR)).await?;
        Ok(log.count("recorded"))
    })
    .await;
    let run = world.start().await;
    world.log.until("recorded").await;
    // For a moment a second place may be on its way to the run, which gives it back.
    world
        .advance_until(Duration::ZERO, || world.engine().running() == 1)
        .await;
    let began = world.clock.now();
    world
        .advance_until(SECOND, || world.engine().running() == 0)
        .await;
    assert!(world.clock.now().since(began) >= MINUTE);
    assert_eq!(world.log.count("recorded"), 1);
    world.clock.advance(24 * HOUR);
    assert_eq!(
        world.result::<usize>(run).await.unwrap(),
        2,
        "it was replayed"
    );
}

#[tokio::test]
async fn a_run_that_waits_for_an_event_leaves_memory_and_comes_back() {
    let world = World::of(|ctx, log| async move {
        let wait = ctx.step("wait").wait_for_event::<Go>();
        let go = recorded(&ctx, &log, wait).await?;
        Ok((go.map(|go| go.n), log.count("recorded")))
    })
    .await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world
        .advance_until(SECOND, || world.engine().running() == 0)
        .await;
    world.send(Go { n: 4 }).await.unwrap();
    let result: (Option<u64>, usize) = world.result(run).await.unwrap();
    assert_eq!(result, (Some(4), 2));
}

#[tokio::test]
async fn a_run_that_pauses_long_before_a_retry_leaves_memory_and_comes_back() {
    let world = World::of(|ctx, log| async move {
        let retry = Retry::times(1).with_base(HOUR).with_cap(HOUR);
        let step = ctx.step("paused").retry(retry);
        step.run(|| async {
            match log.count_up("tried") {
                1 => Err(stepcast::Error::msg("no luck")),
                tries => Ok(tries),
            }
        })
        .await
    })
    .await;
    let run = world.start().await;
    world.log.until("tried").await;
    world
        .advance_until(SECOND, || world.engine().running() == 0)
        .await;
    world.clock.advance(HOUR);
    assert_eq!(world.result::<usize>(run).await.unwrap(), 2);
}

#[tokio::test]
async fn a_run_stays_in_memory_while_a_step_executes_beside_its_wait() {
    let world = World::of(|ctx, log| async move {
        let executes = ctx.step("executes").run(|| async {
            log.until("end").await;
            Ok(())
        });
        let sleep = recorded(&ctx, &log, ctx.step("sleep").sleep(24 * HOUR));
        let (executed, slept) = tokio::join!(executes, sleep);
        executed?;
        slept?;
        Ok(log.count("recorded"))
    })
    .await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world
        .advance_until(Duration::ZERO, || world.engine().running() == 1)
        .await;
    for _ in 0..10 {
        world.clock.advance(MINUTE);
        world.messages(&Chat::at("any")).await;
        assert_eq!(world.engine().running(), 1);
    }
    world.log.say("end");
    world
        .advance_until(SECOND, || world.engine().running() == 0)
        .await;
    world.clock.advance(24 * HOUR);
    assert_eq!(world.result::<usize>(run).await.unwrap(), 2);
}

#[tokio::test]
async fn more_runs_than_fit_into_memory_take_turns() {
    const ROOM: usize = 2;
    const RUNS: u64 = 8;
    let tight = |clock| {
        let engine = EngineOptions::default().with_clock(clock);
        Options::with_engine(options(Clock::system()), engine.with_runs_in_memory(ROOM))
    };
    let waits = |ctx: Ctx<Start>, log: Log| async move {
        log.say(format!("waits {}", ctx.event.n));
        let go = ctx.step("go").wait_for_event::<Go>().since_run_start();
        Ok(go.await?.map(|go| go.n))
    };
    let world = World::with(tight, only(waits)).await;
    let mut runs = Vec::new();
    for n in 0..RUNS {
        runs.push(world.start_nth(n).await);
    }
    let all_wait = || {
        assert!(world.engine().running() <= ROOM);
        (0..RUNS).all(|n| world.log.count(&format!("waits {n}")) > 0)
    };
    world.advance_until(SECOND, all_wait).await;
    world.send(Go { n: 1 }).await.unwrap();
    for run in runs {
        assert_eq!(world.result::<Option<u64>>(run).await.unwrap(), Some(1));
    }
}

#[tokio::test]
async fn more_runs_than_a_function_may_execute_at_once_take_turns() {
    let world = World::with(options, |log| {
        let body = |ctx: Ctx<Start>, log: Log| async move {
            let busy = ctx.step("busy").run(|| async {
                let turn = log.count_up("busy");
                log.until(format!("end {turn}")).await;
                log.say("done");
                Ok(turn)
            });
            busy.await
        };
        App::new("it").function(serve("main", log, body).concurrency(1))
    })
    .await;
    let runs = [world.start().await, world.start().await];
    for turn in 1..=2 {
        world.log.until_times(turn, "busy").await;
        assert_eq!(world.engine().running(), 1);
        world.log.say(format!("end {turn}"));
    }
    for run in runs {
        world.result::<usize>(run).await.unwrap();
    }
    let lines = ["busy", "end 1", "done", "busy", "end 2", "done"];
    assert_eq!(world.log.lines(), lines);
}

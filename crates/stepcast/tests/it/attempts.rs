//! Attempts that fail, and what comes after them.

use std::{pin::pin, time::Duration};

use stepcast::{App, Ctx, Error, ResultExt, Retry};

use crate::support::{Chat, HOUR, Log, SECOND, SaysWhenDropped, Start, World, options, serve};

/// Fails; the line it says first tells which attempt it was.
fn fail(log: &Log) -> Result<(), Error> {
    log.say(format!("attempt {}", log.count_up("failing")));
    Err(Error::msg("no luck"))
}

/// A step that begins in attempt `n` of another and ends after the failure of that attempt is on record.
async fn mark(ctx: &Ctx<Start>, log: &Log, n: u32) -> Result<(), Error> {
    let began = || async {
        log.until(format!("attempt {n}")).await;
        Ok(())
    };
    ctx.step(format!("mark-{n}")).run(began).await?;
    log.say(format!("failure {n} is recorded"));
    Ok(())
}

#[tokio::test]
async fn a_failed_step_is_tried_four_times_more_after_pauses_that_double() {
    let world = World::of(|ctx, log| async move {
        let marks = async {
            for n in 1..=4 {
                mark(&ctx, &log, n).await?;
            }
            Ok::<_, Error>(())
        };
        let failing = ctx.step("failing").run(|| async { fail(&log) });
        let (failed, marks) = tokio::join!(failing, marks);
        marks?;
        failed
    })
    .await;
    let run = world.start().await;
    for n in 1..=4 {
        world.log.until(format!("failure {n} is recorded")).await;
        let longest = SECOND * (1 << (n - 1));
        world.clock.advance(longest / 2 - Duration::from_millis(1));
        world.messages(&Chat::at("any")).await;
        assert_eq!(world.log.count("failing"), n, "the pause is at least half");
        world.clock.advance(longest / 2 + Duration::from_millis(1));
    }
    let (code, message) = world.failure(run).await;
    assert_eq!((&*code, &*message), ("function_failed", "no luck"));
    assert_eq!(world.log.count("failing"), 5);
}

#[tokio::test]
async fn what_runs_beside_a_step_that_pauses_goes_on() {
    let world = World::of(|ctx, log| async move {
        let paused = ctx
            .step("paused")
            .retry(Retry::times(1).with_base(HOUR).with_cap(HOUR))
            .run(|| async {
                match log.count_up("tried") {
                    1 => Err(Error::msg("no luck")),
                    tries => Ok(tries),
                }
            });
        let beside = async {
            for n in 0..3 {
                let step = ctx.step(format!("beside-{n}"));
                step.run(|| async { Ok(()) }).await?;
            }
            log.say("beside is done");
            Ok::<_, Error>(())
        };
        let (paused, beside) = tokio::join!(paused, beside);
        beside?;
        paused
    })
    .await;
    let run = world.start().await;
    world.log.until("beside is done").await;
    assert_eq!(world.log.count("tried"), 1);
    world.clock.advance(HOUR);
    assert_eq!(world.result::<usize>(run).await.unwrap(), 2);
}

#[tokio::test]
async fn attempts_are_counted_across_restarts() {
    let mut world = World::of(|ctx, log| async move {
        let retry = Retry::times(2).with_base(HOUR).with_cap(HOUR);
        let failing = ctx.step("failing").retry(retry);
        let failing = failing.run(|| async { fail(&log) });
        tokio::join!(failing, mark(&ctx, &log, 1)).0
    })
    .await;
    let run = world.start().await;
    world.log.until("failure 1 is recorded").await;
    for attempt in 2..=3 {
        world.restart().await;
        world.clock.advance(HOUR);
        world.log.until(format!("attempt {attempt}")).await;
    }
    assert_eq!(world.failure(run).await.1, "no luck");
    assert_eq!(world.log.count("failing"), 3);
}

#[tokio::test]
async fn a_terminal_error_is_not_tried_again() {
    let world = World::of(|ctx, log| async move {
        let step = ctx.step("terminal");
        step.run(|| async { fail(&log).terminal() }).await
    })
    .await;
    let run = world.start().await;
    assert_eq!(world.failure(run).await.1, "no luck");
    assert_eq!(world.log.count("failing"), 1);
}

#[tokio::test]
async fn a_function_may_go_on_after_a_step_that_failed_for_good() {
    let mut world = World::of(|ctx, log| async move {
        let step = ctx.step("hopeless").retry(Retry::never());
        let failed = step.run(|| async { fail(&log) }).await.unwrap_err();
        log.say("goes on");
        ctx.step("long").sleep(HOUR).await?;
        Ok(failed.message().to_owned())
    })
    .await;
    let run = world.start().await;
    world.log.until("goes on").await;
    world.restart().await;
    world
        .advance_until(HOUR, || world.log.count("goes on") == 2)
        .await;
    assert_eq!(world.result::<String>(run).await.unwrap(), "no luck");
    assert_eq!(world.log.count("failing"), 1);
}

#[tokio::test]
async fn an_attempt_that_takes_longer_than_its_timeout_is_dropped_and_fails() {
    let world = World::of(|ctx, log| async move {
        let step = ctx.step("slow").retry(Retry::never());
        step.timeout(Duration::from_millis(10))
            .run(|| async {
                let _dropped = SaysWhenDropped(&log);
                std::future::pending::<Result<(), Error>>().await
            })
            .await
    })
    .await;
    let run = world.start().await;
    let (code, message) = world.failure(run).await;
    assert_eq!(code, "timed_out");
    assert_eq!(
        message,
        "attempt 1 of step `slow` took longer than its timeout of 10ms"
    );
    assert_eq!(world.log.lines(), ["dropped"]);
}

#[tokio::test]
async fn a_panic_in_a_step_is_a_failed_attempt() {
    let world = World::of(|ctx, log| async move {
        let step = ctx.step("panics");
        step.run(|| async {
            assert!(log.count_up("tried") > 1, "the first attempt is bad luck");
            Ok(log.count("tried"))
        })
        .await
    })
    .await;
    let run = world.start().await;
    world.log.until("tried").await;
    world
        .advance_until(SECOND, || world.log.count("tried") == 2)
        .await;
    assert_eq!(world.result::<usize>(run).await.unwrap(), 2);
}

#[tokio::test]
async fn the_last_panic_of_a_step_is_its_error() {
    let world = World::of(|ctx, _| async move {
        let step = ctx.step("panics").retry(Retry::never());
        step.run::<(), _, _>(|| async { panic!("out of luck") })
            .await
    })
    .await;
    let run = world.start().await;
    let (code, message) = world.failure(run).await;
    assert_eq!(code, "panicked");
    assert_eq!(message, "step `panics` panicked: out of luck");
}

#[tokio::test]
async fn a_panic_in_the_body_is_a_failed_attempt_of_the_run() {
    let world = World::of(|ctx, log| async move {
        let ran = ctx.step("once").run(|| async { Ok(log.count_up("ran")) });
        let ran = ran.await?;
        assert!(log.count_up("life") > 1, "the first life is bad luck");
        Ok((ran, ctx.attempt()))
    })
    .await;
    let run = world.start().await;
    world.log.until("life").await;
    world
        .advance_until(SECOND, || world.log.count("life") == 2)
        .await;
    assert_eq!(world.result::<(usize, u32)>(run).await.unwrap(), (1, 2));
}

#[tokio::test]
async fn a_body_that_fails_without_retries_fails_the_run() {
    let world = World::with(options, |log| {
        let body = |_: Ctx<Start>, log: Log| async move { fail(&log) };
        App::new("it").function(serve("main", log, body).retries(0))
    })
    .await;
    let run = world.start().await;
    assert_eq!(world.failure(run).await.1, "no luck");
    assert_eq!(world.log.count("failing"), 1);
}

#[tokio::test]
async fn dropping_a_step_abandons_its_attempt_and_frees_its_id() {
    let world = World::of(|ctx, log| async move {
        let room = Chat::at("drop");
        {
            let mut step = pin!(ctx.step("again").run(|| async {
                let _dropped = SaysWhenDropped(&log);
                std::future::pending::<Result<(), Error>>().await
            }));
            tokio::select! {
                biased;
                _ = &mut step => unreachable!("it never ends"),
                () = std::future::ready(()) => {}
            }
        }
        let publish = || async {
            ctx.publish(&room, Chat::said("second attempt")).await?;
            Ok(7)
        };
        ctx.step("again").run(publish).await
    })
    .await;
    let run = world.start().await;
    assert_eq!(world.result::<u32>(run).await.unwrap(), 7);
    assert_eq!(world.log.lines(), ["dropped"]);
    let messages = world.messages(&Chat::at("drop")).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].attempt, Some(2), "the first number is burnt");
}

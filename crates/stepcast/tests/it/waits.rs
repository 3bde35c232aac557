//! Steps that wait: for a time, for an event, for another function.

use std::{future::IntoFuture, time::Duration};

use serde::{Deserialize, Serialize};
use stepcast::{App, Ctx, Error, Event, Timestamp};

use crate::support::{Chat, Go, HOUR, Log, Start, World, options, recorded, serve};

/// What the function `child` is given.
#[derive(Event, Serialize, Deserialize)]
#[event("it/child")]
struct Child {
    n: u64,
}

#[derive(Event, Serialize, Deserialize)]
#[event("it/paid")]
struct Paid {
    order: Order,
}

#[derive(Serialize, Deserialize)]
struct Order {
    id: u64,
}

#[tokio::test]
async fn a_sleep_takes_its_time_and_no_more() {
    let world = World::of(|ctx, log| async move {
        recorded(&ctx, &log, ctx.step("sleep").sleep(HOUR)).await?;
        log.say("woke up");
        Ok(())
    })
    .await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world.clock.advance(HOUR - Duration::from_millis(1));
    world.messages(&Chat::at("any")).await;
    assert_eq!(world.log.count("woke up"), 0);
    world.clock.advance(Duration::from_millis(1));
    world.result::<()>(run).await.unwrap();
}

#[tokio::test]
async fn a_sleep_until_a_time_ends_then_and_at_once_when_it_has_passed() {
    let world = World::of(|ctx, log| async move {
        let past = ctx.step("past").sleep_until(Timestamp::from_millis(0));
        past.await?;
        let until = Timestamp::from_millis(1_800_000_000_000) + HOUR;
        recorded(&ctx, &log, ctx.step("future").sleep_until(until)).await
    })
    .await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world.clock.advance(HOUR);
    world.result::<()>(run).await.unwrap();
}

#[tokio::test]
async fn a_wait_sees_events_that_are_accepted_after_it_began() {
    let world = World::of(|ctx, log| async move {
        let early = || async {
            log.say("began");
            log.until("the first was sent").await;
            Ok(())
        };
        ctx.step("early").run(early).await?;
        let wait = ctx.step("wait").wait_for_event::<Go>();
        let go = recorded(&ctx, &log, wait).await?;
        Ok(go.map(|go| go.n))
    })
    .await;
    let run = world.start().await;
    world.log.until("began").await;
    world.send(Go { n: 1 }).await.unwrap();
    world.log.say("the first was sent");
    world.log.until("recorded").await;
    world.send(Go { n: 2 }).await.unwrap();
    assert_eq!(world.result::<Option<u64>>(run).await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_wait_since_the_start_of_the_run_sees_earlier_events_but_not_older_ones() {
    let world = World::of(|ctx, log| async move {
        let early = || async {
            log.say("began");
            log.until("sent").await;
            Ok(())
        };
        ctx.step("early").run(early).await?;
        let wait = ctx.step("wait").wait_for_event::<Go>().since_run_start();
        Ok(wait.await?.map(|go| go.n))
    })
    .await;
    world.send(Go { n: 1 }).await.unwrap();
    let run = world.start().await;
    world.log.until("began").await;
    world.send(Go { n: 2 }).await.unwrap();
    world.log.say("sent");
    assert_eq!(world.result::<Option<u64>>(run).await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_wait_takes_the_event_that_matches() {
    let world = World::of(|ctx, log| async move {
        let wait = ctx.step("wait").wait_for_event::<Paid>();
        let wait = wait.matching("order.id", 2);
        let paid = recorded(&ctx, &log, wait).await?;
        Ok(paid.map(|paid| paid.order.id))
    })
    .await;
    let run = world.start().await;
    world.log.until("recorded").await;
    for id in [1, 3, 2] {
        let order = Order { id };
        world.send(Paid { order }).await.unwrap();
    }
    assert_eq!(world.result::<Option<u64>>(run).await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_wait_with_a_timeout_ends_without_an_event() {
    let world = World::of(|ctx, log| async move {
        let wait = ctx.step("wait").timeout(HOUR).wait_for_event::<Go>();
        Ok(recorded(&ctx, &log, wait).await?.map(|go| go.n))
    })
    .await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world.clock.advance(HOUR);
    assert_eq!(world.result::<Option<u64>>(run).await.unwrap(), None);
}

#[tokio::test]
async fn a_wait_for_an_event_survives_restarts() {
    let mut world = World::of(|ctx, log| async move {
        let wait = ctx.step("wait").wait_for_event::<Go>();
        Ok(recorded(&ctx, &log, wait).await?.map(|go| go.n))
    })
    .await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world.restart().await;
    world.send(Go { n: 5 }).await.unwrap();
    world.restart().await;
    assert_eq!(world.result::<Option<u64>>(run).await.unwrap(), Some(5));
}

#[tokio::test]
async fn one_event_ends_the_waits_of_all_runs() {
    let world = World::of(|ctx, log| async move {
        let wait = ctx.step("wait").wait_for_event::<Go>();
        Ok(recorded(&ctx, &log, wait).await?.map(|go| go.n))
    })
    .await;
    let runs = [world.start().await, world.start().await];
    world.log.until_times(2, "recorded").await;
    world.send(Go { n: 9 }).await.unwrap();
    for run in runs {
        assert_eq!(world.result::<Option<u64>>(run).await.unwrap(), Some(9));
    }
}

#[tokio::test]
async fn a_dropped_wait_stays_recorded_and_its_id_attaches_to_it() {
    let world = World::of(|ctx, log| async move {
        let wait = recorded(&ctx, &log, ctx.step("wait").wait_for_event::<Go>());
        let other = ctx.step("other").run(|| async {
            log.until("drop it").await;
            Ok(())
        });
        tokio::select! {
            biased;
            other = other => other?,
            _ = wait => unreachable!("its event is sent later"),
        }
        log.say("dropped");
        let again = ctx.step("wait").wait_for_event::<Go>();
        Ok(again.await?.map(|go| go.n))
    })
    .await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world.log.say("drop it");
    world.log.until("dropped").await;
    world.send(Go { n: 3 }).await.unwrap();
    assert_eq!(world.result::<Option<u64>>(run).await.unwrap(), Some(3));
}

/// The function `main` invokes `child`.
async fn family<P, C, PF, CF>(parent: P, child: C) -> World
where
    P: Fn(Ctx<Start>, Log) -> PF + Copy + Send + Sync + 'static,
    C: Fn(Ctx<Child>, Log) -> CF + Copy + Send + Sync + 'static,
    PF: Future<Output = Result<u64, Error>> + Send + 'static,
    CF: Future<Output = Result<u64, Error>> + Send + 'static,
{
    World::with(options, move |log| {
        App::new("it")
            .function(serve("main", log, parent))
            .function(serve("child", log, child).retries(0))
    })
    .await
}

async fn invokes(ctx: Ctx<Start>, log: Log) -> Result<u64, Error> {
    let invoke = ctx.step("invoke").timeout(HOUR);
    recorded(&ctx, &log, invoke.invoke("child", Child { n: 20 })).await
}

#[tokio::test]
async fn an_invoked_function_gives_its_result_once() {
    let mut world = family(invokes, |ctx, log| async move {
        log.say("child ran");
        let go = ctx.step("go").wait_for_event::<Go>().since_run_start();
        let go = go.into_future().await?.map_or(0, |go| go.n);
        Ok(ctx.event.n + go)
    })
    .await;
    let run = world.start().await;
    world.log.until("child ran").await;
    world.restart().await;
    world.send(Go { n: 1 }).await.unwrap();
    assert_eq!(world.result::<u64>(run).await.unwrap(), 21);
    let runs = world.engine().runs(None, 10).await.unwrap();
    assert_eq!(runs.len(), 2, "the child was created once");
}

#[tokio::test]
async fn the_error_of_an_invoked_function_ends_the_step() {
    let world = family(invokes, |_, _| async { Err(Error::msg("child fell")) }).await;
    let run = world.start().await;
    let (code, message) = world.failure(run).await;
    assert_eq!((&*code, &*message), ("function_failed", "child fell"));
}

#[tokio::test]
async fn an_invoked_function_that_takes_too_long_ends_the_step() {
    let world = family(invokes, |ctx, log| async move {
        log.say("child ran");
        ctx.step("long").sleep(HOUR * 9).await?;
        Ok(0)
    })
    .await;
    let run = world.start().await;
    world.log.until("recorded").await;
    world.clock.advance(HOUR);
    let (code, message) = world.failure(run).await;
    assert_eq!(code, "timed_out");
    assert_eq!(
        message,
        "the invoked run did not end before the step's timeout"
    );
}

#[tokio::test]
async fn an_unknown_function_cannot_be_invoked() {
    let world = World::of(|ctx, _| async move {
        let step = ctx.step("invoke");
        step.invoke::<u64>("nobody", Child { n: 1 }).await
    })
    .await;
    let run = world.start().await;
    let (code, message) = world.failure(run).await;
    assert_eq!(code, "unknown_function");
    assert_eq!(message, "this program has no function `nobody`");
}

#[tokio::test]
async fn a_step_sends_its_event_once() {
    let mut world = family(
        |ctx, log| async move {
            let event = ctx.step("send").send_event(Child { n: 7 }).await?;
            log.say(format!("sent {event}"));
            let go = ctx.step("go").wait_for_event::<Go>().since_run_start();
            go.await?;
            Ok(0)
        },
        |ctx, log| async move {
            log.say(format!("child got {}", ctx.event.n));
            Ok(0)
        },
    )
    .await;
    let run = world.start().await;
    world.log.until("child got 7").await;
    world.restart().await;
    world.send(Go { n: 1 }).await.unwrap();
    world.result::<u64>(run).await.unwrap();
    assert_eq!(world.log.count("child got 7"), 1);
    let sent: Vec<_> = world
        .log
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("sent"))
        .collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1], "the recorded id comes back");
    let runs = world.engine().runs(None, 10).await.unwrap();
    let child = runs
        .iter()
        .find(|run| run.function_id.as_str() == "child")
        .unwrap();
    assert_eq!(sent[0], format!("sent {}", child.event_id));
}

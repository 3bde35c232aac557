//! Mistakes of a function: each ends the run with an error that says what to do.

use stepcast::{Ctx, Error};
use stepcast_protocol::limits;

use crate::support::{Chat, Go, Log, Start, World};

async fn check<F, Fut>(body: F, code: &str, message: &str)
where
    F: Fn(Ctx<Start>, Log) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    let world = World::of(body).await;
    let run = world.start().await;
    let failure = world.failure(run).await;
    assert_eq!((&*failure.0, &*failure.1), (code, message));
}

#[tokio::test]
async fn a_step_inside_a_step() {
    check(
        |ctx, _| async move {
            let inner = || async { ctx.step("inner").run(|| async { Ok(()) }).await };
            ctx.step("outer").run(inner).await
        },
        "step_nested",
        "step `inner` was used inside step `outer`; use it after that step, or make it plain code",
    )
    .await;
}

#[tokio::test]
async fn a_step_id_used_again_after_it_ended() {
    check(
        |ctx, _| async move {
            ctx.step("twice").run(|| async { Ok(()) }).await?;
            ctx.step("twice").run(|| async { Ok(()) }).await
        },
        "step_reused",
        "step `twice` is used twice in one execution; give each use an id of its own, e.g. `format!(\"twice-{i}\")`",
    )
    .await;
}

#[tokio::test]
async fn a_step_id_used_again_while_it_executes() {
    check(
        |ctx, _| async move {
            let pending = ctx.step("twice").run(|| async {
                std::future::pending::<()>().await;
                Ok(())
            });
            let again = ctx.step("twice").run(|| async { Ok(()) });
            tokio::try_join!(pending, again).map(|_| ())
        },
        "step_reused",
        "step `twice` is used twice in one execution; give each use an id of its own, e.g. `format!(\"twice-{i}\")`",
    )
    .await;
}

#[tokio::test]
async fn a_step_result_that_is_too_large() {
    check(
        |ctx, _| async move {
            let large = || async { Ok("x".repeat(limits::MEMO_BYTES)) };
            ctx.step("large").run(large).await.map(|_| ())
        },
        "too_large",
        "the result of step `large` has 4194306 bytes, one step may have 4194304; keep large values elsewhere and return a reference",
    )
    .await;
}

#[tokio::test]
async fn results_that_are_too_large_together() {
    check(
        |ctx, _| async move {
            for n in 0..=8 {
                let large = || async { Ok("x".repeat(limits::MEMO_BYTES - 2)) };
                ctx.step(format!("large-{n}")).run(large).await?;
            }
            Ok(())
        },
        "too_large",
        "the result of step `large-8` has 4194304 bytes, all steps of a run together may have 33554432; keep large values elsewhere and return a reference",
    )
    .await;
}

#[tokio::test]
async fn a_function_result_that_is_too_large() {
    let world = World::of(|_, _| async { Ok("x".repeat(limits::MEMO_BYTES)) }).await;
    let run = world.start().await;
    assert_eq!(world.failure(run).await.0, "too_large");
}

#[tokio::test]
async fn too_many_steps() {
    check(
        |ctx, _| async move {
            for n in 0..=limits::STEPS_PER_RUN {
                ctx.step(format!("step-{n}"))
                    .run(|| async { Ok(()) })
                    .await?;
            }
            Ok(())
        },
        "too_many_steps",
        "step `step-1000` would be one more than the 1000 steps a run may have",
    )
    .await;
}

#[tokio::test]
async fn a_step_id_that_is_no_name() {
    let world =
        World::of(|ctx, _| async move { ctx.step("").run(|| async { Ok(()) }).await }).await;
    let run = world.start().await;
    assert_eq!(world.failure(run).await.0, "bad_request");
}

/// A run that is at rest after `first`, and goes on as `second` in the next life.
async fn check_changed<A, FA, B, FB>(first: A, second: B, message: &str)
where
    A: Fn(Ctx<Start>, Log) -> FA + Clone + Send + Sync + 'static,
    FA: Future<Output = Result<(), Error>> + Send + 'static,
    B: Fn(Ctx<Start>, Log) -> FB + Clone + Send + Sync + 'static,
    FB: Future<Output = Result<(), Error>> + Send + 'static,
{
    let mut world = World::of(first).await;
    let run = world.start().await;
    world.log.until("ended").await;
    world.restart_as(second).await;
    world.send(Go { n: 1 }).await.unwrap();
    let failure = world.failure(run).await;
    assert_eq!((&*failure.0, &*failure.1), ("step_changed", message));
}

/// Says that the step has ended, and waits for the next life.
async fn rest(ctx: Ctx<Start>, log: Log) -> Result<(), Error> {
    log.say("ended");
    let go = ctx.step("go").wait_for_event::<Go>().since_run_start();
    go.await.map(|_| ())
}

#[tokio::test]
async fn a_step_that_came_back_with_another_verb() {
    check_changed(
        |ctx, log| async move {
            ctx.step("charge").run(|| async { Ok(()) }).await?;
            rest(ctx, log).await
        },
        |ctx, _| async move { ctx.step("charge").send_event(Go { n: 9 }).await.map(|_| ()) },
        "step `charge` is recorded as `run` and came back as `send_event` of `it/go`; give the new step another id",
    )
    .await;
}

#[tokio::test]
async fn a_step_that_came_back_with_another_channel() {
    check_changed(
        |ctx, log| async move {
            let room = Chat::at("old");
            ctx.step("tell").publish(&room, Chat::said("hi")).await?;
            rest(ctx, log).await
        },
        |ctx, _| async move { ctx.step("tell").publish(&Chat::at("new"), Chat::said("hi")).await },
        "step `tell` is recorded as `publish` of `chat:old said` and came back as `publish` of `chat:new said`; give the new step another id",
    )
    .await;
}

#[tokio::test]
async fn a_result_that_came_back_as_another_type() {
    let mut world = World::of(|ctx, log| async move {
        ctx.step("typed")
            .run(|| async { Ok("text".to_owned()) })
            .await?;
        rest(ctx, log).await
    })
    .await;
    let run = world.start().await;
    world.log.until("ended").await;
    world
        .restart_as(|ctx, _| async move { ctx.step("typed").run(|| async { Ok(7_u32) }).await })
        .await;
    world.send(Go { n: 1 }).await.unwrap();
    let (code, message) = world.failure(run).await;
    assert_eq!(code, "bad_result");
    assert!(
        message.starts_with("the recorded result of step `typed` is not a `u32`"),
        "{message}"
    );
}

//! Where a run and its steps are, for those who watch.

use stepcast::prelude::*;
use stepcast::{Progress, RunNews, RunUpdate, StepNews, WatchRun};

use crate::support::{Go, SECOND, World, only, options, serve, within};

async fn next(watch: &mut WatchRun) -> Option<RunUpdate> {
    within(watch.try_next()).await.unwrap()
}

/// The next of what is told of the run itself.
async fn next_run(watch: &mut WatchRun) -> Box<RunNews> {
    loop {
        match next(watch).await.expect("the run goes on") {
            RunUpdate::Run(news) => return news,
            RunUpdate::Step(_) => {}
        }
    }
}

async fn next_step(watch: &mut WatchRun) -> Box<StepNews> {
    loop {
        match next(watch).await.expect("the run goes on") {
            RunUpdate::Step(news) => return news,
            RunUpdate::Run(_) => {}
        }
    }
}

#[tokio::test]
async fn a_watcher_is_told_every_turn_and_the_end() {
    let world = World::of(|ctx, log| async move {
        ctx.step("go").wait_for_event::<Go>().await?;
        ctx.step("work")
            .run(|| async {
                match log.count_up("tried") {
                    1 => Err(Error::msg("no luck")),
                    n => Ok(n),
                }
            })
            .await
    })
    .await;
    let run = world.start().await;
    let mut watch = world.run(run).watch();
    let (mut turns, mut work, mut went) = (Vec::new(), Vec::new(), false);
    while let Some(update) = next(&mut watch).await {
        let step = match update {
            RunUpdate::Run(news) => {
                let result = news.result.as_ref().map(|result| result.get());
                assert_eq!(result, news.ended_at.as_ref().map(|_| "2"));
                turns.push((news.status, news.ended_at.is_some()));
                continue;
            }
            RunUpdate::Step(step) => step,
        };
        if step.step_id.as_str() == "work" {
            if step.status == Progress::Retrying {
                assert_eq!(step.error.as_ref().unwrap().message, "no luck");
                assert!(step.next_at.is_some());
                world.clock.advance(10 * SECOND);
            }
            work.push((step.status, step.attempt));
        } else if step.status == Progress::Waiting && !went {
            // Only what comes after the wait is recorded ends it.
            world.send(Go { n: 1 }).await.unwrap();
        }
        went |= step.step_id.as_str() == "go" && step.status == Progress::Waiting;
    }
    assert_eq!(
        work,
        [
            (Progress::Running, 1),
            (Progress::Retrying, 1),
            (Progress::Running, 2),
            (Progress::Completed, 2),
        ]
    );
    // Where the run waited for its turn first, the watcher may have been told so.
    turns.retain(|(status, _)| *status != Progress::Queued);
    turns.dedup();
    let expected = [(Progress::Running, false), (Progress::Completed, true)];
    assert_eq!(turns, expected);
}

#[tokio::test]
async fn one_who_comes_late_is_told_how_it_ended() {
    let body = |ctx: Ctx<crate::support::Start>, _| async move {
        ctx.step("count").run(|| async { Ok(7) }).await
    };
    let world = World::with(options, move |log| {
        App::new("it").function(serve("main", log, body))
    })
    .await;
    let run = world.start().await;
    world.result::<u32>(run).await.unwrap();
    let mut watch = world.run(run).watch();
    let step = next_step(&mut watch).await;
    assert_eq!(
        (step.step_id.as_str(), step.status),
        ("count", Progress::Completed)
    );
    assert_eq!(step.duration_ms, Some(0), "the test's clock stands still");
    let news = next_run(&mut watch).await;
    assert_eq!(news.result.as_ref().unwrap().get(), "7");
    assert!(next(&mut watch).await.is_none());
}

#[tokio::test]
async fn a_run_that_is_tried_again_says_why_and_when() {
    let mut world = World::of(|_, log: crate::support::Log| async move {
        match log.count_up("tried") {
            1 => Err(Error::msg("no luck")),
            _ => Ok(()),
        }
    })
    .await;
    let run = world.start().await;
    let mut watch = world.run(run).watch();
    let news = loop {
        let news = next_run(&mut watch).await;
        if news.status == Progress::Retrying {
            break news;
        }
    };
    assert_eq!(news.error.as_ref().unwrap().message, "no luck");
    assert_eq!(news.attempt, 2);
    assert!(news.next_at.is_some());
    drop(watch);
    world.restart().await;
    let mut watch = world.run(run).watch();
    assert_eq!(next_run(&mut watch).await.status, Progress::Retrying);
    world.clock.advance(10 * SECOND);
    while next_run(&mut watch).await.status != Progress::Completed {}
}

#[tokio::test]
async fn a_run_that_does_not_exist_cannot_be_watched() {
    let world = World::with(options, only(|_, _| async { Ok(()) })).await;
    let mut watch = world
        .run("01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap())
        .watch();
    let error = within(watch.try_next()).await.unwrap_err();
    assert_eq!(error.code(), "unknown_run");
}

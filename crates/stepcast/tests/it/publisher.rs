//! Whose a message is.

use std::collections::BTreeSet;

use stepcast::{App, Ctx, Error, Publisher, Retry};

use crate::support::{Chat, Log, SECOND, Start, World, options, serve, within};

/// Who published which text: step and attempt.
async fn said(world: &World, room: &str) -> BTreeSet<(String, Option<String>, Option<u32>)> {
    let messages = world.messages(&Chat::at(room)).await.into_iter();
    let who = messages.map(|message| {
        let Chat::Said { text } = message.data else {
            panic!("{:?} was not said", message.data)
        };
        let step = message.step.map(|step| step.as_str().to_owned());
        (text, step, message.attempt)
    });
    who.collect()
}

fn by(text: &str, step: Option<&str>, attempt: u32) -> (String, Option<String>, Option<u32>) {
    (text.to_owned(), step.map(str::to_owned), Some(attempt))
}

#[tokio::test]
async fn messages_of_parallel_steps_and_spawned_tasks_belong_to_their_step() {
    let world = World::of(|ctx, log| async move {
        let room = Chat::at("who");
        let step = async |id: &'static str| {
            let run = || async {
                ctx.publish(&room, Chat::said(format!("{id} 1"))).await?;
                log.say(id);
                // Now the polls of both take turns.
                log.until("left").await;
                log.until("right").await;
                let (publisher, there) = (ctx.publisher(), room.clone());
                let spawned = async move {
                    publisher
                        .publish(&there, Chat::said(format!("{id} 2")))
                        .await
                };
                tokio::spawn(spawned).await??;
                ctx.publish(&room, Chat::said(format!("{id} 3"))).await
            };
            ctx.step(id).run(run).await
        };
        ctx.publish(&room, Chat::said("body")).await?;
        let (left, right) = tokio::join!(step("left"), step("right"));
        left?;
        right?;
        let publisher = ctx.publisher();
        publisher
            .publish(&room, Chat::said("body's publisher"))
            .await?;
        ctx.step("durable")
            .publish(&room, Chat::said("durable"))
            .await
    })
    .await;
    let run = world.start().await;
    world.result::<()>(run).await.unwrap();
    let mut expected = BTreeSet::from([
        by("body", None, 1),
        by("body's publisher", None, 1),
        by("durable", Some("durable"), 1),
    ]);
    for step in ["left", "right"] {
        expected.extend((1..=3).map(|n| by(&format!("{step} {n}"), Some(step), 1)));
    }
    assert_eq!(said(&world, "who").await, expected);
    let of_run = |message: &stepcast::Message<Chat>| message.run == Some(run);
    assert!(
        world
            .messages(&Chat::at("who"))
            .await
            .iter()
            .take(9)
            .all(of_run)
    );
}

#[tokio::test]
async fn a_second_attempt_publishes_as_such() {
    let world = World::of(|ctx, log| async move {
        let room = Chat::at("again");
        let run = || async {
            let tries = log.count_up("tried");
            ctx.publish(&room, Chat::said(format!("try {tries}")))
                .await?;
            if tries == 1 {
                Err(Error::msg("no luck"))
            } else {
                Ok(())
            }
        };
        ctx.step("twice").run(run).await
    })
    .await;
    let run = world.start().await;
    world.log.until("tried").await;
    world
        .advance_until(SECOND, || world.log.count("tried") == 2)
        .await;
    world.result::<()>(run).await.unwrap();
    // What the first attempt said was taken back when it failed.
    let expected = [by("try 2", Some("twice"), 2)];
    assert_eq!(said(&world, "again").await, BTreeSet::from(expected));
}

/// Publishes with what was kept, and says how that went.
async fn try_late(publisher: &Publisher, log: &Log) {
    let late = publisher
        .publish(&Chat::at("late"), Chat::said("late"))
        .await;
    let error = late.unwrap_err();
    log.say(format!("{}: {error}", error.code()));
}

#[tokio::test]
async fn a_publisher_of_an_attempt_is_over_with_it() {
    let world = World::of(|ctx, log| async move {
        let kept = parking_lot::Mutex::new(Vec::new());
        let step = ctx
            .step("step")
            .retry(Retry::times(1).with_base(std::time::Duration::ZERO));
        step.run(|| async {
            let publisher = ctx.publisher();
            let earlier = kept.lock().last().cloned();
            kept.lock().push(publisher);
            match earlier {
                None => Err(Error::msg("no luck")),
                Some(earlier) => {
                    try_late(&earlier, &log).await;
                    Ok(())
                }
            }
        })
        .await?;
        let last = kept
            .lock()
            .pop()
            .ok_or_else(|| Error::msg("nothing was kept"))?;
        try_late(&last, &log).await;
        Ok(())
    })
    .await;
    let run = world.start().await;
    world.result::<()>(run).await.unwrap();
    let expected = [1, 2].map(|attempt| {
        format!("attempt_over: attempt {attempt} of step `step` is over; publish before the step's future ends")
    });
    assert_eq!(world.log.lines(), expected);
    assert!(world.messages(&Chat::at("late")).await.is_empty());
}

#[tokio::test]
async fn a_publisher_of_the_body_is_over_with_the_run() {
    let world = World::with(options, |log| {
        let body = |ctx: Ctx<Start>, log: Log| async move {
            let publisher = ctx.publisher();
            tokio::spawn(async move {
                log.until("the run has ended").await;
                try_late(&publisher, &log).await;
                log.say("tried");
            });
            Ok(())
        };
        App::new("it").function(serve("main", log, body))
    })
    .await;
    let run = world.start().await;
    world.result::<()>(run).await.unwrap();
    world.log.say("the run has ended");
    within(world.log.until("tried")).await;
    let expected = format!(
        "attempt_over: run {run} is not executing here any more; nothing can be published for it"
    );
    assert_eq!(world.log.count(&expected), 1);
}

//! A retry replaces what the failed attempt has published, for those who were there and for those who come later; a replay publishes
//! nothing twice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::prelude::*;
use stepcast::{Message, Rollback, Subscription};
use tokio::runtime::Runtime;

use crate::support::{Go, Log, SECOND, Start, World, recorded, within};

/// One topic of each kind that a late reader gets differently.
#[derive(Debug, Clone, PartialEq, Channel, Serialize, Deserialize, JsonSchema)]
#[channel("draft:{name}")]
enum Draft {
    #[topic(keep = "text", text = "token")]
    Tokens {
        token: String,
    },
    #[topic(keep = "latest")]
    Status {
        at: String,
    },
    Note {
        text: String,
    },
    #[topic(keep = "live")]
    Beat {
        n: usize,
    },
}

fn token(token: &str) -> Draft {
    Draft::Tokens {
        token: token.into(),
    }
}

fn status(at: impl Into<String>) -> Draft {
    Draft::Status { at: at.into() }
}

fn note(text: impl Into<String>) -> Draft {
    Draft::Note { text: text.into() }
}

/// Says something on every topic, and fails at the first try.
async fn stumbles(ctx: Ctx<Start>, log: Log) -> Result<(), Error> {
    let draft = Draft::at("d");
    ctx.step("begin").publish(&draft, status("begun")).await?;
    ctx.step("say")
        .run(|| async {
            let n = log.count_up("tried");
            ctx.publish(&draft, token(&format!("Hel{n}"))).await?;
            ctx.publish(&draft, status(format!("try {n}"))).await?;
            ctx.publish(&draft, note(format!("note {n}"))).await?;
            ctx.publish(&draft, Draft::Beat { n }).await?;
            if n == 1 {
                return Err(Error::msg("stumbled"));
            }
            ctx.publish(&draft, token("lo")).await
        })
        .await?;
    ctx.step("end").publish(&draft, note("the end")).await
}

async fn next(updates: &mut Subscription<Draft>) -> Update<Draft> {
    within(updates.try_next()).await.unwrap().unwrap()
}

/// What a page shows that does as it is told.
#[derive(Debug, Default, PartialEq)]
struct Page {
    text: String,
    status: Option<String>,
    notes: Vec<String>,
    beats: Vec<usize>,
}

#[derive(Default)]
struct Shown(Vec<Message<Draft>>);

impl Shown {
    fn apply(&mut self, update: Update<Draft>) {
        match update {
            Update::Message(message) => self.0.push(message),
            Update::Snapshot(snapshot) => {
                self.0.retain(|shown| shown.topic != snapshot.topic);
                self.0.extend(snapshot.pieces);
            }
            Update::Rollback(rollback) => self.roll_back(rollback),
            Update::Gap(gap) => panic!("nothing is lost here: {gap:?}"),
            other => panic!("{other:?} was not asked for"),
        }
    }

    fn roll_back(&mut self, rollback: Rollback<Draft>) {
        let Rollback {
            topic,
            cursor,
            after,
            run,
            step,
            attempt,
            snapshot,
        } = rollback;
        match snapshot {
            Some(pieces) => {
                self.0.retain(|shown| shown.topic != topic);
                self.0.extend(pieces);
            }
            None => self.0.retain(|shown| {
                let is_void = shown.topic == topic
                    && (shown.run, &shown.step, shown.attempt) == (run, &step, attempt)
                    && shown.cursor > after
                    && shown.cursor < cursor;
                !is_void
            }),
        }
    }

    fn page(&self) -> Page {
        let mut page = Page::default();
        for message in &self.0 {
            match &message.data {
                Draft::Tokens { token } => page.text.push_str(token),
                Draft::Status { at } => page.status = Some(at.clone()),
                Draft::Note { text } => page.notes.push(text.clone()),
                Draft::Beat { n } => page.beats.push(*n),
            }
        }
        page
    }
}

/// Reads until the page has come to its end.
async fn read(mut updates: Subscription<Draft>) -> Page {
    let mut shown = Shown::default();
    while shown
        .page()
        .notes
        .last()
        .is_none_or(|note| note != "the end")
    {
        shown.apply(next(&mut updates).await);
    }
    shown.page()
}

#[tokio::test]
async fn a_retry_replaces_what_was_shown_for_those_who_are_there_and_those_who_come() {
    let world = World::of(stumbles).await;
    let early = tokio::spawn(read(world.subscribe(&Draft::at("d"))));
    let run = world.start().await;
    world.log.until("tried").await;
    world
        .advance_until(SECOND, || world.log.count("tried") == 2)
        .await;
    world.result::<()>(run).await.unwrap();
    let expected = Page {
        text: "Hel2lo".into(),
        status: Some("try 2".into()),
        notes: vec!["note 2".into(), "the end".into()],
        beats: vec![2],
    };
    assert_eq!(within(early).await.unwrap(), expected);
    assert_eq!(read(world.subscribe(&Draft::at("d"))).await, expected);
}

#[tokio::test]
async fn a_reader_that_was_away_is_told_what_to_take_back() {
    let world = World::of(stumbles).await;
    let mut updates = world.subscribe(&Draft::at("d"));
    let run = world.start().await;
    let (mut shown, mut cursor) = (Shown::default(), None);
    while shown.page().beats.is_empty() {
        let update = next(&mut updates).await;
        if let Update::Message(message) = &update {
            cursor = Some(message.cursor);
        }
        shown.apply(update);
    }
    assert_eq!(shown.page().notes, ["note 1"]);
    drop(updates);
    world
        .advance_until(SECOND, || world.log.count("tried") == 2)
        .await;
    world.result::<()>(run).await.unwrap();
    let position = stepcast::Position::After(cursor.unwrap());
    let mut updates = world.subscribe(&Draft::at("d")).from(position);
    while shown
        .page()
        .notes
        .last()
        .is_none_or(|note| note != "the end")
    {
        shown.apply(next(&mut updates).await);
    }
    let page = shown.page();
    assert_eq!(
        (page.text.as_str(), page.status.as_deref()),
        ("Hel2lo", Some("try 2"))
    );
    assert_eq!(
        (page.notes, page.beats),
        (vec!["note 2".into(), "the end".into()], vec![2])
    );
}

#[test]
fn what_a_process_said_when_it_died_is_taken_back_by_the_next() {
    let stuck = |ctx: Ctx<Start>, log: Log| async move {
        let draft = Draft::at("d");
        ctx.step("say")
            .run(|| async {
                let life = log.count_up("said");
                ctx.publish(&draft, token(&format!("life {life}"))).await?;
                ctx.publish(&draft, note(format!("life {life}"))).await?;
                if life == 1 {
                    // Written, and then the process dies.
                    ctx.publish(&draft, status("written")).await?;
                    log.say("dying");
                    std::future::pending::<()>().await;
                }
                Ok(())
            })
            .await?;
        ctx.step("end").publish(&draft, note("the end")).await
    };
    let first = Runtime::new().unwrap();
    let mut world = first.block_on(async {
        let world = World::of(stuck).await;
        world.start().await;
        world.log.until("dying").await;
        // A durable message is written after all that came before it.
        world
            .publish(&Draft::at("other"), note("mark"))
            .durable()
            .await
            .unwrap();
        world
    });
    world.crash(first);
    Runtime::new().unwrap().block_on(async {
        world.open().await;
        let page = read(world.subscribe(&Draft::at("d"))).await;
        assert_eq!(page.text, "life 2");
        assert_eq!(page.notes, ["life 2", "the end"]);
        assert_eq!(page.status, None);
    });
}

/// Publishes in its body before and after a wait.
async fn speaks(ctx: Ctx<Start>, log: Log) -> Result<(), Error> {
    let draft = Draft::at("d");
    ctx.publish(&draft, note("first")).await?;
    ctx.publish(&draft, note("first")).await?;
    ctx.publish(&draft, token("once")).await?;
    recorded(&ctx, &log, ctx.step("go").wait_for_event::<Go>()).await?;
    ctx.publish(&draft, note("second")).await?;
    ctx.step("end").publish(&draft, note("the end")).await
}

#[tokio::test]
async fn a_replay_publishes_nothing_of_the_body_twice() {
    let mut world = World::of(speaks).await;
    let run = world.start().await;
    world.log.until("recorded").await;
    for _ in 0..2 {
        world.restart().await;
    }
    world.send(Go { n: 1 }).await.unwrap();
    world.result::<()>(run).await.unwrap();
    let page = read(world.subscribe(&Draft::at("d"))).await;
    assert_eq!(page.notes, ["first", "first", "second", "the end"]);
    assert_eq!(page.text, "once");
}

#[test]
fn a_replay_after_a_crash_publishes_nothing_of_the_body_twice() {
    let first = Runtime::new().unwrap();
    let (mut world, run) = first.block_on(async {
        let world = World::of(speaks).await;
        let run = world.start().await;
        world.log.until("recorded").await;
        (world, run)
    });
    world.crash(first);
    Runtime::new().unwrap().block_on(async {
        world.open().await;
        world.send(Go { n: 1 }).await.unwrap();
        world.result::<()>(run).await.unwrap();
        let page = read(world.subscribe(&Draft::at("d"))).await;
        assert_eq!(page.notes, ["first", "first", "second", "the end"]);
        assert_eq!(page.text, "once");
    });
}

#[tokio::test]
async fn a_body_that_runs_again_takes_back_what_no_step_stands_behind_and_its_last_words_stay() {
    let world = World::of(|ctx, log: Log| async move {
        let draft = Draft::at("d");
        ctx.publish(&draft, note("before")).await?;
        ctx.step("between").run(|| async { Ok(()) }).await?;
        let n = log.count_up("attempt");
        ctx.publish(&draft, note(format!("failed: {n}"))).await?;
        Err::<(), _>(Error::msg("no luck"))
    })
    .await;
    let run = world.start().await;
    world
        .advance_until(SECOND, || world.log.count("attempt") == 5)
        .await;
    world.failure(run).await;
    world
        .publish(&Draft::at("d"), note("the end"))
        .durable()
        .await
        .unwrap();
    let page = read(world.subscribe(&Draft::at("d"))).await;
    assert_eq!(page.notes, ["before", "failed: 5", "the end"]);
}

#[tokio::test]
async fn a_cancelled_run_takes_back_what_its_step_was_saying() {
    let world = World::of(|ctx, log: Log| async move {
        let draft = Draft::at("d");
        ctx.publish(&draft, note("body")).await?;
        ctx.step("say")
            .run(|| async {
                ctx.publish(&draft, note("half a sent")).await?;
                log.say("half");
                std::future::pending::<Result<(), Error>>().await
            })
            .await
    })
    .await;
    let run = world.start().await;
    world.log.until("half").await;
    world.run(run).cancel().await.unwrap();
    world
        .publish(&Draft::at("d"), note("the end"))
        .durable()
        .await
        .unwrap();
    let page = read(world.subscribe(&Draft::at("d"))).await;
    assert_eq!(page.notes, ["body", "the end"]);
}

#[tokio::test]
async fn a_reader_of_messages_alone_is_told_that_it_showed_too_much() {
    let world = World::of(stumbles).await;
    let mut messages = world.subscribe(&Draft::at("d")).topics(["note"]).messages();
    world.start().await;
    let first = within(messages.try_next()).await.unwrap().unwrap();
    assert_eq!(first.data, note("note 1"));
    let error = within(messages.try_next()).await.unwrap_err();
    assert_eq!(error.code(), "rolled_back");
    assert!(
        error.to_string().contains("attempt 1 of step `say`"),
        "{error}"
    );
    assert!(within(messages.try_next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_dropped_attempt_takes_back_what_it_said_though_the_next_speaks_already() {
    let world = World::of(|ctx, log: Log| async move {
        let draft = Draft::at("d");
        let say = async |what: &str, ends: bool| {
            ctx.step("say")
                .run(|| async {
                    ctx.publish(&draft, note(what)).await?;
                    log.say(what);
                    if !ends {
                        std::future::pending::<()>().await;
                    }
                    Ok(())
                })
                .await
        };
        tokio::select! {
            biased;
            result = say("dropped", false) => result?,
            () = log.until("dropped") => {}
        }
        say("kept", true).await?;
        ctx.step("end").publish(&draft, note("the end")).await
    })
    .await;
    let run = world.start().await;
    world.result::<()>(run).await.unwrap();
    let page = read(world.subscribe(&Draft::at("d"))).await;
    assert_eq!(page.notes, ["kept", "the end"]);
}

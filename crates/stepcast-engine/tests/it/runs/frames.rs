//! What pages of npm `inngest` are told of runs.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use stepcast_engine::{
    Publication,
    hub::{Channel, Follow, Slice, WatchGuard},
    runs::{Failure, FunctionConfig, Retry, RunFrames, Trigger},
    store::Store,
};
use stepcast_protocol::{
    Cursor, ErrorCode, EventName, Kind, RunId, Told, TopicName, sdk::internal::FUNCTION_FAILED,
};
use tokio::sync::Notify;

use super::script::{HOUR, Life, World, event, failure, function};
use crate::support::{channel_name, eventually, within};

fn world(frames: RunFrames) -> World {
    let mut world = World::new();
    world.options = world.options.with_run_frames(frames);
    world.functions = vec![FunctionConfig {
        exposes_result: true,
        ..function("f")
    }];
    world
}

/// Somebody who reads a channel as npm `inngest` does.
struct Page {
    channel: Arc<Channel>,
    seen: Cursor,
    _watch: WatchGuard,
    _follow: Option<Follow>,
}

impl Page {
    async fn of(life: &Life, name: &str) -> Self {
        let channel = within(life.engine.hub().channel(&channel_name(name))).await;
        let channel = channel.unwrap();
        Self {
            seen: channel.visible(),
            _watch: channel.watch(Arc::new(Notify::new())),
            channel,
            _follow: None,
        }
    }

    /// The same with a token that names `$run`.
    async fn that_asks(life: &Life, name: &str) -> Self {
        let page = Self::of(life, name).await;
        let follow = life.engine.hub().follow_runs(&page.channel);
        Self {
            _follow: Some(follow),
            ..page
        }
    }

    /// What it has been told of runs since it looked last.
    fn told(&mut self) -> Vec<(Kind, Value)> {
        let Slice::Tail { messages, next } = self.channel.read(self.seen, usize::MAX) else {
            return Vec::new();
        };
        self.seen = next;
        let told = messages.iter().map(|posted| posted.message());
        told.filter(|message| matches!(message.kind, Kind::Ended { .. } | Kind::Status))
            .map(|message| {
                let data: Value = serde_json::from_slice(&message.payload).unwrap();
                (message.kind, data)
            })
            .collect()
    }

    /// The next thing it is told, whatever time that takes; with its kind, its status and its result.
    async fn hears(&mut self, world: &World) -> (Kind, String, Value) {
        let told = eventually(async || {
            world.clock.advance(Duration::from_millis(20));
            let told = self.told();
            assert!(told.len() <= 1, "{told:?}");
            told.into_iter().next()
        });
        let (kind, data) = told.await;
        let status = data["status"].as_str().unwrap().to_owned();
        (kind, status, data["result"].clone())
    }

    /// All it is told at the end of a run, as one.
    async fn hears_end(&mut self, world: &World) -> Vec<Kind> {
        let told = eventually(async || {
            world.clock.advance(Duration::from_millis(20));
            let told = self.told();
            (!told.is_empty()).then_some(told)
        });
        let told = told.await;
        assert!(told.iter().all(|(_, data)| data["status"] == "completed"));
        told.into_iter().map(|(kind, _)| kind).collect()
    }

    /// It is told nothing, however long it waits.
    async fn hears_nothing(&mut self, world: &World) {
        for _ in 0..10 {
            world.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(self.told(), []);
    }
}

const OTHERS: Kind = Kind::Ended { told: Told::Others };
const FOLLOWERS: Kind = Kind::Ended {
    told: Told::Followers,
};

fn done(kind: Kind) -> (Kind, String, Value) {
    (kind, "completed".to_owned(), json!("done"))
}

/// Publishes from outside, in a run's name.
async fn publish(life: &Life, channel: &str, run: RunId, durable: bool, key: Option<&str>) {
    let publication = Publication {
        channel: channel_name(channel),
        topic: TopicName::parse("t").unwrap(),
        payload: Bytes::from_static(b"1"),
        run: Some(run),
        durable,
        key: key.map(str::to_owned),
    };
    within(life.engine.publish(publication)).await.unwrap();
}

/// The channels of which the store knows that a run has published there.
async fn channels_of(life: &Life, run: RunId) -> Vec<String> {
    let channels = life.sqlite.channels_of(run, None, 99).await.unwrap();
    channels.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn only_channels_of_its_own_are_told_by_default() {
    let world = world(RunFrames::default());
    let mut life = world.open().await;
    let mut held = life.start().await;
    let event = held.run.event.id;
    let mut own = Page::of(&life, &format!("job:{}", held.run.id)).await;
    let mut of_event = Page::of(&life, &format!("a/{event}:b")).await;
    let mut shared = Page::of(&life, "c").await;
    held.publishes("p", life.outgoing("c", 1).await);
    held.hears_end("p").await;
    held.tries_to_publish().await.unwrap();
    held.returns().await;
    assert_eq!(own.hears(&world).await, done(OTHERS));
    assert_eq!(of_event.hears(&world).await, done(OTHERS));
    shared.hears_nothing(&world).await;
    assert_eq!(own.told(), []);
}

#[tokio::test]
async fn a_channel_of_several_runs_is_told_when_what_handles_a_failure_of_any_has_ended() {
    let mut world = world(RunFrames::default());
    world.functions[0].announces_end = true;
    let of = |name, event| FunctionConfig {
        triggers: vec![Trigger::from(EventName::parse(event).unwrap())],
        ..function(name)
    };
    world.functions.push(of("other", "f"));
    world.functions.push(of("handler", FUNCTION_FAILED));
    let mut life = world.open().await;
    life.send("f").await;
    let (failing, other) = (life.next().await, life.next().await);
    let event = failing.run.event.id;
    let failure = Failure::terminal(ErrorCode::FunctionFailed, "no");
    failing.lease().failed(failure, Retry::never());
    let handler = life.next().await;
    assert_eq!(handler.run.function, "handler");
    // Nobody has looked when the run failed.
    world.clock.advance(Duration::from_millis(1));
    let mut page = Page::of(&life, &format!("job:{event}")).await;
    other.returns().await;
    for _ in 0..8 {
        world.clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(page.told(), []);
    handler.returns().await;
    let (kind, ..) = page.hears(&world).await;
    assert_eq!(kind, OTHERS);
    page.hears_nothing(&world).await;
}

#[tokio::test]
async fn all_channels_on_which_it_has_published_are_told_whatever_process_ends_it() {
    let world = world(RunFrames::All);
    let mut life = world.open().await;
    let mut held = life.start().await;
    let id = held.run.id;
    held.publishes("p", life.outgoing("durable", 1).await);
    held.hears_end("p").await;
    held.tries_to_publish().await.unwrap();
    publish(&life, "out", id, true, None).await;
    publish(&life, "out", id, true, None).await;
    publish(&life, "out/soon", id, false, None).await;
    publish(&life, "out/once", id, true, Some("k")).await;
    let names = ["c", "durable", "out", "out/once", "out/soon"];
    let all = eventually(async || {
        let known = channels_of(&life, id).await;
        (known.len() == names.len()).then_some(known)
    });
    assert_eq!(all.await, names);
    drop(held);
    life.dies();

    let mut life = world.open().await;
    let mut pages = Vec::new();
    for name in names {
        pages.push(Page::of(&life, name).await);
    }
    let mut own = Page::of(&life, &id.to_string()).await;
    let mut other = Page::of(&life, "other").await;
    let held = life.next().await;
    assert_eq!(held.run.id, id);
    held.returns().await;
    for page in pages.iter_mut().chain([&mut own]) {
        assert_eq!(page.hears(&world).await, done(OTHERS));
    }
    other.hears_nothing(&world).await;
    for page in &mut pages {
        assert_eq!(page.told(), []);
    }
}

#[tokio::test]
async fn what_is_published_for_a_run_that_is_over_or_unknown_is_not_remembered() {
    let world = world(RunFrames::All);
    let mut life = world.open().await;
    let held = life.start().await;
    let id = held.run.id;
    held.returns().await;
    life.end_of(id).await;
    let unknown = RunId::from_parts(1, 2);
    for run in [id, unknown] {
        publish(&life, "c", run, true, None).await;
        publish(&life, "c", run, false, None).await;
        assert_eq!(channels_of(&life, run).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_key_that_was_used_marks_nothing() {
    let world = world(RunFrames::All);
    let mut life = world.open().await;
    let (first, second) = (life.start().await, life.start().await);
    for held in [&first, &second] {
        publish(&life, "c", held.run.id, true, Some("k")).await;
    }
    assert_eq!(channels_of(&life, first.run.id).await, ["c"]);
    assert_eq!(channels_of(&life, second.run.id).await, [""; 0]);
    publish(&life, "c", second.run.id, true, None).await;
    assert_eq!(channels_of(&life, second.run.id).await, ["c"]);
}

#[tokio::test]
async fn nobody_is_told_when_it_is_off() {
    let world = world(RunFrames::Off);
    let mut life = world.open().await;
    let mut held = life.start().await;
    let mut own = Page::that_asks(&life, &held.run.id.to_string()).await;
    let mut shared = Page::that_asks(&life, "c").await;
    held.publishes("p", life.outgoing("c", 1).await);
    held.hears_end("p").await;
    publish(&life, "c", held.run.id, true, None).await;
    assert_eq!(channels_of(&life, held.run.id).await, [""; 0]);
    held.returns().await;
    own.hears_nothing(&world).await;
    assert_eq!(shared.told(), []);
}

#[tokio::test]
async fn who_asks_is_told_where_each_run_is() {
    let world = world(RunFrames::Own);
    let mut life = world.open().await;
    let mut held = life.start().await;
    let id = held.run.id;
    let mut own = Page::that_asks(&life, &format!("job:{id}")).await;
    let mut shared = Page::that_asks(&life, "c").await;
    let mut silent = Page::of(&life, "c").await;
    let running = || (Kind::Status, "running".to_owned(), Value::Null);
    // The first message says that the run is there.
    held.publishes("p", life.outgoing("c", 1).await);
    held.hears_end("p").await;
    assert_eq!(shared.hears(&world).await, running());
    publish(&life, "c", id, true, None).await;
    assert_eq!(shared.told(), []);
    held.sleeps("s", HOUR).await;
    held.parks(1).await;
    world.clock.advance(HOUR);
    let again = life.next().await;
    for page in [&mut own, &mut shared] {
        let told: Vec<_> = page.told();
        assert!(!told.is_empty());
        for (kind, data) in told {
            assert_eq!((kind, &data["run_id"]), (Kind::Status, &json!(id)));
        }
    }
    again.returns().await;
    assert_eq!(own.hears_end(&world).await, [FOLLOWERS, OTHERS]);
    assert_eq!(shared.hears(&world).await, done(FOLLOWERS));
    own.hears_nothing(&world).await;
    assert_eq!(shared.told(), []);
    // Its connection gets none of these, as its token names no runs.
    let not_for_it = [Kind::Status, FOLLOWERS];
    assert!(
        silent
            .told()
            .iter()
            .all(|(kind, _)| not_for_it.contains(kind))
    );
}

#[tokio::test]
async fn a_page_that_is_on_its_way_is_told_when_it_comes() {
    let world = world(RunFrames::Own);
    let mut life = world.open().await;
    let held = life.start().await;
    let name = format!("job:{}", held.run.id);
    let hub = life.engine.hub();
    let channel = within(hub.channel(&channel_name(&name))).await.unwrap();
    let minted = channel.visible();
    hub.expect_reader(&channel, true, world.clock.now() + HOUR);
    held.returns().await;
    let told = eventually(async || {
        world.clock.advance(Duration::from_millis(20));
        let mut page = Page::of(&life, &name).await;
        page.seen = minted;
        let ends = page.told().into_iter().map(|(kind, _)| kind);
        let ends: Vec<_> = ends.filter(|kind| *kind != Kind::Status).collect();
        (!ends.is_empty()).then_some(ends)
    });
    assert_eq!(told.await, [FOLLOWERS, OTHERS]);
}

#[tokio::test]
async fn a_page_that_has_not_come_in_time_is_no_longer_expected() {
    let world = world(RunFrames::Own);
    let mut life = world.open().await;
    let held = life.start().await;
    let name = format!("job:{}", held.run.id);
    let hub = life.engine.hub();
    let channel = within(hub.channel(&channel_name(&name))).await.unwrap();
    let minted = channel.visible();
    hub.expect_reader(&channel, true, world.clock.now() + Duration::from_secs(1));
    world.clock.advance(Duration::from_secs(2));
    hub.sweep();
    let id = held.run.id;
    // One that is there hears of the end when all are told who are to be told.
    let mut witness = Page::of(&life, &format!("other:{id}")).await;
    held.returns().await;
    life.end_of(id).await;
    witness.hears_end(&world).await;
    let mut page = Page::of(&life, &name).await;
    page.seen = minted;
    page.hears_nothing(&world).await;
}

#[tokio::test]
async fn a_run_that_is_run_again_on_the_same_channel_is_told_by_itself() {
    let mut world = world(RunFrames::Own);
    world.functions.push(FunctionConfig {
        triggers: world.functions[0].triggers.clone(),
        ..function("twin")
    });
    let mut life = world.open().await;
    let sent = life.engine.send(vec![event("f")], None).await.unwrap();
    let mut both = [life.next().await, life.next().await];
    // Of those that begin in the same millisecond, the one with the smaller id counts as the first.
    both.sort_by_key(|held| held.run.id);
    let [mut first, twin] = both;
    let channel = format!("a:{}", sent[0].event);
    let mut page = Page::of(&life, &channel).await;
    first.lease().failed(failure(), Retry::never());
    first.is_over().await;
    twin.returns().await;
    assert_eq!(page.hears(&world).await.1, "failed");
    world.clock.advance(Duration::from_secs(1));

    // The other run of the event had its end, and so had the one that is run again.
    let id = first.run.id;
    life.engine.rerun(id).await.unwrap();
    let second = life.next().await;
    second.returns().await;
    assert_eq!(page.hears(&world).await.1, "completed");
    world.clock.advance(Duration::from_secs(1));

    // One that goes on while another repeats it counts no more, but is waited for.
    life.engine.rerun(id).await.unwrap();
    let mut third = life.next().await;
    world.clock.advance(Duration::from_secs(1));
    life.engine.rerun(third.run.id).await.unwrap();
    let fourth = life.next().await;
    fourth.returns().await;
    page.hears_nothing(&world).await;
    third.lease().failed(failure(), Retry::never());
    third.is_over().await;
    assert_eq!(page.hears(&world).await.1, "completed");
    page.hears_nothing(&world).await;
}

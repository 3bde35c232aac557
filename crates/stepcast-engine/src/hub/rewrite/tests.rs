use std::{future::poll_fn, pin::Pin, time::Duration};

use futures_core::Stream;
use stepcast_protocol::{ChannelSpec, Keep, Origin, Retention, Snapshot, Timestamp, TopicSpec};
use tokio::sync::Semaphore;

use super::*;
use crate::{
    catalog::Catalog,
    clock::Clock,
    hub::{Draft, Item, Notice, Place, Position, TopicFilter},
    store::{
        BoxFuture, MessageQuery, Phase, RunRow, Store, StoreExt,
        conformance::samples,
        memory::{AtOnce, Memory, MemoryStore, Pace, Work},
    },
};

const HOUR: Duration = Duration::from_secs(3_600);
/// How long these topics keep a message.
const AGE: Duration = Duration::from_secs(12 * 3_600);

/// Commits at once, and answers reads as the test says.
struct SlowReads(AtOnce, Arc<Semaphore>);

impl Pace for SlowReads {
    fn on_waiting(&self, work: Work) {
        self.0.on_waiting(work);
    }

    fn delay(&self) -> BoxFuture<'static, ()> {
        let reads = Arc::clone(&self.1);
        Box::pin(async move { reads.acquire().await.unwrap().forget() })
    }
}

/// A hub with one channel, and a store whose reads wait for the test.
struct World {
    hub: Hub,
    store: Arc<MemoryStore>,
    clock: Clock,
    reads: Arc<Semaphore>,
}

/// More reads than a test makes.
const MANY: usize = 100_000;

fn keep(topic: &str) -> Keep {
    match topic {
        "text" => Keep::Text {
            field: "text".to_owned(),
        },
        "latest" => Keep::Latest,
        _ => Keep::Log,
    }
}

fn catalog() -> Catalog {
    let topics = ["text", "latest", "log"].map(|name| TopicSpec {
        name: samples::topic(name),
        keep: keep(name),
        retention: Retention {
            age: Some(AGE),
            ..Retention::default()
        },
        schema: None,
        doc: String::new(),
    });
    let catalog = Catalog::default();
    let spec = ChannelSpec {
        template: "c".parse().unwrap(),
        topics: topics.into(),
        rust_type: String::new(),
        doc: String::new(),
    };
    catalog.declare(&spec).unwrap();
    catalog
}

impl World {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
        let reads = Arc::new(Semaphore::new(MANY));
        let pace = SlowReads(AtOnce::here(), Arc::clone(&reads));
        let store = Memory::default().open(Arc::new(pace), clock.clone());
        let store = Arc::new(store);
        let hub = Hub::new(Arc::<MemoryStore>::clone(&store), clock.clone(), catalog());
        Self {
            hub,
            store,
            clock,
            reads,
        }
    }

    /// The same store after everything in memory has gone.
    fn forgetful(&self) -> Hub {
        let store = Arc::<MemoryStore>::clone(&self.store);
        Hub::new(store, self.clock.clone(), catalog())
    }

    async fn say(&self, topic: &str, text: &str, origin: Option<Arc<Origin>>) {
        let channel = self.hub.channel(&samples::channel("c")).await.unwrap();
        let payload = format!(r#"{{"text":"{text}"}}"#);
        let draft = Draft::new(samples::topic(topic), keep(topic), payload.into(), origin);
        self.hub.publish(&channel, draft).await.unwrap();
        self.store.commit(Batch::default()).await.unwrap();
    }

    async fn ends(&self, run: u64) {
        let ended = RunRow {
            ended_at: Some(self.clock.now()),
            ..samples::run(run, Phase::Completed)
        };
        let batch = Batch::of(vec![samples::write_run(ended)]);
        self.store.commit(batch).await.unwrap();
    }

    async fn expire(&self) {
        self.hub.expire(&mut Place::default()).await.unwrap();
    }

    /// What late readers get: now, and after everything in memory has gone.
    async fn late(&self, topic: &str) -> [Vec<String>; 2] {
        [
            late(&self.hub, topic).await,
            late(&self.forgetful(), topic).await,
        ]
    }
}

fn by(run: u64, step: &str) -> Option<Arc<Origin>> {
    samples::origin(run, Some(step), 1)
}

async fn late(hub: &Hub, topic: &str) -> Vec<String> {
    let channel = hub.channel(&samples::channel("c")).await.unwrap();
    let topics = TopicFilter::Only(Arc::new([samples::topic(topic)]));
    let entry = hub.enter(&channel, &topics, Position::Start).await.unwrap();
    let [Notice::Snapshot(Snapshot { pieces, .. })] = &entry.notices[..] else {
        panic!("one snapshot was expected, not {:?}", entry.notices);
    };
    pieces.iter().map(text).collect()
}

fn text(message: &Message) -> String {
    let fields: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    fields["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_too_old_is_not_shown_from_memory() {
    let world = World::new();
    for topic in ["text", "latest", "log"] {
        world.say(topic, "old", None).await;
        world.clock.advance(HOUR);
    }
    world.say("text", "young", None).await;
    world.say("text", "er", None).await;
    assert_eq!(world.late("text").await, [["oldyounger"], ["oldyounger"]]);
    assert_eq!(world.late("latest").await, [["old"], ["old"]]);

    world.clock.advance(AGE - 2 * HOUR);
    world.expire().await;
    assert_eq!(world.late("text").await, [["younger"], ["younger"]]);
    let nothing: [Vec<String>; 2] = Default::default();
    assert_eq!(world.late("latest").await, nothing);
    // The log's message is the last one that is not too old; the tail holds nothing before it.
    let channel = world.hub.channel(&samples::channel("c")).await.unwrap();
    assert_eq!(channel.state().log.tail_after().offset.0, 2);
}

#[tokio::test]
async fn what_a_run_has_said_is_shown_alike_before_and_after_it_is_joined() {
    let world = World::new();
    for (run, step, text) in [
        (1, "a", "1"),
        (2, "a", "2"),
        (1, "b", "3"),
        (1, "a", "4"),
        (3, "a", "5"),
    ] {
        world.say("text", text, by(run, step)).await;
    }
    let (apart, joined) = (["14", "2", "3", "5"], ["2", "143", "5"]);
    assert_eq!(world.late("text").await, [apart, apart]);
    world.ends(1).await;
    world.clock.advance(HOUR);
    world.expire().await;
    assert_eq!(world.late("text").await, [joined, joined]);
    world.say("text", "6", by(2, "a")).await;
    let later = ["26", "143", "5"];
    assert_eq!(world.late("text").await, [later, later]);
}

/// A message that was believed may never get there: then the topic comes to what was before it.
#[tokio::test]
async fn what_a_topic_came_to_stays_until_the_store_has_what_comes_after_it() {
    let world = World::new();
    world.say("latest", "1", None).await;
    world.say("latest", "2", None).await;
    let channel = samples::channel("c");
    let loaded = world.hub.channel(&channel).await.unwrap();
    let trim = async |needed| {
        let rewrite = Rewrite::TrimBefore(needed);
        let topic = samples::topic("latest");
        world.hub.rewrite(&channel, &topic, rewrite).await.unwrap();
        assert!(loaded.state().rewrites.at_rest().is_some());
        let kept = world.store.topics(channel.clone()).await.unwrap();
        kept[0].messages
    };
    let last = loaded.head();
    let lost = Cursor::new(last.epoch, Offset(last.offset.0 + 1));
    assert_eq!(trim(lost).await, 2);
    assert_eq!(trim(last).await, 1);
    assert_eq!(world.late("latest").await, [["2"], ["2"]]);
}

#[tokio::test]
async fn a_text_that_is_too_old_does_not_come_back_when_it_should_be_joined() {
    let world = World::new();
    world.say("text", "1", by(1, "a")).await;
    world.say("text", "2", by(1, "a")).await;
    world.ends(1).await;
    world.clock.advance(AGE);
    world.expire().await;
    let nothing: [Vec<String>; 2] = Default::default();
    assert_eq!(world.late("text").await, nothing);
}

#[tokio::test]
async fn a_reader_that_has_a_snapshot_gets_no_text_twice_when_it_is_joined_meanwhile() {
    let world = World::new();
    world.say("log", "before", None).await;
    world.say("text", "1", by(1, "a")).await;
    let channel = world.hub.channel(&samples::channel("c")).await.unwrap();
    let topics = TopicFilter::Only(["log", "text"].map(samples::topic).into());
    let reading = world.hub.subscribe(&channel, topics, Position::Start);
    let mut reader = reading.await.unwrap();
    world.say("text", "2", by(1, "a")).await;
    world.ends(1).await;
    world.clock.advance(HOUR);
    world.expire().await;

    reader.end_at(channel.visible());
    let mut got = Vec::new();
    while let Some(item) = poll_fn(|context| Pin::new(&mut reader).poll_next(context)).await {
        got.push(match item.unwrap() {
            Item::Posted(posted) => text(posted.message()),
            Item::Snapshot(snapshot) => format!("={}", text(&snapshot.pieces[0])),
            Item::Gap(gap) => panic!("nothing is lost: {gap:?}"),
        });
    }
    assert_eq!(got, ["=1", "before", "=12"]);
}

/// The pages of a fold are read at several moments. What changes between two of them must not be in it twice, nor be missing.
#[tokio::test]
async fn a_fold_that_is_read_while_its_topic_changes_is_read_again() {
    let world = World::new();
    let large = "x".repeat(400_000);
    for (run, text) in [(1, "1"), (2, &large), (3, &large), (4, &large), (1, "2")] {
        world.say("text", text, by(run, "a")).await;
    }
    let channel = samples::channel("c");
    let query = MessageQuery {
        channel: channel.clone(),
        after: Cursor::START,
        up_to: Cursor::new(world.store.epoch(), stepcast_protocol::Offset(u64::MAX)),
        topics: None,
        limit: usize::MAX,
    };
    let mut kept = world.store.messages(query.clone()).await.unwrap();
    assert_eq!(kept.messages.len(), 4, "there have to be two pages");
    let after = kept.next;
    let rest = world.store.messages(MessageQuery { after, ..query });
    kept.messages.extend(rest.await.unwrap().messages);
    let last = kept.messages.last().unwrap().clone();
    let payload = r#"{"text":"12"}"#.into();
    let joined = Arc::new(Message { payload, ..last });

    for moment in 0..12 {
        let hub = world.forgetful();
        let loaded = hub.channel(&channel).await.unwrap();
        let before = world.reads.available_permits();
        world.reads.forget_permits(before);
        world.reads.add_permits(moment);
        let reading = {
            let hub = hub.clone();
            tokio::spawn(async move { late(&hub, "text").await })
        };
        settle_down().await;
        let join = {
            let (hub, joined) = (hub.clone(), Arc::clone(&joined));
            let (channel, topic) = (channel.clone(), samples::topic("text"));
            tokio::spawn(async move { hub.rewrite(&channel, &topic, Rewrite::Join(joined)).await })
        };
        settle_down().await;
        world.reads.add_permits(MANY);
        join.await.unwrap().unwrap();
        assert!(loaded.state().rewrites.at_rest().is_some());
        let said = |pieces: Vec<String>| pieces.concat().replace('x', "");
        assert_eq!(said(reading.await.unwrap()), "12", "{moment}");
        assert_eq!(said(late(&hub, "text").await), "12", "{moment}");
        // As it was before.
        let messages = kept.messages.iter().cloned().map(Arc::new);
        let put = messages.map(|message| Write::Message(channel.clone(), message));
        let gone = Write::Trim(channel.clone(), samples::topic("text"), joined.cursor);
        for writes in [vec![gone], put.collect()] {
            world.store.commit(Batch::of(writes)).await.unwrap();
        }
    }
}

/// Lets everything that can go on go on.
async fn settle_down() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

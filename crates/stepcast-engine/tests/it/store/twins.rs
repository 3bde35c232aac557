//! Whatever is written, both backends answer every question alike.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use proptest::prelude::*;
use stepcast_engine::store::{
    Batch, BodyKey, DuePlace, EventQuery, EventWait, Expect, Fence, MessageQuery, NewestQuery,
    Outcome, Parent, Phase, RunQuery, RunRow, StepRow, StepState, Store, StoreExt, Timer, Verb,
    Void, Write,
    conformance::{Place, samples},
};
use stepcast_protocol::{
    Bounds, Cursor, FunctionId, Kind, Message, Origin, RunId, StepId, Timestamp, TopicName,
};

use super::{Home, InMemory, within};

const CHANNELS: [&str; 2] = ["a", "b"];
const TOPICS: [&str; 2] = ["s", "t"];
const STEPS: [&str; 2] = ["x", "y"];
const RUNS: u64 = 3;
const EVENTS: [&str; 2] = ["e", "f"];

fn channel() -> impl Strategy<Value = stepcast_protocol::ChannelName> {
    prop::sample::select(&CHANNELS[..]).prop_map(samples::channel)
}

fn topic() -> impl Strategy<Value = TopicName> {
    prop::sample::select(&TOPICS[..]).prop_map(samples::topic)
}

fn step() -> impl Strategy<Value = StepId> {
    prop::sample::select(&STEPS[..]).prop_map(samples::step_id)
}

fn event_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&EVENTS[..])
}

/// A run that was created in its own second.
fn run_id() -> impl Strategy<Value = RunId> {
    (0..RUNS).prop_map(nth_run)
}

fn nth_run(n: u64) -> RunId {
    RunId::from_parts(n * 1_000, n.into())
}

fn at() -> impl Strategy<Value = Timestamp> {
    (0..6_i64).prop_map(|n| samples::at(n * 1_000))
}

fn cursor() -> impl Strategy<Value = Cursor> {
    (1..3_u64, 0..14_u64).prop_map(|(epoch, offset)| samples::cursor(epoch, offset))
}

fn origin() -> impl Strategy<Value = Option<Arc<Origin>>> {
    let origin = (run_id(), prop::option::of(step()), 0..3_u32);
    prop::option::weighted(0.8, origin).prop_map(|origin| {
        origin.map(|(run, step, attempt)| Arc::new(Origin { run, step, attempt }))
    })
}

fn message() -> impl Strategy<Value = Arc<Message>> {
    let kind = prop_oneof![
        3 => Just(Kind::Data),
        1 => cursor().prop_map(|after| Kind::Rollback { after }),
    ];
    (cursor(), topic(), kind, 0..4_usize, at(), origin()).prop_map(
        |(cursor, topic, kind, bytes, created_at, origin)| {
            let payload = match kind {
                Kind::Data => format!("\"{}\"", "x".repeat(bytes)).into(),
                Kind::Rollback { .. } | Kind::Ended { .. } | Kind::Status => bytes::Bytes::new(),
            };
            Arc::new(Message {
                cursor,
                topic,
                kind,
                payload,
                created_at,
                origin,
            })
        },
    )
}

fn text() -> impl Strategy<Value = Arc<Message>> {
    message().prop_map(|message| {
        let payload = bytes::Bytes::from_static(b"\"all\"");
        Arc::new(Message {
            kind: Kind::Data,
            payload,
            ..Message::clone(&message)
        })
    })
}

fn run() -> impl Strategy<Value = RunRow> {
    let phase = prop::sample::select(&Phase::ALL[..]);
    let parent = prop::option::of((run_id(), step()));
    (0..RUNS, phase, 0..3_u32, at(), parent, 1..5_u64).prop_map(
        |(n, phase, lease, at, parent, event)| RunRow {
            id: nth_run(n),
            event: event_id(event),
            lease,
            due_at: at,
            ended_at: phase.is_final().then_some(at),
            outcome: phase.is_final().then(|| Outcome::Err(samples::error("no"))),
            parent: parent.map(|(run, step)| Parent { run, step }),
            ..samples::run(n, phase)
        },
    )
}

fn event_id(n: u64) -> stepcast_protocol::EventId {
    stepcast_protocol::EventId::from_parts(n * 1_000, n.into())
}

fn event() -> impl Strategy<Value = Arc<stepcast_protocol::Event>> {
    (1..5_u64, event_name(), prop::option::of(0..2_u32)).prop_map(|(n, name, key)| {
        Arc::new(stepcast_protocol::Event {
            id: event_id(n),
            key: key.map(|key| key.to_string()),
            ..(*samples::event(n, name)).clone()
        })
    })
}

fn step_row() -> impl Strategy<Value = StepRow> {
    let state = prop_oneof![
        at().prop_map(|next_at| StepState::Open {
            next_at,
            error: None
        }),
        prop::option::of(at()).prop_map(|until| StepState::Waiting { until }),
        (1..9_u64).prop_map(|seq| StepState::Done {
            seq,
            outcome: Outcome::Ok(bytes::Bytes::from_static(b"1")),
        }),
    ];
    (run_id(), step(), state).prop_map(|(run, step, state)| StepRow {
        run,
        verb: Verb::Run,
        ..samples::step(0, &step, state)
    })
}

fn timer() -> impl Strategy<Value = Timer> {
    (at(), run_id(), prop::option::of(step())).prop_map(|(at, run, step)| Timer { at, run, step })
}

fn event_wait() -> impl Strategy<Value = EventWait> {
    let after = prop_oneof![Just(EventWait::NOW), 0..9_u64];
    (run_id(), step(), event_name(), after).prop_map(|(run, step, event, after)| EventWait {
        run,
        step,
        event: samples::event_name(event),
        matching: Vec::new(),
        condition: None,
        after,
        until: None,
    })
}

fn settled() -> impl Strategy<Value = Write> {
    let keys = prop::collection::vec((0..3_u8).prop_map(|n| BodyKey([n; 16])), 0..3);
    let channels = prop::collection::vec((channel(), cursor()), 0..2);
    (run_id(), keys, channels).prop_map(|(run, keys, channels)| Write::BodySettled {
        run,
        keys,
        channels,
    })
}

fn publish_key() -> impl Strategy<Value = Write> {
    (channel(), 0..2_u32, cursor(), at()).prop_map(|(channel, key, cursor, until)| {
        Write::PublishKey {
            channel,
            key: key.to_string(),
            cursor,
            until,
        }
    })
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        1 => event().prop_map(Write::Event),
        1 => (event(), at()).prop_map(|(event, until)| Write::EventKey(event, until)),
        2 => run().prop_map(|run| Write::Run(Box::new(run))),
        2 => step_row().prop_map(|row| Write::Step(Box::new(row))),
        1 => timer().prop_map(Write::Timer),
        1 => timer().prop_map(Write::ClearTimer),
        1 => event_wait().prop_map(|wait| Write::EventWait(Box::new(wait))),
        1 => (run_id(), step()).prop_map(|(run, step)| Write::ClearEventWait(run, step)),
        6 => (channel(), message()).prop_map(|(channel, message)| Write::Message(channel, message)),
        2 => (run_id(), channel(), cursor()).prop_map(|(run, channel, first)| Write::RunChannel(run, channel, first)),
        1 => settled(),
        1 => (channel(), cursor()).prop_map(|(channel, head)| Write::Head(channel, head)),
        1 => publish_key(),
        1 => (prop_oneof![Just(Void::Crashed), Just(Void::Released)], at()).prop_map(|(void, at)| Write::VoidLeases(void, at)),
        1 => (0..9_u8).prop_map(|n| Write::Setting("s", vec![n])),
    ]
}

/// What the background does, one at a time.
fn chore() -> impl Strategy<Value = Write> {
    prop_oneof![
        1 => (channel(), topic(), cursor()).prop_map(|(channel, topic, up_to)| Write::Trim(channel, topic, up_to)),
        1 => (channel(), text()).prop_map(|(channel, text)| Write::FoldText(channel, text)),
        1 => channel().prop_map(Write::DropChannel),
        1 => (at(), at(), prop_oneof![Just(1_usize), Just(9)]).prop_map(|(before, now, limit)| Write::Expire { before, now, limit }),
    ]
}

fn expect() -> impl Strategy<Value = Expect> {
    prop_oneof![
        (event(), at()).prop_map(|(event, at)| Expect::EventIsNew(Box::new((*event).clone()), at)),
        run_id().prop_map(Expect::RunIsOpen),
        run_id().prop_map(Expect::RunIsKept),
        (channel(), cursor()).prop_map(|(channel, at)| Expect::MessageIsKept(channel, at)),
        (channel(), 0..2_u32, at()).prop_map(|(channel, key, at)| Expect::PublishKeyIsFree(
            channel,
            key.to_string(),
            at
        )),
    ]
}

fn batch() -> impl Strategy<Value = Batch> {
    let fence = (run_id(), 0..3_u32).prop_map(|(run, lease)| Fence { run, lease });
    let fence = prop::option::weighted(0.1, fence);
    let expect = prop::option::weighted(0.2, expect());
    let writes = prop_oneof![
        4 => prop::collection::vec(write(), 1..4).prop_map(no_number_twice),
        1 => chore().prop_map(|chore| vec![chore]),
    ];
    (fence, expect, writes).prop_map(|(fence, expect, writes)| Batch {
        fence,
        expect: expect.into_iter().collect(),
        writes,
        ..Batch::default()
    })
}

/// A batch gives no message the number of another one that goes with it.
fn no_number_twice(mut writes: Vec<Write>) -> Vec<Write> {
    let mut has_record = false;
    writes.retain(|write| match write {
        Write::Message(_, message) => {
            let stays = !has_record;
            has_record |= !message.is_data();
            stays
        }
        _ => true,
    });
    writes
}

/// Every answer to every question, as text.
async fn everything(store: &dyn Store) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |what: &dyn Debug| said.push(format!("{what:?}"));
    let end = samples::cursor(9, 0);
    for name in CHANNELS.map(samples::channel) {
        say(&store.channel(name.clone()).await.unwrap());
        say(&store.topics(name.clone()).await.unwrap());
        for topics in [None, Some(Arc::from([samples::topic("t")]))] {
            let (channel, limit) = (name.clone(), 3);
            let mut query = MessageQuery {
                channel,
                after: Cursor::START,
                up_to: end,
                topics: topics.clone(),
                limit,
            };
            while query.after != end {
                let page = store.messages(query.clone()).await.unwrap();
                say(&page);
                query.after = page.next;
            }
            let query = NewestQuery {
                channel: name.clone(),
                up_to: samples::cursor(1, 9),
                topics,
                limit,
            };
            say(&store.newest(query).await.unwrap());
        }
        for topic in TOPICS.map(samples::topic) {
            let bounds = Bounds {
                messages: 2,
                bytes: 7,
                ..Bounds::default()
            };
            say(&store.overflow(name.clone(), topic, bounds).await.unwrap());
        }
    }
    say(&store.empty_channels(None, 9).await.unwrap());
    say(&store.offset_floor().await.unwrap());
    say(&store.timers(None, 99).await.unwrap());
    say(&store.event_waits(None, 99).await.unwrap());
    say(&store.setting("s").await.unwrap());
    for run in (0..RUNS).map(nth_run) {
        say(&store.run_row(run).await.unwrap());
        // One without its event cannot be read.
        say(&store.run(run).await.map_err(drop));
        say(&store.unsettled(run).await.unwrap());
        say(&store.channels_of(run, None, 9).await.unwrap());
    }
    for name in EVENTS.map(samples::event_name) {
        say(&store.events_after(name.clone(), 1, 99).await.unwrap());
        let query = EventQuery {
            name: Some(name),
            before: Some(event_id(3)),
            from: None,
            limit: 9,
        };
        say(&store.events(query).await.unwrap());
    }
    let function = FunctionId::parse("generate").unwrap();
    let due = |after| RunQuery::Due {
        function: function.clone(),
        after,
        now: samples::at(3_000),
        limit: 2,
    };
    let behind = DuePlace {
        is_new: true,
        due_at: samples::at(1_000),
        run: nth_run(1),
    };
    for query in [
        due(None),
        due(Some(behind)),
        RunQuery::Newest(Some(nth_run(2)), 9),
        RunQuery::OfEvent(event_id(1), 9),
        RunQuery::EndedBefore(samples::at(4_000), 2),
        RunQuery::EndedChildren(9),
    ] {
        say(&store.runs(query).await.unwrap());
    }
    said
}

/// What is kept in the order of commits. The numbers of the places are a backend's own.
async fn kept(store: &dyn Store) -> Vec<String> {
    let rows = store.kept(0, 999).await.unwrap();
    let places: BTreeSet<_> = rows.iter().map(|row| row.place).collect();
    assert_eq!(places.len(), rows.len());
    let text = rows.iter().map(|row| {
        let row = (
            &row.channel,
            &row.topic,
            row.cursor,
            row.created_at,
            row.run,
            row.run_is,
        );
        format!("{row:?}")
    });
    text.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_one_backend_answers_the_other_answers(batches in prop::collection::vec(batch(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (home, in_memory) = (Home::new(), InMemory::default());
            let (file, memory) = (Place::open(&home), in_memory.open());
            for batch in batches {
                let fates = (file.commit(batch.clone()), memory.commit(batch.clone()));
                let (one, other) = (within(fates.0).await, within(fates.1).await);
                match (&one, &other) {
                    (Err(one), Err(other)) => assert_eq!(one.code(), other.code(), "{batch:?}"),
                    (one, other) => assert_eq!(one, other, "{batch:?}"),
                }
            }
            assert_eq!(everything(&*file).await, everything(&*memory).await);
            assert_eq!(kept(&*file).await, kept(&*memory).await);
        });
    }
}

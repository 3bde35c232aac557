//! What was written reads back.

use std::sync::Arc;

use bytes::Bytes;
use stepcast_protocol::{Event, FunctionId, Message, Origin, limits};

use super::{Place, everything, put, samples::*};
use crate::store::{
    ChannelRow, DuePlace, EventQuery, EventWait, Guards, MessageQuery, Outcome, Parent, Phase,
    RunQuery, RunRow, StepRow, StepState, StoredEvent, StoredRun, Timer, Verb, Write,
    rows::Matching,
};

pub(super) async fn every_write_reads_back(place: Box<dyn Place>) {
    let store = place.open();
    let event = keyed_event(1, "e", "k");
    let row = RunRow {
        lease: u32::MAX,
        crashes: 3,
        started_at: Some(at(-1)),
        ended_at: Some(at(i64::MAX)),
        outcome: Some(Outcome::Err(error("ünlucky"))),
        parent: Some(Parent {
            run: run_id(9),
            step: step_id("invoke"),
        }),
        ..run(1, Phase::Failed)
    };
    let steps = every_step();
    let wait = EventWait {
        run: run_id(1),
        step: step_id("wait"),
        event: event_name("other"),
        matching: vec![Matching {
            field: "data.job".to_owned(),
            value: serde_json::json!({"a": [1.5, null]}),
        }],
        condition: Some("async.data.n > 1".to_owned()),
        after: 77,
        until: Some(at(9)),
    };
    let timer = Timer {
        at: at(3),
        run: run_id(1),
        step: Some(step_id("wait")),
    };
    let message = message(cursor(1, 1), "t");
    let mut writes = vec![
        Write::Event(Arc::clone(&event)),
        write_run(row.clone()),
        Write::EventWait(Box::new(wait.clone())),
        Write::Timer(timer.clone()),
        Write::Message(channel("c"), Arc::clone(&message)),
        Write::Setting("secret", vec![0, 255]),
    ];
    writes.extend(steps.iter().cloned().map(write_step));
    put(&store, writes).await.unwrap();

    let stored = StoredRun {
        row: row.clone(),
        steps,
        event: Arc::clone(&event),
        body: Vec::new(),
    };
    assert_eq!(store.run(run_id(1)).await.unwrap(), Some(stored));
    assert_eq!(store.run_row(run_id(1)).await.unwrap(), Some(row));
    assert_eq!(
        store.event(event_id(1)).await.unwrap(),
        Some(StoredEvent { seq: 1, event })
    );
    assert_eq!(store.event_waits(None, 9).await.unwrap(), [wait]);
    assert_eq!(store.timers(None, 9).await.unwrap(), vec![timer.clone()]);
    assert_eq!(
        store.messages(everything("c")).await.unwrap().messages,
        [Message::clone(&message)]
    );
    assert_eq!(store.setting("secret").await.unwrap(), Some(vec![0, 255]));
    let head = ChannelRow {
        head: cursor(1, 1),
        trimmed: Vec::new(),
    };
    assert_eq!(store.channel(channel("c")).await.unwrap(), Some(head));

    let cleared = vec![
        Write::ClearTimer(timer),
        Write::ClearEventWait(run_id(1), step_id("wait")),
    ];
    put(&store, [cleared.clone(), cleared].concat())
        .await
        .unwrap();
    assert_eq!(store.timers(None, 9).await.unwrap(), []);
    assert_eq!(store.event_waits(None, 9).await.unwrap(), []);
}

/// One step per state and verb, in the order of their ids.
fn every_step() -> Vec<StepRow> {
    let states = [
        StepState::Open {
            next_at: at(5),
            error: None,
        },
        StepState::Open {
            next_at: at(6),
            error: Some(error("no")),
        },
        StepState::Waiting { until: None },
        StepState::Waiting { until: Some(at(7)) },
        StepState::Done {
            seq: 1,
            outcome: Outcome::Ok(Bytes::from_static(b"{\"a\": 1.50}")),
        },
        StepState::Done {
            seq: u64::from(u32::MAX),
            outcome: Outcome::Err(error("no")),
        },
    ];
    let named = states
        .into_iter()
        .zip(Verb::ALL)
        .zip(["A", "Z", "a", "a.b", "ä", "\u{1F600}"]);
    named
        .map(|((state, verb), name)| StepRow {
            verb,
            target: format!("to {name}"),
            attempts: 7,
            ..step(1, name, state)
        })
        .collect()
}

pub(super) async fn messages_are_paged_and_filtered(place: Box<dyn Place>) {
    let store = place.open();
    let mut all = Vec::new();
    for epoch in 1..=2 {
        for offset in 1..=600_u64 {
            let topic = ["tokens", "status", "log"][(offset % 3) as usize];
            all.push(Message {
                origin: origin(offset),
                ..(*message(cursor(epoch, offset), topic)).clone()
            });
        }
    }
    let write = |message: &Message| Write::Message(channel("c"), Arc::new(message.clone()));
    put(&store, all.iter().map(write).collect()).await.unwrap();
    put(&store, vec![write_message("d", 1)]).await.unwrap();

    let page = store.messages(everything("c")).await.unwrap();
    assert_eq!(page.next, page.messages[limits::PAGE_ROWS - 1].cursor);
    let page = page.messages;
    assert_eq!(page, all[..limits::PAGE_ROWS]);
    let rest = MessageQuery {
        after: page.last().unwrap().cursor,
        ..everything("c")
    };
    assert_eq!(
        store.messages(rest).await.unwrap().messages,
        all[limits::PAGE_ROWS..]
    );

    let between = MessageQuery {
        after: cursor(1, 590),
        up_to: cursor(2, 5),
        limit: 12,
        ..everything("c")
    };
    assert_eq!(
        store.messages(between).await.unwrap().messages,
        all[590..602]
    );

    let topics: Arc<[_]> = Arc::from([topic("status"), topic("none")]);
    let filtered = MessageQuery {
        topics: Some(Arc::clone(&topics)),
        ..everything("c")
    };
    let expected: Vec<_> = all
        .iter()
        .filter(|message| message.topic == "status")
        .cloned()
        .collect();
    assert_eq!(store.messages(filtered).await.unwrap().messages, expected);
    let none = MessageQuery {
        topics: Some(Arc::from([])),
        ..everything("c")
    };
    assert_eq!(store.messages(none).await.unwrap().messages, []);
}

fn origin(n: u64) -> Option<Arc<Origin>> {
    match n % 3 {
        0 => None,
        1 => Some(Arc::new(Origin {
            run: run_id(n),
            step: None,
            attempt: 1,
        })),
        _ => Some(Arc::new(Origin {
            run: run_id(n),
            step: Some(step_id("s")),
            attempt: 9,
        })),
    }
}

pub(super) async fn a_page_is_bounded_in_bytes(place: Box<dyn Place>) {
    let store = place.open();
    let large = |offset| Message {
        payload: Bytes::from(format!("\"{}\"", "x".repeat(limits::PAGE_BYTES / 2))),
        ..(*message(cursor(1, offset), "t")).clone()
    };
    for offset in 1..=3 {
        let write = Write::Message(channel("c"), Arc::new(large(offset)));
        put(&store, vec![write]).await.unwrap();
    }
    let page = store.messages(everything("c")).await.unwrap();
    assert_eq!((page.messages.len(), page.next), (2, cursor(1, 2)));
    let rest = MessageQuery {
        after: page.next,
        ..everything("c")
    };
    let up_to = rest.up_to;
    let page = store.messages(rest).await.unwrap();
    assert_eq!((page.messages, page.next), (vec![large(3)], up_to));
}

pub(super) async fn events_come_in_commit_order(place: Box<dyn Place>) {
    let store = place.open();
    // Ids run against the order of the commits.
    for n in (1..=6_u64).rev() {
        let name = if n % 2 == 0 { "even" } else { "odd" };
        put(&store, vec![Write::Event(event(n, name))])
            .await
            .unwrap();
    }
    let ids = |page: Vec<StoredEvent>| {
        page.iter()
            .map(|stored| (stored.seq, stored.event.id))
            .collect::<Vec<_>>()
    };
    let even = store.events_after(event_name("even"), 0, 9).await.unwrap();
    assert_eq!(
        ids(even),
        [(1, event_id(6)), (3, event_id(4)), (5, event_id(2))]
    );
    let page = store.events_after(event_name("even"), 1, 1).await.unwrap();
    assert_eq!(ids(page), [(3, event_id(4))]);
    let none = store.events_after(event_name("even"), 5, 9).await.unwrap();
    assert_eq!(none, []);
}

pub(super) async fn events_come_newest_first(place: Box<dyn Place>) {
    let store = place.open();
    for n in [3, 1, 5, 2, 4_u64] {
        let name = if n % 2 == 0 { "even" } else { "odd" };
        put(&store, vec![Write::Event(event(n, name))])
            .await
            .unwrap();
    }
    let all = EventQuery {
        name: None,
        before: None,
        from: None,
        limit: 9,
    };
    for (query, expected) in [
        (all.clone(), vec![5, 4, 3, 2, 1]),
        (
            EventQuery {
                limit: 2,
                ..all.clone()
            },
            vec![5, 4],
        ),
        (
            EventQuery {
                before: Some(event_id(4)),
                from: Some(event_id(2)),
                ..all.clone()
            },
            vec![3, 2],
        ),
        (
            EventQuery {
                name: Some(event_name("odd")),
                before: Some(event_id(5)),
                ..all.clone()
            },
            vec![3, 1],
        ),
    ] {
        let page = store.events(query.clone()).await.unwrap();
        let ids: Vec<_> = page.iter().map(|stored| stored.event.id).collect();
        let expected: Vec<_> = expected.into_iter().map(event_id).collect();
        assert_eq!(ids, expected, "{query:?}");
    }
    let large = |n| {
        Arc::new(Event {
            data: Bytes::from(format!("{{\"x\":\"{}\"}}", "x".repeat(limits::PAGE_BYTES))),
            ..Event::clone(&event(n, "large"))
        })
    };
    put(&store, vec![Write::Event(large(7)), Write::Event(large(8))])
        .await
        .unwrap();
    let page = store.events(all).await.unwrap();
    assert_eq!(page.len(), 1, "a page is bounded in bytes");
}

pub(super) async fn timers_come_in_order(place: Box<dyn Place>) {
    let store = place.open();
    let timer = |millis, run, step: Option<&str>| Timer {
        at: at(millis),
        run: run_id(run),
        step: step.map(step_id),
    };
    let mut timers = vec![
        timer(2, 1, Some("b")),
        timer(2, 1, Some("a")),
        timer(2, 1, None),
        timer(-5, 3, None),
        timer(2, 0, Some("z")),
        timer(9, 1, None),
    ];
    put(&store, timers.iter().cloned().map(Write::Timer).collect())
        .await
        .unwrap();
    put(&store, vec![Write::Timer(timer(9, 1, None))])
        .await
        .unwrap();
    timers.sort();
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let page = store.timers(after.clone(), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 2);
        after = page.last().cloned();
        seen.extend(page);
    }
    assert_eq!(seen, timers);
}

pub(super) async fn event_waits_know_their_place(place: Box<dyn Place>) {
    let store = place.open();
    let wait = |run, name: &str| EventWait {
        run: run_id(run),
        step: step_id(name),
        event: event_name("e"),
        matching: Vec::new(),
        condition: None,
        after: EventWait::NOW,
        until: None,
    };
    let write = |run, name: &str| Write::EventWait(Box::new(wait(run, name)));
    put(&store, vec![write(2, "none-yet")]).await.unwrap();
    put(
        &store,
        vec![
            Write::Event(event(1, "x")),
            write(1, "b"),
            Write::Event(event(2, "e")),
            write(1, "a"),
        ],
    )
    .await
    .unwrap();
    let page = store.event_waits(None, 2).await.unwrap();
    let place = |wait: &EventWait| (wait.run, wait.step.to_string(), wait.after);
    assert_eq!(
        page.iter().map(place).collect::<Vec<_>>(),
        [(run_id(1), "a".into(), 2), (run_id(1), "b".into(), 1)]
    );
    let rest = store
        .event_waits(Some((run_id(1), step_id("b"))), 2)
        .await
        .unwrap();
    let none_yet = EventWait {
        after: 0,
        ..wait(2, "none-yet")
    };
    assert_eq!(rest, [none_yet]);
}

pub(super) async fn runs_are_found(place: Box<dyn Place>) {
    let store = place.open();
    let rows = vec![
        RunRow {
            due_at: at(30),
            lease: 1,
            ..run(1, Phase::Queued)
        },
        RunRow {
            due_at: at(10),
            keys: vec!["a".to_owned(), "\"b".to_owned()],
            guards: Guards {
                cancel_on: vec![event_name("stop"), event_name("halt")],
                ends_within: Some(std::time::Duration::from_millis(1_500)),
                announces_end: Some(true),
                ..Guards::default()
            },
            ..run(2, Phase::Queued)
        },
        RunRow {
            due_at: at(10),
            event: event_id(1),
            ..run(3, Phase::Queued)
        },
        RunRow {
            due_at: at(5),
            ..run(4, Phase::Leased)
        },
        child(5, Phase::Completed, "waits"),
        child(6, Phase::Failed, "ended"),
        child(7, Phase::Queued, "waits"),
        child(8, Phase::Cancelled, "unknown"),
        child(9, Phase::Cancelled, "waits"),
    ];
    let mut writes: Vec<_> = rows.into_iter().map(write_run).collect();
    writes.push(write_step(step(
        4,
        "waits",
        StepState::Waiting { until: None },
    )));
    writes.push(write_step(done(4, "ended", 1)));
    // Run 6 has ended while a step of it waited for run 0.
    let parent = Parent {
        run: run_id(6),
        step: step_id("waits"),
    };
    writes.push(write_run(RunRow {
        parent: Some(parent),
        ..run(0, Phase::Completed)
    }));
    writes.push(write_step(step(
        6,
        "waits",
        StepState::Waiting { until: None },
    )));
    put(&store, writes).await.unwrap();

    let function = FunctionId::parse("generate").unwrap();
    let due = |now, limit| RunQuery::Due {
        function: function.clone(),
        after: None,
        now: at(now),
        limit,
    };
    let behind = |is_new, due_at, run, limit| RunQuery::Due {
        function: function.clone(),
        after: Some(DuePlace {
            is_new,
            due_at: at(due_at),
            run: run_id(run),
        }),
        now: at(30),
        limit,
    };
    let other = FunctionId::parse("other").unwrap();
    for (query, expected) in [
        (
            RunQuery::Due {
                function: other,
                after: None,
                now: at(30),
                limit: 9,
            },
            vec![],
        ),
        (due(29, 9), vec![2, 3]),
        (due(30, 9), vec![1, 2, 3]),
        (due(30, 2), vec![1, 2]),
        (due(29, 1), vec![2]),
        (due(9, 9), vec![]),
        (behind(false, 29, 9, 9), vec![1, 2, 3]),
        (behind(false, 29, 9, 1), vec![1]),
        (behind(false, 30, 1, 9), vec![2, 3]),
        (behind(true, 9, 9, 9), vec![2, 3]),
        (behind(true, 10, 2, 9), vec![3]),
        (behind(true, 10, 3, 9), vec![]),
        (RunQuery::OfEvent(event_id(1), 9), vec![1, 3]),
        (RunQuery::OfEvent(event_id(1), 1), vec![1]),
        (RunQuery::Newest(None, 2), vec![9, 8]),
        (RunQuery::Newest(Some(run_id(3)), 9), vec![2, 1, 0]),
        (RunQuery::EndedChildren(9), vec![5, 9]),
        (RunQuery::EndedChildren(1), vec![5]),
    ] {
        let found: Vec<_> = store
            .runs(query.clone())
            .await
            .unwrap()
            .iter()
            .map(|row| row.id)
            .collect();
        let expected: Vec<_> = expected.into_iter().map(run_id).collect();
        assert_eq!(found, expected, "{query:?}");
    }
}

fn child(n: u64, phase: Phase, step: &str) -> RunRow {
    RunRow {
        parent: Some(Parent {
            run: run_id(4),
            step: step_id(step),
        }),
        due_at: at(1_000),
        ..run(n, phase)
    }
}

pub(super) async fn what_is_absent_is_nothing(place: Box<dyn Place>) {
    let store = place.open();
    assert_eq!(store.channel(channel("c")).await.unwrap(), None);
    assert_eq!(store.offset_floor().await.unwrap(), 0);
    assert_eq!(store.messages(everything("c")).await.unwrap().messages, []);
    assert_eq!(store.run(run_id(1)).await.unwrap(), None);
    assert_eq!(store.event(event_id(1)).await.unwrap(), None);
    assert_eq!(store.setting("s").await.unwrap(), None);
    assert_eq!(store.runs(RunQuery::Newest(None, 9)).await.unwrap(), []);
}

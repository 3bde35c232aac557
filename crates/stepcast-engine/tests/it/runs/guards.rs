//! What starts a run only under a condition, and what ends it from outside.

use std::time::Duration;

use stepcast_engine::{
    expression::Expression,
    runs::{CancelOn, FunctionConfig, KeyLimit, LimitScope, Trigger},
    store::{Batch, Verb, Write},
};
use stepcast_protocol::{
    EventName, EventPattern, RunId, RunStatus,
    event::{CheckedEvent, Extras},
};

use super::script::{Life, World, function};

fn condition(text: &str) -> Option<Expression> {
    Some(Expression::parse(text).unwrap())
}

fn event(name: &str, data: &str) -> CheckedEvent {
    CheckedEvent {
        name: EventName::parse(name).unwrap(),
        data: data.as_bytes().to_vec().into(),
        key: None,
        at: None,
        extras: Extras::default(),
    }
}

async fn sent(life: &Life, name: &str, data: &str) -> Vec<RunId> {
    let sent = life.engine.send(vec![event(name, data)], None).await;
    sent.unwrap().remove(0).runs
}

fn cancelled_by_stop() -> FunctionConfig {
    FunctionConfig {
        cancel_on: vec![CancelOn {
            event: EventName::parse("stop").unwrap(),
            condition: condition("event.data.user == async.data.user && async.data.n > 1"),
            within: Some(Duration::from_secs(60)),
        }],
        ..function("f")
    }
}

fn world(function: FunctionConfig) -> World {
    let mut world = World::new();
    world.functions[0] = function;
    world
}

/// What the run says about its end.
async fn why(life: &Life, run: RunId) -> String {
    let view = life.end_of(run).await;
    assert_eq!(view.status, RunStatus::Cancelled);
    view.error.unwrap().message
}

#[tokio::test]
async fn a_trigger_starts_runs_of_events_for_which_its_condition_holds() {
    let world = world(FunctionConfig {
        triggers: vec![
            Trigger {
                event: EventPattern::parse("a/*").unwrap(),
                condition: condition("event.data.n > 1"),
            },
            Trigger {
                event: EventPattern::parse("a/b").unwrap(),
                condition: condition("event.data.n == 0"),
            },
        ],
        ..function("f")
    });
    let life = world.open().await;
    for (name, data, starts) in [
        ("a/b", r#"{"n":2}"#, 1),
        ("a/b", r#"{"n":0}"#, 1),
        ("a/b", r#"{"n":1}"#, 0),
        ("a/c", r#"{"n":0}"#, 0),
        ("a/b", "{}", 0),
        ("b", r#"{"n":2}"#, 0),
    ] {
        assert_eq!(sent(&life, name, data).await.len(), starts, "{name} {data}");
    }
}

#[tokio::test]
async fn an_event_that_a_function_names_cancels_its_runs_and_no_others() {
    let world = world(cancelled_by_stop());
    let life = world.open().await;
    let run = sent(&life, "f", r#"{"user":"u"}"#).await[0];
    let other = sent(&life, "f", r#"{"user":"v"}"#).await[0];
    for data in [r#"{"user":"u","n":1}"#, r#"{"n":2}"#, "{}"] {
        sent(&life, "stop", data).await;
    }
    assert_eq!(life.status(run).await, RunStatus::Running);
    sent(&life, "stop", r#"{"user":"u","n":2}"#).await;
    let why = why(&life, run).await;
    assert!(
        why.starts_with("the run was cancelled by event `stop` 0"),
        "{why}"
    );
    assert_eq!(life.status(other).await, RunStatus::Running);
    world.clock.advance(Duration::from_secs(61));
    sent(&life, "stop", r#"{"user":"v","n":2}"#).await;
    assert_eq!(life.status(other).await, RunStatus::Running);
}

#[tokio::test]
async fn what_cancels_a_run_outlives_the_process() {
    let world = world(cancelled_by_stop());
    let mut life = world.open().await;
    let run = sent(&life, "f", r#"{"user":"u"}"#).await[0];
    drop(life.next().await);
    life.dies();
    let life = world.open().await;
    sent(&life, "stop", r#"{"user":"u","n":2}"#).await;
    why(&life, run).await;
    life.has_no_timers().await;
}

#[tokio::test]
async fn a_run_that_has_not_begun_in_time_is_cancelled() {
    let mut world = world(FunctionConfig {
        concurrency: 1,
        starts_within: Some(Duration::from_secs(10)),
        ..function("f")
    });
    world.functions.truncate(1);
    let mut life = world.open().await;
    let first = life.start().await;
    let late = life.send("f").await;
    world.clock.advance(Duration::from_secs(11));
    let why = why(&life, late).await;
    assert!(why.contains("not begun within 10s"), "{why}");
    assert_eq!(life.status(first.run.id).await, RunStatus::Running);
    first.returns().await;
    // One that begins in time leaves nothing that fires.
    life.start().await.returns().await;
    life.has_no_timers().await;
}

#[tokio::test]
async fn a_run_that_has_not_ended_in_time_is_cancelled() {
    let world = world(FunctionConfig {
        ends_within: Some(Duration::from_secs(60)),
        ..function("f")
    });
    let mut life = world.open().await;
    life.start().await.returns().await;
    life.has_no_timers().await;
    let mut run = life.start().await;
    let id = run.run.id;
    run.sleeps("s", Duration::from_secs(3_600)).await;
    run.parks(0).await;
    drop(run);
    life.dies();
    let life = world.open().await;
    world.clock.advance(Duration::from_secs(61));
    let why = why(&life, id).await;
    assert!(why.contains("not ended within 60s"), "{why}");
    life.has_no_timers().await;
}

#[tokio::test]
async fn runs_are_counted_by_their_keys() {
    let limit = |runs, key, scope| KeyLimit {
        runs,
        key: condition(key),
        scope,
    };
    let mut world = world(FunctionConfig {
        limits: vec![limit(1, "event.data.user", LimitScope::Function)],
        ..function("f")
    });
    let shared = limit(2, "'all'", LimitScope::Environment);
    world.functions[0].limits.push(shared.clone());
    world.functions[1].limits = vec![shared];
    let mut life = world.open().await;
    let u = |n: u64| format!(r#"{{"user":"u","n":{n}}}"#);
    let first = sent(&life, "f", &u(1)).await[0];
    let second = sent(&life, "f", &u(2)).await[0];
    let other = sent(&life, "f", r#"{"user":"v"}"#).await[0];
    let shared = sent(&life, "g", "{}").await[0];
    let (one, two) = (life.next().await, life.next().await);
    assert_eq!((one.run.id, two.run.id), (first, other));
    for waits in [second, shared] {
        assert_eq!(life.status(waits).await, RunStatus::Queued);
    }
    one.returns().await;
    let next = life.next().await;
    assert_eq!(next.run.id, second);
    drop((two, next));
    // After a restart they have the keys they had.
    life.dies();
    let mut life = world.open().await;
    let (one, two) = (life.next().await, life.next().await);
    assert!(!life.has_started());
    let mut ids = vec![one.run.id, two.run.id];
    one.returns().await;
    let three = life.next().await;
    ids.push(three.run.id);
    ids.sort();
    let mut expected = vec![second, other, shared];
    expected.sort();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_key_starts_a_function_once_within_a_day() {
    let mut world = World::new();
    for index in 0..2 {
        world.functions[index].triggers = vec![Trigger::from(EventName::parse("f").unwrap())];
    }
    world.functions[0].idempotency = condition("event.data.user");
    let life = world.open().await;
    assert_eq!(sent(&life, "f", r#"{"user":"u"}"#).await.len(), 2);
    assert_eq!(sent(&life, "f", r#"{"user":"u"}"#).await.len(), 1);
    assert_eq!(sent(&life, "f", r#"{"user":"v"}"#).await.len(), 2);
    // Several of one request.
    let events = ["w", "w", "u"].map(|user| event("f", &format!(r#"{{"user":"{user}"}}"#)));
    let accepted = life.engine.send(events.into(), None).await.unwrap();
    let runs: Vec<_> = accepted
        .iter()
        .map(|accepted| accepted.runs.len())
        .collect();
    assert_eq!(runs, [2, 1, 1]);
    life.dies();
    let life = world.open().await;
    assert_eq!(sent(&life, "f", r#"{"user":"u"}"#).await.len(), 1);
    world
        .clock
        .advance(stepcast_protocol::limits::IDEMPOTENCY_WINDOW);
    assert_eq!(sent(&life, "f", r#"{"user":"u"}"#).await.len(), 2);
}

#[tokio::test]
async fn a_step_that_sends_what_a_function_was_started_for_goes_on_without_it() {
    let mut world = World::new();
    world.functions[1].idempotency = condition("event.data.user");
    let mut life = world.open().await;
    sent(&life, "g", r#"{"user":"u"}"#).await;
    drop(life.next().await);
    let mut run = life.start().await;
    let events = ["u", "v"].map(|user| event("g", &format!(r#"{{"user":"{user}"}}"#)));
    run.lease()
        .step_sends(super::script::key("s", Verb::SendEvent), events.into());
    run.hears_end("s").await;
    let started = life.next().await;
    assert_eq!(&*started.run.event.data, br#"{"user":"v"}"#);
    assert!(!life.has_started());
    run.returns().await;
}

#[tokio::test]
async fn an_end_that_a_handler_was_started_for_is_an_end_without_it() {
    let mut world = World::new();
    world.functions[0].announces_end = true;
    world.functions[1].triggers = vec![Trigger::from(
        EventName::parse("inngest/function.finished").unwrap(),
    )];
    world.functions[1].idempotency = condition("event.data.function_id");
    let mut life = world.open().await;
    for starts in [true, false] {
        let run = life.send("f").await;
        life.next().await.returns().await;
        assert_eq!(life.end_of(run).await.status, RunStatus::Completed);
        if starts {
            let handler = life.next().await;
            assert_eq!(handler.run.function, "g");
            handler.returns().await;
        }
        assert!(!life.has_started());
    }
}

#[tokio::test]
async fn reports_that_share_a_commit_start_a_function_once_for_a_key() {
    for ends in [false, true] {
        let mut world = World::new();
        world.functions[0].announces_end = true;
        world.functions[1].idempotency = condition("'all'");
        let ending = EventName::parse("inngest/function.finished").unwrap();
        world.functions[1].triggers.push(Trigger::from(ending));
        let mut life = world.open().await;
        let mut run = life.start().await;
        life.gate.close_gate();
        // What comes while this is on its way makes one batch.
        run.reports("a");
        for step in ["s", "t"] {
            let step = super::script::key(step, Verb::SendEvent);
            run.lease().step_sends(step, vec![event("g", "{}")]);
            if ends {
                break;
            }
        }
        let id = run.run.id;
        if ends {
            run.lease().returned("1".into());
            life.gate.open_gate();
            assert_eq!(life.end_of(id).await.status, RunStatus::Completed);
        } else {
            life.gate.open_gate();
            for step in ["a", "s", "t"] {
                run.hears_end(step).await;
            }
        }
        assert_eq!(life.next().await.run.function, "g");
        assert!(!life.has_started(), "with its end: {ends}");
        assert_eq!(life.newest_runs().await, 2);
    }
}

#[tokio::test]
async fn what_was_started_before_costs_one_more_commit_however_much_it_is() {
    let mut world = World::new();
    world.functions[1].idempotency = condition("event.data.n");
    let life = world.open().await;
    // Known by the sender's key, by the function's, and new.
    let keyed = |n: u64| CheckedEvent {
        key: Some(n.to_string()),
        ..event("e", "{}")
    };
    let started = |n: u64| event("g", &format!(r#"{{"n":{n}}}"#));
    let events = |to| {
        let numbers = 0..to;
        numbers.flat_map(|n| [keyed(n), started(n)]).collect()
    };
    // The runs that were started are taken up meanwhile, which costs commits of their own.
    let brings_events = |batch: &Batch| {
        let mut writes = batch.writes.iter();
        writes.any(|write| matches!(write, Write::Event(_)))
    };
    let commits = || {
        let batches = life.gate.let_through().into_iter();
        batches.filter(brings_events).count()
    };
    let first = life.engine.send(events(50), None).await.unwrap();
    let before = commits();
    let second = life.engine.send(events(51), None).await.unwrap();
    assert_eq!(commits(), before + 2);
    for (n, accepted) in second.iter().enumerate() {
        match first.get(n) {
            Some(earlier) if n % 2 == 0 => assert_eq!(accepted, earlier),
            Some(earlier) => {
                assert_ne!(accepted.event, earlier.event);
                assert!(accepted.runs.is_empty());
            }
            None => assert_eq!(accepted.runs.len(), n % 2),
        }
    }
}

#[tokio::test]
async fn a_step_whose_functions_were_started_before_needs_one_more_commit() {
    let mut world = World::new();
    world.functions[1].idempotency = condition("event.data.n");
    let mut life = world.open().await;
    let all = || (0..50).map(|n| event("g", &format!(r#"{{"n":{n}}}"#)));
    let first = life.engine.send(all().collect(), None).await.unwrap();
    for _ in 0..first.len() {
        assert_eq!(life.next().await.run.function, "g");
    }
    let mut run = life.start().await;
    let before = life.gate.let_through().len();
    let step = super::script::key("s", Verb::SendEvent);
    run.lease().step_sends(step, all().collect());
    run.hears_end("s").await;
    assert_eq!(life.gate.let_through().len(), before + 2);
    assert_eq!(life.newest_runs().await, first.len() + 1);
}

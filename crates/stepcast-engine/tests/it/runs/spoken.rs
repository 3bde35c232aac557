//! What runs publish from outside, as functions do that are served over HTTP.

use stepcast_engine::{
    Addressed, Broadcast, EngineError, Publication,
    runs::{BodyFate, Failure, FunctionConfig, Retry, StepAttempt},
    store::{MessageQuery, Store, Verb},
};
use stepcast_protocol::{Cursor, Epoch, ErrorCode, Kind, Offset, RunId, StepId, TopicName, limits};

use super::script::{Life, World, function, key};
use crate::support::channel_name;

const LAST: Cursor = Cursor {
    epoch: Epoch(u64::MAX >> 1),
    offset: Offset(u64::MAX >> 1),
};

async fn says(life: &Life, run: RunId, n: u64) {
    let publication = Publication {
        channel: channel_name("c"),
        topic: TopicName::parse("t").unwrap(),
        payload: n.to_string().into(),
        run: Some(run),
        durable: false,
        key: None,
    };
    life.engine.publish(publication).await.unwrap();
}

/// What an attempt of the step `s` says; with a key it is waited for and once.
async fn says_in_step(life: &Life, run: RunId, attempt: u32, key: Option<&str>, n: u64) -> Cursor {
    says_in(life, run, ("s", attempt), key, n).await
}

async fn says_in(
    life: &Life,
    run: RunId,
    (step, attempt): (&str, u32),
    key: Option<&str>,
    n: u64,
) -> Cursor {
    tries_in(life, run, (step, attempt), key, n).await.unwrap()
}

/// The same, which may not be taken.
async fn tries_in(
    life: &Life,
    run: RunId,
    (step, attempt): (&str, u32),
    key: Option<&str>,
    n: u64,
) -> Result<Cursor, EngineError> {
    let publication = Publication {
        channel: channel_name("c"),
        topic: TopicName::parse("t").unwrap(),
        payload: n.to_string().into(),
        run: Some(run),
        durable: false,
        key: key.map(str::to_owned),
    };
    let attempt = StepAttempt {
        step: StepId::parse(step).unwrap(),
        attempt,
    };
    life.engine.publish_in_step(publication, &attempt).await
}

/// The messages that stand on the channel.
async fn standing(life: &Life) -> Vec<u64> {
    // What is not durable is written with the next commit.
    life.tell("flush", 0).await;
    let query = MessageQuery {
        channel: channel_name("c"),
        after: Cursor::START,
        up_to: LAST,
        topics: None,
        limit: limits::PAGE_ROWS,
    };
    let page = life.sqlite.messages(query).await.unwrap();
    let messages = page
        .messages
        .iter()
        .filter(|message| message.kind == Kind::Data);
    messages
        .map(|message| serde_json::from_slice(&message.payload).unwrap())
        .collect()
}

fn world() -> World {
    let mut world = World::new();
    world.functions[0] = FunctionConfig {
        speaks_from_outside: true,
        ..function("f")
    };
    world
}

fn failure(body: BodyFate) -> Failure {
    Failure {
        terminal: false,
        body,
        ..Failure::terminal(ErrorCode::FunctionFailed, "no")
    }
}

#[tokio::test]
async fn what_a_call_has_said_since_the_last_commit_is_void_when_it_fails() {
    let world = world();
    let mut life = world.open().await;
    let mut run = life.start().await;
    let id = run.run.id;
    says(&life, id, 1).await;
    run.does("a").await;
    says(&life, id, 2).await;
    run.lease().step_failed(
        key("b", Verb::Run),
        failure(BodyFate::Falls),
        Retry::times(3),
    );
    run.update().await;
    assert_eq!(standing(&life).await, [1]);
    says(&life, id, 3).await;
    run.lease().step_failed(
        key("b", Verb::Run),
        failure(BodyFate::Stands),
        Retry::times(3),
    );
    run.update().await;
    assert_eq!(standing(&life).await, [1, 3]);
    says(&life, id, 4).await;
    run.lease()
        .failed(failure(BodyFate::Usual), Retry::times(3));
    run.is_over().await;
    assert_eq!(standing(&life).await, [1, 3]);
    // Nobody holds it now: the message is nobody's, and stays.
    says(&life, id, 5).await;
    drop(run);
    life.dies();
    let life = world.open().await;
    assert_eq!(standing(&life).await, [1, 3, 5]);
}

#[tokio::test]
async fn what_a_call_has_said_is_void_when_the_process_dies_before_its_commit() {
    let world = world();
    let mut life = world.open().await;
    let mut run = life.start().await;
    let id = run.run.id;
    says(&life, id, 1).await;
    run.does("a").await;
    says(&life, id, 2).await;
    assert_eq!(standing(&life).await, [1, 2]);
    drop(run);
    life.dies();
    let mut life = world.open().await;
    let run = life.next().await;
    assert_eq!((run.run.id, standing(&life).await), (id, vec![1]));
    says(&life, id, 3).await;
    run.returns().await;
    assert_eq!(standing(&life).await, [1, 3]);
}

#[tokio::test]
async fn messages_that_name_runs_of_other_functions_are_nobodys() {
    let world = world();
    let mut life = world.open().await;
    life.send("g").await;
    let mut run = life.next().await;
    says(&life, run.run.id, 1).await;
    run.lease()
        .failed(failure(BodyFate::Usual), Retry::times(3));
    run.is_over().await;
    assert_eq!(standing(&life).await, [1]);
    says(&life, RunId::from_parts(1, 1), 2).await;
    assert_eq!(standing(&life).await, [1, 2]);
}

#[tokio::test]
async fn what_an_attempt_of_a_step_has_said_stands_and_falls_with_it() {
    let world = world();
    let mut life = world.open().await;
    let mut run = life.start().await;
    let id = run.run.id;
    let fails = |run: &super::script::Held| {
        let failure = failure(BodyFate::Stands);
        run.lease()
            .step_failed(key("s", Verb::Run), failure, Retry::times(3));
    };
    // Those that count failures of the function as well are ahead.
    says_in_step(&life, id, 1, Some("1"), 1).await;
    says_in_step(&life, id, 3, None, 2).await;
    says(&life, id, 3).await;
    assert_eq!(standing(&life).await, [1, 2, 3]);
    fails(&run);
    run.update().await;
    assert_eq!(standing(&life).await, [3]);
    let first = says_in_step(&life, id, 2, Some("2"), 4).await;
    assert_eq!(
        says_in_step(&life, id, 2, Some("2"), 4).await,
        first,
        "once"
    );
    // An attempt that has failed says no more, whether it waits for the commit or not.
    for key in [None, Some("5")] {
        let late = tries_in(&life, id, ("s", 1), key, 5).await;
        assert!(
            matches!(late, Err(EngineError::AttemptOver { attempt: 1, .. })),
            "{late:?}"
        );
    }
    run.does("s").await;
    assert_eq!(standing(&life).await, [3, 4]);
    // A step that has ended well may have had something on its way.
    says_in_step(&life, id, 2, None, 6).await;
    assert_eq!(standing(&life).await, [3, 4, 6]);
}

#[tokio::test]
async fn a_key_of_an_attempt_that_failed_is_free_for_the_next() {
    let world = world();
    let mut life = world.open().await;
    let mut run = life.start().await;
    let id = run.run.id;
    says_in_step(&life, id, 1, Some("k"), 1).await;
    says_in(&life, id, ("sk", 1), Some(""), 2).await;
    run.lease().step_failed(
        key("s", Verb::Run),
        failure(BodyFate::Stands),
        Retry::times(3),
    );
    run.update().await;
    assert_eq!(standing(&life).await, [2]);
    says_in_step(&life, id, 2, Some("k"), 1).await;
    assert_eq!(standing(&life).await, [2, 1]);
}

#[tokio::test]
async fn steps_that_are_made_up_are_nobodys_beyond_a_bound() {
    let world = world();
    let mut life = world.open().await;
    let mut run = life.start().await;
    let id = run.run.id;
    let steps = u64::try_from(limits::STEPS_PER_RUN).unwrap();
    for n in 0..steps + 2 {
        says_in(&life, id, (&format!("step {n}"), 1), None, n).await;
    }
    says_in(&life, id, ("step 0", 1), None, steps + 2).await;
    run.lease()
        .failed(failure(BodyFate::Usual), Retry::times(3));
    run.is_over().await;
    assert_eq!(standing(&life).await, [steps, steps + 1]);
}

#[tokio::test]
async fn a_key_of_an_attempt_that_died_with_its_process_is_free_again() {
    let world = world();
    let mut life = world.open().await;
    let run = life.start().await;
    let id = run.run.id;
    says_in_step(&life, id, 1, Some("1"), 1).await;
    assert_eq!(standing(&life).await, [1]);
    drop(run);
    life.dies();
    let mut life = world.open().await;
    let mut run = life.next().await;
    assert_eq!(standing(&life).await, [0; 0]);
    says_in_step(&life, id, 1, Some("1"), 1).await;
    run.does("s").await;
    assert_eq!(standing(&life).await, [1]);
}

#[tokio::test]
async fn what_a_step_of_a_run_that_nobody_holds_says_is_published_with_its_key_once() {
    let world = World::new();
    let mut life = world.open().await;
    let run = life.start().await;
    let id = run.run.id;
    // Functions of the program do not speak from outside.
    let first = says_in_step(&life, id, 1, Some("k"), 1).await;
    assert_eq!(says_in_step(&life, id, 1, Some("k"), 1).await, first);
    run.lease().failed(failure(BodyFate::Usual), Retry::never());
    life.end_of(id).await;
    assert_eq!(says_in_step(&life, id, 1, Some("k"), 1).await, first);
    assert_eq!(standing(&life).await, [1]);
}

#[tokio::test]
async fn what_is_said_on_several_topics_stands_and_falls_together() {
    let world = world();
    let mut life = world.open().await;
    let mut run = life.start().await;
    let id = run.run.id;
    let says = async |n: u64, step: Option<u32>, key: Option<&str>| {
        let on = |name: &str| Addressed {
            topic: TopicName::parse(name).unwrap(),
            payload: n.to_string().into(),
            key: key.map(|key| format!("{name}:{key}")),
        };
        let broadcast = Broadcast {
            channel: channel_name("c"),
            messages: ["t", "u"].map(on).to_vec(),
            run: Some(id),
            durable: false,
        };
        match step {
            None => life.engine.broadcast(broadcast).await,
            Some(attempt) => {
                let step = StepId::parse("s").unwrap();
                let attempt = StepAttempt { step, attempt };
                life.engine.broadcast_in_step(broadcast, &attempt).await
            }
        }
    };
    says(1, None, None).await.unwrap();
    let first = says(2, Some(1), Some("k")).await.unwrap();
    assert_eq!(says(2, Some(1), Some("k")).await.unwrap(), first, "once");
    assert_eq!(first.len(), 2);
    assert_eq!(standing(&life).await, [1, 1, 2, 2]);
    run.lease().step_failed(
        key("s", Verb::Run),
        failure(BodyFate::Falls),
        Retry::times(3),
    );
    run.update().await;
    assert_eq!(standing(&life).await, [0; 0]);
    // An attempt that has failed says no more; the body does.
    for key in [Some("j"), None] {
        assert!(says(3, Some(1), key).await.is_err());
    }
    says(3, None, Some("j")).await.unwrap();
    says(5, None, None).await.unwrap();
    assert_eq!(standing(&life).await, [3, 3, 5, 5]);
    run.lease()
        .failed(failure(BodyFate::Usual), Retry::times(3));
    run.is_over().await;
    // Of no run that is held.
    says(4, None, None).await.unwrap();
    assert_eq!(standing(&life).await, [3, 3, 4, 4]);
}

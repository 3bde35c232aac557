//! Signals: who is reached, and who may wait.

use stepcast_engine::{
    EngineError,
    runs::Update,
    store::{Outcome, Store, Verb},
};
use stepcast_protocol::{ErrorCode, RunId, sdk::Conflict};

use super::script::{Held, Life, World, key, step_id};

/// Step `w` asks to wait for the signal `s`.
fn asks(run: &Held, conflict: Conflict) -> Result<(), EngineError> {
    let key = key("w", Verb::WaitForSignal).with_target("s");
    run.lease().step_waits_for_signal(key, conflict, None)
}

async fn waits(run: &mut Held, conflict: Conflict) {
    asks(run, conflict).unwrap();
    assert_eq!(run.update().await, Update::Waiting(step_id("w")));
}

/// Sends the signal, and says whom it has reached.
async fn signal(life: &Life, data: &str) -> Option<RunId> {
    let data = data.as_bytes().to_vec().into();
    life.engine.signal("s", data).await.unwrap()
}

#[tokio::test]
async fn a_signal_reaches_the_run_that_waits_for_it_and_no_other() {
    let world = World::new();
    let mut life = world.open().await;
    let mut run = life.start().await;
    let id = run.run.id;
    waits(&mut run, Conflict::Fail).await;
    let other = life.start().await;
    let refused = asks(&other, Conflict::Fail);
    assert!(refused.unwrap_err().to_string().contains(&id.to_string()));
    assert_eq!(life.engine.signal("x", "1".into()).await.unwrap(), None);
    run.parks(0).await;
    drop((run, other));
    life.dies();
    let mut life = world.open().await;
    assert_eq!(signal(&life, r#"{"n":1}"#).await, Some(id));
    let (one, two) = (life.next().await, life.next().await);
    let (run, mut other) = if one.run.id == id {
        (one, two)
    } else {
        (two, one)
    };
    let expected = r#"{"signal":"s","data":{"n":1}}"#;
    assert_eq!(run.result("w"), Some(Outcome::Ok(expected.into())));
    assert_eq!(signal(&life, "2").await, None);
    // One that replaces another is the one that is reached.
    waits(&mut other, Conflict::Fail).await;
    let mut third = life.start().await;
    waits(&mut third, Conflict::Replace).await;
    assert_eq!(signal(&life, "3").await, Some(third.run.id));
    assert_eq!(signal(&life, "4").await, None);
}

#[tokio::test]
async fn who_is_to_be_replaced_waits_until_that_is_on_record() {
    let mut life = World::new().open().await;
    let mut first = life.start().await;
    waits(&mut first, Conflict::Fail).await;
    let mut second = life.start().await;
    life.gate.close_gate();
    asks(&second, Conflict::Replace).unwrap();
    life.gate.fail_nth(0);
    life.gate.open_gate();
    second.is_over().await;
    assert_eq!(signal(&life, "1").await, Some(first.run.id));
    first.hears_end("w").await;
}

#[tokio::test]
async fn who_was_refused_keeps_nobody_from_waiting() {
    let mut life = World::new().open().await;
    let mut first = life.start().await;
    waits(&mut first, Conflict::Fail).await;
    let refused = life.start().await;
    asks(&refused, Conflict::Fail).unwrap_err();
    assert_eq!(signal(&life, "1").await, Some(first.run.id));
    // Its report is refused, as its step is something else.
    let mut changed = life.start().await;
    changed.does("w").await;
    asks(&changed, Conflict::Fail).unwrap();
    let told = changed.update().await;
    assert!(
        matches!(&told, Update::StepRefused { error, .. } if error.code == ErrorCode::StepChanged.as_str()),
        "{told:?}"
    );
    // The run was lost with its commit.
    let mut lost = life.start().await;
    life.gate.close_gate();
    asks(&lost, Conflict::Fail).unwrap();
    life.gate.fail_nth(0);
    life.gate.open_gate();
    lost.is_over().await;
    let mut last = life.start().await;
    waits(&mut last, Conflict::Fail).await;
    assert_eq!(signal(&life, "2").await, Some(last.run.id));
}

#[tokio::test]
async fn of_two_who_replace_each_other_only_the_later_one_waits() {
    let mut life = World::new().open().await;
    let (mut first, mut second) = (life.start().await, life.start().await);
    life.gate.close_gate();
    // What the first asks for waits behind a report that is on its way.
    first.reports("a");
    asks(&first, Conflict::Replace).unwrap();
    asks(&second, Conflict::Replace).unwrap();
    life.gate.commit_nth(1).await;
    life.gate.open_gate();
    assert_eq!(second.update().await, Update::Waiting(step_id("w")));
    first.hears_end("a").await;
    assert_eq!(first.update().await, Update::Waiting(step_id("w")));
    let on_record = life.sqlite.event_waits(None, 9).await.unwrap();
    let on_record: Vec<_> = on_record.iter().map(|wait| wait.run).collect();
    assert_eq!(on_record, [second.run.id]);
    assert_eq!(signal(&life, "1").await, Some(second.run.id));
    assert_eq!(signal(&life, "2").await, None);
}

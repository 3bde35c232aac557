//! What a run has published, and whether a commit stands behind it.

use std::sync::Arc;

use stepcast_protocol::Cursor;

use super::{Place, put, samples::*};
use crate::store::{BodyKey, Phase, RunRow, StepState, Store, Unsettled, Write};

fn key(n: u8) -> BodyKey {
    BodyKey([n; 16])
}

fn begins(run: u64, name: &str, first: u64) -> Write {
    Write::RunChannel(run_id(run), channel(name), cursor(1, first))
}

fn settled(keys: &[u8], up_to: u64) -> Write {
    Write::BodySettled {
        run: run_id(1),
        keys: keys.iter().copied().map(key).collect(),
        channels: vec![(channel("c"), cursor(1, up_to))],
    }
}

fn unsettled(topic_name: &str, step: Option<&str>, attempt: u32, after: Cursor) -> Unsettled {
    Unsettled {
        channel: channel("c"),
        topic: topic(topic_name),
        step: step.map(step_id),
        attempt,
        after,
    }
}

/// Per message, its place and where a rollback of it would begin.
async fn found(store: &Arc<dyn Store>) -> Vec<Unsettled> {
    store.unsettled(run_id(1)).await.unwrap()
}

pub(super) async fn the_first_message_of_a_run_on_a_channel_counts(place: Box<dyn Place>) {
    let store = place.open();
    let step = || origin(1, Some("s"), 1);
    put(&store, vec![said(1, "t", step()), said(2, "t", step())])
        .await
        .unwrap();
    assert_eq!(found(&store).await, [], "nothing says where to look");
    put(&store, vec![begins(1, "c", 2), begins(1, "c", 1)])
        .await
        .unwrap();
    let second = unsettled("t", Some("s"), 1, cursor(1, 1));
    assert_eq!(found(&store).await, [second], "a later one changes nothing");
}

pub(super) async fn the_channels_of_a_run_are_found(place: Box<dyn Place>) {
    let store = place.open();
    let names = ["b", "a", "c", "b"];
    let mut writes: Vec<_> = names.iter().map(|name| begins(1, name, 1)).collect();
    writes.push(begins(2, "d", 1));
    put(&store, writes).await.unwrap();
    let of = async |store: &Arc<dyn Store>, run, after: Option<&str>, limit| {
        let after = after.map(channel);
        store.channels_of(run_id(run), after, limit).await.unwrap()
    };
    assert_eq!(of(&store, 1, None, 2).await, ["a", "b"].map(channel));
    assert_eq!(of(&store, 1, Some("b"), 2).await, [channel("c")]);
    assert_eq!(of(&store, 2, None, 9).await, [channel("d")]);
    assert!(of(&store, 3, None, 9).await.is_empty());
    store.close().await.unwrap();
    let reopened = place.open();
    assert_eq!(
        of(&reopened, 1, None, 9).await,
        ["a", "b", "c"].map(channel)
    );
}

pub(super) async fn a_body_remembers_what_it_has_published(place: Box<dyn Place>) {
    let store = place.open();
    let row = write_run(run(1, Phase::Parked));
    put(&store, vec![Write::Event(event(1, "e")), row])
        .await
        .unwrap();
    let body = async || store.run(run_id(1)).await.unwrap().unwrap().body;
    assert_eq!(body().await, []);
    put(&store, vec![settled(&[2, 1, 2], 1)]).await.unwrap();
    put(&store, vec![settled(&[2, 3], 2)]).await.unwrap();
    assert_eq!(body().await, [(key(1), 1), (key(2), 3), (key(3), 1)]);
    put(&store, vec![settled(&[], 3)]).await.unwrap();
    assert_eq!(body().await.len(), 3);
}

pub(super) async fn what_no_commit_stands_behind_is_found(place: Box<dyn Place>) {
    let store = place.open();
    let waiting = step(1, "waits", StepState::Waiting { until: None });
    let writes = vec![
        write_run(run(1, Phase::Leased)),
        begins(1, "c", 1),
        begins(2, "c", 1),
        write_step(done(1, "done", 1)),
        write_step(waiting),
        said(1, "t", origin(1, None, 1)),
        said(2, "t", origin(1, None, 2)),
        said(3, "t", origin(1, Some("done"), 1)),
        said(4, "t", origin(1, Some("open"), 1)),
        said(5, "t", origin(1, Some("open"), 1)),
        said(6, "u", origin(1, Some("open"), 1)),
        said(7, "t", origin(1, Some("waits"), 3)),
        said(8, "t", origin(1, None, 0)),
        said(9, "t", origin(2, Some("open"), 1)),
        said(10, "t", None),
        said(11, "t", origin(1, None, 2)),
        rollback(12, "t", origin(1, Some("fell"), 1), 0),
    ];
    put(&store, writes).await.unwrap();
    let of_steps = [
        unsettled("t", Some("open"), 1, cursor(1, 0)),
        unsettled("u", Some("open"), 1, cursor(1, 0)),
        unsettled("t", Some("waits"), 3, cursor(1, 0)),
    ];
    let of_body = |attempt, after| unsettled("t", None, attempt, after);
    let start = [of_body(1, Cursor::START), of_body(2, Cursor::START)];
    assert_eq!(found(&store).await, [&start[..], &of_steps].concat());

    put(&store, vec![settled(&[], 2)]).await.unwrap();
    let later = [of_body(2, cursor(1, 2))];
    assert_eq!(found(&store).await, [&of_steps[..], &later].concat());
    put(
        &store,
        vec![settled(&[], 11), write_step(done(1, "open", 2))],
    )
    .await
    .unwrap();
    assert_eq!(found(&store).await, of_steps[2..]);
    put(
        &store,
        vec![rollback(13, "t", origin(1, Some("waits"), 3), 6)],
    )
    .await
    .unwrap();
    assert_eq!(found(&store).await, []);
}

/// Somebody may hold what the bounds have taken: it has to be taken back like the rest.
pub(super) async fn what_bounds_take_of_an_open_attempt_is_remembered(place: Box<dyn Place>) {
    let store = place.open();
    let trim = |topic_name, up_to| Write::Trim(channel("c"), topic(topic_name), cursor(1, up_to));
    let writes = vec![
        write_run(run(1, Phase::Leased)),
        begins(1, "c", 2),
        write_step(done(1, "done", 1)),
        said(1, "t", origin(1, Some("earlier"), 1)),
        said(2, "t", origin(1, Some("open"), 1)),
        said(3, "t", origin(1, None, 1)),
        said(4, "t", origin(1, Some("done"), 1)),
        said(5, "u", origin(1, None, 1)),
        said(6, "t", origin(1, Some("open"), 1)),
        said(7, "t", origin(1, Some("open"), 2)),
        said(8, "t", origin(1, None, 1)),
        said(9, "t", origin(1, Some("open"), 0)),
    ];
    put(&store, writes).await.unwrap();
    let of_step = |attempt| unsettled("t", Some("open"), attempt, cursor(1, 1));
    let body = |topic_name, after| unsettled(topic_name, None, 1, cursor(1, after));
    let start = |topic_name| unsettled(topic_name, None, 1, Cursor::START);
    let all = [of_step(1), start("t"), start("u"), of_step(2)];
    assert_eq!(found(&store).await, all);
    put(&store, vec![trim("t", 2), trim("t", 6), trim("u", 9)])
        .await
        .unwrap();
    let trimmed_last = [start("t"), start("u"), of_step(1), of_step(2)];
    assert_eq!(found(&store).await, trimmed_last);
    put(&store, vec![trim("t", 9)]).await.unwrap();
    let nothing_kept = [start("u"), of_step(1), of_step(2), start("t")];
    assert_eq!(found(&store).await, nothing_kept);

    put(&store, vec![settled(&[], 5)]).await.unwrap();
    assert_eq!(found(&store).await, [of_step(1), of_step(2), body("t", 5)]);
    let fell = rollback(10, "t", origin(1, Some("open"), 1), 1);
    put(&store, vec![fell]).await.unwrap();
    assert_eq!(found(&store).await, [of_step(2), body("t", 5)]);
    put(&store, vec![rollback(11, "t", origin(1, None, 1), 5)])
        .await
        .unwrap();
    put(&store, vec![write_step(done(1, "open", 2))])
        .await
        .unwrap();
    assert_eq!(found(&store).await, []);
}

pub(super) async fn what_a_run_published_is_forgotten_with_it(place: Box<dyn Place>) {
    let store = place.open();
    let ended = |n| {
        write_run(RunRow {
            ended_at: Some(at(5_000)),
            ..run(n, Phase::Completed)
        })
    };
    let writes = vec![
        Write::Event(event(1, "e")),
        ended(1),
        begins(1, "c", 1),
        said(1, "t", origin(1, Some("s"), 1)),
        settled(&[1], 0),
        begins(3, "c", 1),
        said(2, "t", origin(3, Some("s"), 1)),
    ];
    put(&store, writes).await.unwrap();
    assert_eq!(found(&store).await.len(), 1);
    let (before, now, limit) = (at(6_000), at(6_000), 9);
    put(&store, vec![Write::Expire { before, now, limit }])
        .await
        .unwrap();
    assert_eq!(found(&store).await, []);
    assert_eq!(store.unsettled(run_id(3)).await.unwrap().len(), 1);
    // The same id again is another run, which has published nothing.
    put(&store, vec![Write::Event(event(1, "e")), ended(1)])
        .await
        .unwrap();
    assert_eq!(store.run(run_id(1)).await.unwrap().unwrap().body, []);
}

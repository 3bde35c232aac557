//! What ended long ago goes, and nothing else.

use std::sync::Arc;

use stepcast_protocol::{RunId, Timestamp};

use super::{Place, conditions::used, put, samples::*};
use crate::store::{Expect, Phase, RunQuery, RunRow, Store, StoredRun, Write};

/// The n-th run, created at its n-th second.
fn aged(n: u64, phase: Phase, ended_at: Option<Timestamp>) -> RunRow {
    RunRow {
        id: id(n),
        ended_at,
        ..run(n, phase)
    }
}

fn id(n: u64) -> RunId {
    RunId::from_parts(n * 1_000, n.into())
}

async fn runs(store: &Arc<dyn Store>) -> Vec<RunId> {
    let rows = store.runs(RunQuery::Newest(None, 9)).await.unwrap();
    rows.iter().map(|row| row.id).collect()
}

pub(super) async fn what_ended_long_ago_goes(place: Box<dyn Place>) {
    let store = place.open();
    let mut step = done(1, "a", 1);
    step.run = id(1);
    let writes = vec![
        Write::Event(event(1, "e")),
        Write::Event(event(4, "e")),
        write_run(aged(1, Phase::Completed, Some(at(5_000)))),
        write_run(aged(2, Phase::Parked, None)),
        write_run(aged(3, Phase::Failed, Some(at(5_000)))),
        write_run(aged(4, Phase::Cancelled, Some(at(9_000)))),
        write_step(step),
    ];
    put(&store, writes).await.unwrap();
    let ended = RunQuery::EndedBefore(at(6_000), 9);
    let found: Vec<_> = store
        .runs(ended.clone())
        .await
        .unwrap()
        .iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(found, [id(1), id(3)]);

    let expire = |limit| Write::Expire {
        before: at(6_000),
        now: at(6_000),
        limit,
    };
    put(&store, vec![expire(1)]).await.unwrap();
    assert_eq!(runs(&store).await, [id(4), id(3), id(2)]);
    assert_eq!(store.run(id(1)).await.unwrap(), None);
    put(&store, vec![expire(9)]).await.unwrap();
    assert_eq!(runs(&store).await, [id(4), id(2)]);
    assert_eq!(store.runs(ended).await.unwrap(), []);
    assert_eq!(store.event(event_id(1)).await.unwrap(), None);
    let StoredRun { row, .. } = store.run(id(4)).await.unwrap().unwrap();
    assert_eq!(row.phase, Phase::Cancelled);
}

pub(super) async fn forgotten_keys_go(place: Box<dyn Place>) {
    let store = place.open();
    let key = |key: &str, until| Write::PublishKey {
        channel: channel("c"),
        key: key.to_owned(),
        cursor: cursor(1, 1),
        until: at(until),
    };
    put(&store, vec![key("old", 10), key("new", 20)])
        .await
        .unwrap();
    let now = at(10);
    put(
        &store,
        vec![Write::Expire {
            before: at(0),
            now,
            limit: 9,
        }],
    )
    .await
    .unwrap();
    // Asked as of an earlier time: what is kept is still remembered, what has gone is not.
    for (name, refusal) in [("old", None), ("new", used("new", cursor(1, 1)))] {
        let expect = Expect::PublishKeyIsFree(channel("c"), name.to_owned(), at(0));
        super::conditions::check(&store, expect, refusal).await;
    }
}

pub(super) async fn a_channel_stays_while_a_key_is_remembered(place: Box<dyn Place>) {
    let store = place.open();
    let key = Write::PublishKey {
        channel: channel("c"),
        key: "k".to_owned(),
        cursor: cursor(1, 1),
        until: at(10),
    };
    put(&store, vec![key, Write::Head(channel("d"), cursor(1, 1))])
        .await
        .unwrap();
    let drop_both = || {
        ["c", "d"]
            .map(|name| Write::DropChannel(channel(name)))
            .to_vec()
    };
    let empty = async || store.empty_channels(None, 9).await.unwrap();
    assert_eq!(empty().await, [channel("d")]);
    put(&store, drop_both()).await.unwrap();
    let expect = Expect::PublishKeyIsFree(channel("c"), "k".to_owned(), at(0));
    let used = used("k", cursor(1, 1));
    super::conditions::check(&store, expect, used).await;

    let expire = Write::Expire {
        before: at(0),
        now: at(10),
        limit: 9,
    };
    put(&store, vec![expire]).await.unwrap();
    assert_eq!(empty().await, [channel("c")]);
    put(&store, drop_both()).await.unwrap();
    assert!(empty().await.is_empty());
}

//! What must hold before a batch is written.

use std::sync::Arc;

use stepcast_protocol::Cursor;

use super::{Place, put, samples::*};
use crate::store::{
    Batch, CommitError, Expect, Fence, KnownEvent, Phase, Refusal, RunRow, Store, StoreExt,
    UsedKey, Write,
};

pub(super) async fn a_fence_holds_while_the_run_is_leased(place: Box<dyn Place>) {
    let store = place.open();
    let fence = |n, lease| Fence {
        run: run_id(n),
        lease,
    };
    let row = RunRow {
        lease: 4,
        ..run(1, Phase::Leased)
    };
    put(&store, vec![write_run(row.clone())]).await.unwrap();
    check_fence(&store, fence(1, 4), true).await;
    for lost in [fence(1, 3), fence(1, 5), fence(2, 4)] {
        check_fence(&store, lost, false).await;
    }
    for phase in [Phase::Queued, Phase::Parked, Phase::Completed] {
        put(
            &store,
            vec![write_run(RunRow {
                phase,
                ..row.clone()
            })],
        )
        .await
        .unwrap();
        check_fence(&store, fence(1, 4), false).await;
    }
}

async fn check_fence(store: &Arc<dyn Store>, fence: Fence, holds: bool) {
    let key = if holds { "held" } else { "lost" };
    let batch = Batch {
        fence: Some(fence),
        ..Batch::of(vec![Write::Setting(key, vec![1])])
    };
    let fate = store.commit(batch).await;
    if holds {
        fate.unwrap();
    } else {
        let Fence { run, lease } = fence;
        assert_eq!(
            fate,
            Err(CommitError::Refused(Refusal::LeaseLost { run, lease }))
        );
        assert_eq!(store.setting("lost").await.unwrap(), None);
    }
}

pub(super) async fn a_condition_sees_the_batches_before_it(place: Box<dyn Place>) {
    let store = place.open();
    let open = || Batch {
        expect: vec![Expect::RunIsOpen(run_id(1))],
        ..Batch::of(vec![write_run(run(1, Phase::Completed))])
    };
    let kept = || Batch {
        expect: vec![Expect::RunIsKept(run_id(1))],
        ..Batch::default()
    };
    let fates = [
        store.commit(open()),
        store.commit(kept()),
        store.commit(Batch::of(vec![write_run(run(1, Phase::Leased))])),
        store.commit(kept()),
        store.commit(open()),
        store.commit(open()),
        store.commit(kept()),
    ];
    let mut seen = Vec::new();
    for fate in fates {
        seen.push(fate.await.map(drop));
    }
    let unknown = || Err(CommitError::Refused(Refusal::RunUnknown(run_id(1))));
    let ended = Err(CommitError::Refused(Refusal::RunEnded(run_id(1))));
    assert_eq!(
        seen,
        [unknown(), unknown(), Ok(()), Ok(()), Ok(()), ended, Ok(())]
    );
}

pub(super) async fn an_event_is_new_by_id_and_key(place: Box<dyn Place>) {
    let store = place.open();
    let first = keyed_event(1, "e", "k");
    put(
        &store,
        vec![
            Write::Event(Arc::clone(&first)),
            Write::EventKey(first, at(100)),
        ],
    )
    .await
    .unwrap();
    let known = |sent| {
        Some(Refusal::EventsKnown(vec![KnownEvent {
            sent: event_id(sent),
            known: event_id(1),
        }]))
    };
    for (event, time, refusal) in [
        (event(1, "other"), 0, known(1)),
        (keyed_event(2, "e", "k"), 99, known(2)),
        (keyed_event(2, "e", "k"), 100, None),
        (keyed_event(2, "other", "k"), 99, None),
        (keyed_event(2, "e", "K"), 99, None),
        (event(2, "e"), 99, None),
    ] {
        let expect = Expect::EventIsNew(Box::new((*event).clone()), at(time));
        check(&store, expect, refusal).await;
    }
    let second = keyed_event(2, "e", "k");
    put(
        &store,
        vec![
            Write::Event(Arc::clone(&second)),
            Write::EventKey(second, at(300)),
        ],
    )
    .await
    .unwrap();
    let expect = Expect::EventIsNew(Box::new((*keyed_event(3, "e", "k")).clone()), at(299));
    let known = KnownEvent {
        sent: event_id(3),
        known: event_id(2),
    };
    let refusal = Refusal::EventsKnown(vec![known]);
    check(&store, expect, Some(refusal.clone())).await;
    // All that are known are named at once, beside what is new.
    let new = |event: Arc<stepcast_protocol::Event>| {
        Expect::EventIsNew(Box::new((*event).clone()), at(299))
    };
    let batch = Batch {
        expect: vec![
            new(event(4, "e")),
            new(keyed_event(3, "e", "k")),
            Expect::RunIsOpen(run_id(1)),
            new(keyed_event(5, "e", "other")),
            new(event(1, "e")),
        ],
        ..Batch::default()
    };
    let same = KnownEvent {
        sent: event_id(1),
        known: event_id(1),
    };
    let refused = store.commit(batch).await.unwrap_err();
    let refusal = Refusal::EventsKnown(vec![known, same]);
    assert_eq!(refused, refusal.into());
}

pub(super) async fn a_run_is_open_until_it_ends(place: Box<dyn Place>) {
    let store = place.open();
    check(
        &store,
        Expect::RunIsOpen(run_id(1)),
        Some(Refusal::RunUnknown(run_id(1))),
    )
    .await;
    for phase in Phase::ALL {
        put(&store, vec![write_run(run(1, phase))]).await.unwrap();
        let refusal = phase.is_final().then(|| Refusal::RunEnded(run_id(1)));
        check(&store, Expect::RunIsOpen(run_id(1)), refusal).await;
    }
}

pub(super) async fn a_message_is_kept_until_it_goes(place: Box<dyn Place>) {
    let store = place.open();
    let kept = |name, offset| Expect::MessageIsKept(channel(name), cursor(1, offset));
    let not_kept = |offset| Some(Refusal::MessageNotKept(cursor(1, offset)));
    check(&store, kept("c", 2), not_kept(2)).await;
    put(&store, vec![write_message("c", 1), write_message("c", 2)])
        .await
        .unwrap();
    check(&store, kept("c", 2), None).await;
    check(&store, kept("c", 3), not_kept(3)).await;
    check(&store, kept("d", 2), not_kept(2)).await;
    let trim = Write::Trim(channel("c"), topic("t"), cursor(1, 1));
    put(&store, vec![trim]).await.unwrap();
    check(&store, kept("c", 1), not_kept(1)).await;
    check(&store, kept("c", 2), None).await;
}

pub(super) async fn a_publish_key_is_free_until_it_is_used(place: Box<dyn Place>) {
    let store = place.open();
    let free = |name: &str, key: &str, time| {
        Expect::PublishKeyIsFree(channel(name), key.to_owned(), at(time))
    };
    check(&store, free("c", "k", 0), None).await;
    let use_key = |offset, until| Write::PublishKey {
        channel: channel("c"),
        key: "k".to_owned(),
        cursor: cursor(1, offset),
        until: at(until),
    };
    put(&store, vec![write_message("c", 3), use_key(3, 100)])
        .await
        .unwrap();
    check(&store, free("c", "k", 99), used("k", cursor(1, 3))).await;
    check(&store, free("c", "k", 100), None).await;
    check(&store, free("c", "K", 99), None).await;
    check(&store, free("d", "k", 99), None).await;
    put(&store, vec![write_message("c", 4), use_key(4, 300)])
        .await
        .unwrap();
    check(&store, free("c", "k", 299), used("k", cursor(1, 4))).await;

    // All that were used are named at once.
    let other = Write::PublishKey {
        channel: channel("c"),
        key: "l".to_owned(),
        cursor: cursor(1, 5),
        until: at(300),
    };
    put(&store, vec![write_message("c", 5), other])
        .await
        .unwrap();
    let batch = Batch {
        expect: ["k", "free", "l"].map(|key| free("c", key, 299)).to_vec(),
        ..Batch::default()
    };
    let keys = [("k", 4), ("l", 5)].map(|(key, offset)| UsedKey {
        key: key.to_owned(),
        cursor: cursor(1, offset),
    });
    let refused = CommitError::Refused(Refusal::KeysUsed(keys.to_vec()));
    assert_eq!(store.commit(batch).await.map(drop), Err(refused));
}

pub(super) async fn check(store: &Arc<dyn Store>, expect: Expect, refusal: Option<Refusal>) {
    let batch = Batch {
        expect: vec![expect.clone()],
        ..Batch::default()
    };
    let expected = refusal.map_or(Ok(()), |refusal| Err(CommitError::Refused(refusal)));
    assert_eq!(store.commit(batch).await.map(drop), expected, "{expect:?}");
}

/// The refusal of a key that stands for a message.
pub(super) fn used(key: &str, cursor: Cursor) -> Option<Refusal> {
    let key = key.to_owned();
    Some(Refusal::KeysUsed(vec![UsedKey { key, cursor }]))
}

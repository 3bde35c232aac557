//! What a batch does to what is stored.

use std::sync::Arc;

use stepcast_protocol::{Cursor, RunId};

use super::{Place, offsets, put, samples::*};
use crate::store::{
    Batch, CommitError, Outcome, Phase, RunRow, StepState, Store, StoreExt, Timer, Write,
    batch::Void,
};

pub(super) async fn a_batch_is_all_or_nothing(place: Box<dyn Place>) {
    let store = place.open();
    put(&store, vec![write_message("c", 1)]).await.unwrap();
    let writes = vec![
        Write::Event(event(1, "e")),
        write_run(run(1, Phase::Leased)),
        Write::Setting("s", vec![1]),
        write_message("c", 2),
        write_message("c", 1),
    ];
    let refused = put(&store, writes).await;
    assert!(
        matches!(refused, Err(CommitError::Rejected(_))),
        "{refused:?}"
    );
    assert_eq!(store.event(event_id(1)).await.unwrap(), None);
    assert_eq!(store.run_row(run_id(1)).await.unwrap(), None);
    assert_eq!(store.setting("s").await.unwrap(), None);
    assert_eq!(head(&store, "c").await, cursor(1, 1));
}

pub(super) async fn a_poisoned_batch_fails_alone(place: Box<dyn Place>) {
    let store = place.open();
    put(&store, vec![write_message("c", 1)]).await.unwrap();
    let poisoned = 30;
    let waiting: Vec<_> = (0..64_u64)
        .map(|n| {
            // A new channel per batch: its number must not outlive the transaction that was rolled back.
            let offset = if n == poisoned { 1 } else { n + 2 };
            let own = format!("own-{n}");
            let writes = vec![write_message(&own, 1), write_message("c", offset)];
            store.commit(Batch::of(writes))
        })
        .collect();
    for (n, fate) in (0_u64..).zip(waiting) {
        match fate.await {
            Err(CommitError::Rejected(_)) => assert_eq!(n, poisoned),
            other => {
                other.unwrap();
                assert_ne!(n, poisoned, "the poisoned batch was committed");
            }
        }
    }
    assert_eq!(count(&store, "c").await, 64);
    for n in 0..64 {
        let expected = usize::from(n != poisoned);
        assert_eq!(
            count(&store, &format!("own-{n}")).await,
            expected,
            "own-{n}"
        );
    }
}

pub(super) async fn heads_never_fall(place: Box<dyn Place>) {
    let store = place.open();
    let raise = |to: Cursor| Write::Head(channel("c"), to);
    put(&store, vec![raise(cursor(2, 9)), raise(cursor(2, 4))])
        .await
        .unwrap();
    put(&store, vec![write_message("c", 50)]).await.unwrap();
    put(&store, vec![raise(cursor(1, 100))]).await.unwrap();
    assert_eq!(head(&store, "c").await, cursor(2, 9));
    put(&store, vec![raise(cursor(3, 1))]).await.unwrap();
    assert_eq!(head(&store, "c").await, cursor(3, 1));
}

pub(super) async fn voided_leases_are_queued(place: Box<dyn Place>) {
    let store = place.open();
    let all = (1_u64..).zip(Phase::ALL);
    put(
        &store,
        all.map(|(n, phase)| write_run(run(n, phase))).collect(),
    )
    .await
    .unwrap();
    put(&store, vec![Write::VoidLeases(Void::Crashed, at(7))])
        .await
        .unwrap();
    for (n, phase) in (1_u64..).zip(Phase::ALL) {
        let expected = match phase {
            Phase::Leased => RunRow {
                phase: Phase::Queued,
                due_at: at(7),
                crashes: 1,
                ..run(n, phase)
            },
            Phase::Queued => RunRow {
                due_at: at(7),
                ..run(n, phase)
            },
            other => run(n, other),
        };
        assert_eq!(row(&store, run_id(n)).await, expected);
    }
    let again = RunRow {
        crashes: 1,
        lease: 2,
        ..run(2, Phase::Leased)
    };
    put(
        &store,
        vec![
            write_run(again.clone()),
            Write::VoidLeases(Void::Released, at(8)),
        ],
    )
    .await
    .unwrap();
    let expected = RunRow {
        phase: Phase::Queued,
        due_at: at(8),
        ..again
    };
    assert_eq!(row(&store, run_id(2)).await, expected);
}

pub(super) async fn queued_runs_without_a_timer_are_due(place: Box<dyn Place>) {
    let store = place.open();
    let due = |n, millis| RunRow {
        due_at: at(millis),
        ..run(n, Phase::Queued)
    };
    let timer = Timer {
        at: at(90),
        run: run_id(2),
        step: None,
    };
    put(
        &store,
        vec![
            write_run(due(1, 90)),
            write_run(due(2, 90)),
            write_run(due(3, 5)),
            Write::Timer(timer),
            Write::VoidLeases(Void::Crashed, at(7)),
        ],
    )
    .await
    .unwrap();
    for (n, millis) in [(1, 7), (2, 90), (3, 5)] {
        assert_eq!(row(&store, run_id(n)).await, due(n, millis));
    }
}

pub(super) async fn rows_are_replaced(place: Box<dyn Place>) {
    let store = place.open();
    let first = RunRow {
        outcome: Some(Outcome::Err(error("no"))),
        started_at: Some(at(1)),
        ..run(1, Phase::Queued)
    };
    let open = StepState::Open {
        next_at: at(9),
        error: Some(error("no")),
    };
    put(
        &store,
        vec![
            Write::Event(event(1, "e")),
            write_run(first),
            write_step(step(1, "s", open)),
        ],
    )
    .await
    .unwrap();
    let second = RunRow {
        attempt: 2,
        lease: 3,
        ended_at: Some(at(4)),
        ..run(1, Phase::Cancelled)
    };
    put(
        &store,
        vec![write_run(second.clone()), write_step(done(1, "s", 1))],
    )
    .await
    .unwrap();
    let stored = store.run(run_id(1)).await.unwrap().unwrap();
    assert_eq!((stored.row, stored.steps), (second, vec![done(1, "s", 1)]));
    for value in [vec![1], Vec::new()] {
        put(&store, vec![Write::Setting("s", value.clone())])
            .await
            .unwrap();
        assert_eq!(store.setting("s").await.unwrap(), Some(value));
    }
}

async fn row(store: &Arc<dyn Store>, run: RunId) -> RunRow {
    store.run_row(run).await.unwrap().unwrap()
}

async fn head(store: &Arc<dyn Store>, name: &str) -> Cursor {
    store.channel(channel(name)).await.unwrap().unwrap().head
}

async fn count(store: &Arc<dyn Store>, name: &str) -> usize {
    offsets(store, name).await.len()
}

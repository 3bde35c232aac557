//! The order of commits and completions.

use std::sync::{Arc, mpsc};

use stepcast_protocol::Event;
use tokio::sync::oneshot;

use super::{Place, offsets, put, samples::*};
use crate::store::{Batch, CommitError, Committed, Expect, StoreExt, Urgency, Write};

pub(super) async fn completions_come_in_the_order_of_the_queue(place: Box<dyn Place>) {
    let store = place.open();
    put(&store, vec![write_message("c", 1_000)]).await.unwrap();
    let (seen, order) = mpsc::channel();
    let (last, all_done) = oneshot::channel();
    let mut last = Some(last);
    for n in 0..300_u64 {
        let seen = seen.clone();
        let last = (n == 299).then(|| last.take().unwrap());
        store.submit(
            batch_of_every_kind(n),
            Box::new(move |fate| {
                seen.send((n, kind(&fate))).unwrap();
                if let Some(last) = last {
                    last.send(()).unwrap();
                }
            }),
        );
    }
    all_done.await.unwrap();
    let seen: Vec<_> = order.try_iter().collect();
    let expected: Vec<_> = (0..300_u64)
        .map(|n| {
            (
                n,
                ["committed", "refused", "rejected", "committed"][(n % 4) as usize],
            )
        })
        .collect();
    assert_eq!(seen, expected);
}

fn batch_of_every_kind(n: u64) -> Batch {
    match n % 4 {
        0 => Batch::of(vec![write_message("c", n)]),
        1 => Batch {
            expect: vec![Expect::RunIsOpen(run_id(n))],
            ..Batch::of(vec![write_message("c", n)])
        },
        2 => Batch::of(vec![write_message("c", 1_000)]),
        _ => Batch {
            urgency: Urgency::Soon,
            ..Batch::of(vec![write_message("c", n)])
        },
    }
}

fn kind(fate: &Result<Committed, CommitError>) -> &'static str {
    match fate {
        Ok(_) => "committed",
        Err(CommitError::Refused(_)) => "refused",
        Err(CommitError::Rejected(_)) => "rejected",
        Err(CommitError::NoSpace(_) | CommitError::OutcomeUnknown(_) | CommitError::Closed) => {
            "failed"
        }
    }
}

pub(super) async fn concurrent_submitters_keep_their_order(place: Box<dyn Place>) {
    let store = place.open();
    let threads: Vec<_> = (0..8_u64)
        .map(|thread| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                let submit =
                    |n| store.commit(Batch::of(vec![Write::Event(event(thread * 100 + n, "e"))]));
                (0..50).map(submit).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut fates = Vec::new();
    for thread in threads {
        fates.extend(thread.join().unwrap());
    }
    for fate in fates {
        fate.await.unwrap();
    }
    let mut after = 0;
    let mut seen: Vec<Vec<u64>> = vec![Vec::new(); 8];
    loop {
        let page = store
            .events_after(event_name("e"), after, 64)
            .await
            .unwrap();
        let Some(newest) = page.last() else { break };
        after = newest.seq;
        for stored in page {
            let (thread, n) = sender(&stored.event);
            seen[thread].push(n);
        }
    }
    assert_eq!(seen, vec![(0..50).collect::<Vec<u64>>(); 8]);
}

/// The thread that sent the event, and its number there.
fn sender(event: &Event) -> (usize, u64) {
    let number = u64::try_from(event.at.as_millis()).unwrap() - 1_000;
    (usize::try_from(number / 100).unwrap(), number % 100)
}

pub(super) async fn a_completion_may_submit(place: Box<dyn Place>) {
    let store = place.open();
    let (reply, done) = oneshot::channel();
    let again = Arc::clone(&store);
    store.submit(
        Batch::of(vec![write_message("c", 1)]),
        Box::new(move |first| {
            first.unwrap();
            let next = Batch::of(vec![write_message("c", 2)]);
            again.submit(next, Box::new(move |second| reply.send(second).unwrap()));
        }),
    );
    done.await.unwrap().unwrap();
    assert_eq!(offsets(&store, "c").await, [1, 2]);
}

pub(super) async fn a_completion_that_panics_hurts_nobody(place: Box<dyn Place>) {
    let store = place.open();
    store.submit(
        Batch::of(vec![write_message("c", 1)]),
        Box::new(|_| panic!("a bug of the caller, as this case wants it")),
    );
    put(&store, vec![write_message("c", 2)]).await.unwrap();
    assert_eq!(offsets(&store, "c").await, [1, 2]);
}

pub(super) async fn reads_see_what_was_completed(place: Box<dyn Place>) {
    let store = place.open();
    for n in 1..200 {
        put(&store, vec![write_message("c", n)]).await.unwrap();
        let row = store.channel(channel("c")).await.unwrap().unwrap();
        assert_eq!(row.head, cursor(1, n));
    }
    assert_eq!(offsets(&store, "c").await.len(), 199);
}

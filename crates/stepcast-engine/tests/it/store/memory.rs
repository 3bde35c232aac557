//! What only the store in memory can do: wait for somebody to say when, and what fails.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use stepcast_engine::{
    clock::Clock,
    store::{
        Batch, CommitError, MessageQuery, Phase, Store, StoreError, StoreExt, Write,
        conformance::samples,
        memory::{Fault, Memory, MemoryStore, Pace, Room, Work},
    },
};
use stepcast_protocol::{Cursor, Timestamp};

use super::{message, put};

/// Leaves everything to the test.
struct Never;

impl Pace for Never {
    fn on_waiting(&self, _work: Work) {}
}

fn open(memory: &Memory) -> MemoryStore {
    memory.open(Arc::new(Never), Clock::system())
}

/// Submits messages and notes what is said of each.
fn submit(store: &MemoryStore, offsets: impl IntoIterator<Item = u64>) -> Told {
    let told = Told::default();
    for offset in offsets {
        let told = Arc::clone(&told);
        let done = move |fate: Result<_, CommitError>| told.lock().unwrap().push(fate.map(drop));
        store.submit(Batch::of(vec![message(offset, 1)]), Box::new(done));
    }
    told
}

type Told = Arc<Mutex<Vec<Result<(), CommitError>>>>;

fn told(told: &Told) -> usize {
    told.lock().unwrap().len()
}

async fn stored(store: &MemoryStore) -> Vec<u64> {
    let query = MessageQuery {
        channel: samples::channel("c"),
        after: Cursor::START,
        up_to: samples::cursor(u64::MAX, u64::MAX),
        topics: None,
        limit: 1_000,
    };
    let page = store.messages(query).await.unwrap().messages;
    page.iter().map(|message| message.cursor.offset.0).collect()
}

#[tokio::test]
async fn nothing_happens_before_it_is_asked_for() {
    let store = open(&Memory::default());
    let (fates, work) = (submit(&store, 1..=3), store.work());
    assert_eq!((work.waiting(), stored(&store).await), (3, vec![]));
    assert!(work.commit(2));
    assert_eq!((told(&fates), stored(&store).await), (0, vec![1, 2]));
    assert!(work.complete());
    assert_eq!(told(&fates), 1);
    let mut closing = store.close();
    work.finish();
    assert_eq!((told(&fates), work.waiting()), (3, 0));
    std::future::poll_fn(|context| closing.as_mut().poll(context))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_crash_takes_what_waits_and_tells_nobody() {
    let memory = Memory::default();
    let store = open(&memory);
    let fates = submit(&store, 1..=3);
    store.work().commit(2);
    store.work().crash();
    assert_eq!((told(&fates), store.work().waiting()), (0, 0));
    let next = open(&memory);
    assert_eq!(stored(&next).await, [1, 2]);
    assert_eq!(
        next.closed_cleanly(store.epoch()).await.unwrap(),
        Some(false)
    );
}

#[tokio::test]
async fn a_new_life_ends_the_one_before() {
    let memory = Memory::default();
    let before = open(&memory);
    let fates = submit(&before, [1]);
    let after = open(&memory);
    before.work().finish();
    assert_eq!(*fates.lock().unwrap(), [Err(CommitError::Closed)]);
    let read = before.setting("s").await;
    assert!(matches!(read, Err(StoreError::Closed)), "{read:?}");
    assert!(stored(&after).await.is_empty());
}

#[tokio::test]
async fn an_unknown_outcome_stops_the_store_until_it_is_reopened() {
    for (fault, kept) in [(Fault::Lost, vec![]), (Fault::Kept, vec![1, 2])] {
        let store = open(&Memory::default());
        let (fates, work, epoch) = (submit(&store, 1..=3), store.work(), store.epoch());
        work.fail(2, fault);
        work.finish();
        let fates = fates.lock().unwrap().clone();
        assert!(
            matches!(
                fates[..],
                [
                    Err(CommitError::OutcomeUnknown(_)),
                    Err(CommitError::OutcomeUnknown(_)),
                    Err(CommitError::Closed)
                ]
            ),
            "{fates:?}"
        );
        assert_eq!(stored(&store).await, kept);
        let reopened = store.reopen();
        work.finish();
        assert!(reopened.await.unwrap() > epoch);
        submit(&store, [9]);
        work.finish();
        assert_eq!(stored(&store).await.last(), Some(&9));
    }
}

#[tokio::test]
async fn stores_that_know_nothing_of_each_other_differ_in_their_epochs() {
    let clock = Clock::manual(Timestamp::from_millis(1_790_000_000_000));
    let first = MemoryStore::new(clock.clone()).epoch();
    clock.advance(Duration::from_millis(1));
    let second = MemoryStore::new(clock).epoch();
    assert!(second > first, "{second:?} {first:?}");
}

#[tokio::test]
async fn short_space_refuses_new_work_and_no_space_everything() {
    let store = MemoryStore::new(Clock::system());
    let run = || samples::write_run(samples::run(1, Phase::Queued));
    store.work().set_room(Room::Short);
    let refused = put(&store, message(1, 1)).await;
    assert!(
        matches!(refused, Err(CommitError::NoSpace(_))),
        "{refused:?}"
    );
    put(&store, run()).await.unwrap();
    store.work().set_room(Room::Nothing);
    let refused = store.commit(Batch::of(vec![run()])).await;
    assert!(
        matches!(refused, Err(CommitError::NoSpace(_))),
        "{refused:?}"
    );
    store.work().set_room(Room::Enough);
    put(&store, Write::Setting("s", vec![1])).await.unwrap();
}

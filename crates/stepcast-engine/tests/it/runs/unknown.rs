//! A COMMIT whose outcome nobody knows: the store is reopened in a new epoch, and all goes on from disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use stepcast_engine::{
    Engine, EngineError, Publication,
    runs::Update,
    store::{
        Batch, MessageQuery, Phase, Store, StoreExt, Write,
        sqlite::{CommitFault, Faults, SqliteOptions},
    },
};
use stepcast_protocol::{Cursor, ErrorCode, RunId, RunStatus, TopicName, limits};
use tokio::task::{JoinHandle, JoinSet};

use super::script::{HOUR, Held, Life, World, event, number_of};
use crate::{
    hub::{next, number, subscribe},
    support::{channel_name, eventually, within},
};

const BOTH: [CommitFault; 2] = [CommitFault::Lost, CommitFault::Kept];

fn breakable() -> (World, Faults) {
    let faults = Faults::default();
    let options = SqliteOptions::new().with_faults(faults.clone());
    (World::with(options), faults)
}

#[tokio::test]
async fn a_run_goes_on_from_disk_in_a_new_epoch() {
    for fault in BOTH {
        let (world, faults) = breakable();
        let mut life = world.open().await;
        let epoch = life.sqlite.epoch();
        let mut run = life.start().await;
        run.does("a").await;
        faults.fail_next_commit(fault);
        run.reports("b");
        run.is_over().await;

        let mut run = life.next().await;
        assert!(life.sqlite.epoch() > epoch);
        let on_disk: &[_] = match fault {
            CommitFault::Lost => &["a"],
            CommitFault::Kept => &["a", "b"],
        };
        assert_eq!(run.known(), on_disk);
        run.does("c").await;
        let id = run.run.id;
        run.returns().await;
        assert_eq!(life.end_of(id).await.status, RunStatus::Completed);
    }
}

#[tokio::test]
async fn who_waits_for_a_run_hears_of_an_end_that_nobody_knew_of() {
    for fault in BOTH {
        let (world, faults) = breakable();
        let mut life = world.open().await;
        let run = life.start().await;
        let end = waits_for_end(&life.engine, run.run.id);
        faults.fail_next_commit(fault);
        run.returns().await;
        if fault == CommitFault::Lost {
            life.next().await.returns().await;
        }
        assert_eq!(within(end).await.unwrap(), RunStatus::Completed);
        reopened(&life).await;
        life.start().await.returns().await;
    }
}

#[tokio::test]
async fn a_sender_is_told_that_nobody_knows_and_what_is_on_disk_runs() {
    for fault in BOTH {
        let (world, faults) = breakable();
        let mut life = world.open().await;
        faults.fail_next_commit(fault);
        let told = life.engine.send(vec![event("f")], None).await.unwrap_err();
        assert_eq!(told.code(), ErrorCode::OutcomeUnknown);
        reopened(&life).await;
        if fault == CommitFault::Kept {
            life.next().await.returns().await;
        }
        life.start().await.returns().await;
        assert!(!life.has_started());
    }
}

#[tokio::test]
async fn a_cancel_is_told_that_nobody_knows_and_may_be_asked_again() {
    for fault in BOTH {
        let (world, faults) = breakable();
        let mut life = world.open().await;
        let mut run = life.start().await;
        let id = run.run.id;
        faults.fail_next_commit(fault);
        let told = life.engine.cancel(id).await.unwrap_err();
        assert_eq!(told.code(), ErrorCode::OutcomeUnknown);
        run.is_over().await;
        reopened(&life).await;
        match (fault, life.engine.cancel(id).await) {
            (CommitFault::Lost, Ok(())) => {}
            (CommitFault::Kept, Err(told)) => assert_eq!(told.code(), ErrorCode::RunEnded),
            (_, other) => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(life.end_of(id).await.status, RunStatus::Cancelled);
    }
}

/// What was committed before is not lost with what was in memory.
#[tokio::test]
async fn waits_and_timers_outlive_the_failure() {
    for fault in BOTH {
        let (world, faults) = breakable();
        let mut life = world.open().await;
        let mut run = life.start().await;
        run.sleeps("s", HOUR).await;
        run.waits_for("w", "e").await;
        run.parks(0).await;
        faults.fail_next_commit(fault);
        life.engine.send(vec![event("x")], None).await.unwrap_err();
        reopened(&life).await;
        assert_eq!(life.stored(run.run.id).await.row.phase, Phase::Parked);
        life.tell("e", 4).await;
        let mut run = life.next().await;
        assert_eq!(number_of(&run.result("w").unwrap()), 4);
        world.clock.advance(HOUR);
        run.hears_end("s").await;
        run.returns().await;
        life.has_no_timers().await;
    }
}

/// Many runs, publishers, a reader and those who wait for ends, while commits fail again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_was_acknowledged_is_done_again_or_means_something_else() {
    const RUNS: usize = 24;
    const FAILURES: usize = 4;
    let (world, faults) = breakable();
    let life = world.open().await;
    let (engine, sqlite) = (life.engine.clone(), Arc::clone(&life.sqlite));
    let channel = engine.hub().channel(&channel_name("c")).await.unwrap();
    let mut reader = subscribe(engine.hub(), &channel, Cursor::START).await;
    let mut ends = Vec::new();
    for _ in 0..RUNS {
        ends.push(waits_for_end(&engine, life.send("f").await));
    }
    let acknowledged = Acknowledged::default();
    let worker = tokio::spawn(serve(life, Arc::clone(&acknowledged)));
    let stop = Arc::new(AtomicBool::new(false));
    let publisher = tokio::spawn(publishes(engine.clone(), Arc::clone(&stop)));
    for failure in 0..FAILURES {
        let progress = || acknowledged.lock().unwrap().len() >= (failure + 1) * RUNS;
        eventually(async || progress().then_some(())).await;
        let epoch = sqlite.epoch();
        faults.fail_next_commit(BOTH[failure % 2]);
        eventually(async || (sqlite.epoch() > epoch).then_some(())).await;
    }
    for end in ends {
        assert_eq!(within(end).await.unwrap(), RunStatus::Completed);
    }
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    stop.store(true, Ordering::Relaxed);

    let [believed, durable] = within(publisher).await.unwrap();
    let last = eventually(async || publish(&engine, u64::MAX, true).await.ok()).await;
    let stored = stored(&*sqlite, last).await;
    let (mut seen, mut cursor) = (BTreeMap::new(), Cursor::START);
    while cursor < last {
        let posted = next(&mut reader).await;
        assert!(posted.message().cursor > cursor);
        cursor = posted.message().cursor;
        seen.insert(cursor, number(&posted));
    }
    for (cursor, n) in &durable {
        assert_eq!((stored.get(cursor), seen.get(cursor)), (Some(n), Some(n)));
    }
    for (cursor, n) in durable.iter().chain(&believed).chain(&seen) {
        let on_disk = stored.get(cursor);
        assert!(
            on_disk.is_none_or(|stored| stored == n),
            "{cursor}: {n}, {on_disk:?}"
        );
    }
    assert!(durable.keys().all(|cursor| !believed.contains_key(cursor)));
    assert!(sqlite.epoch().0 - durable.keys().next().unwrap().epoch.0 >= FAILURES as u64);
}

/// Steps whose commit a worker has heard of.
type Acknowledged = Arc<Mutex<BTreeSet<(RunId, String)>>>;

/// Executes every run that is leased, until it is aborted.
async fn serve(mut life: Life, acknowledged: Acknowledged) {
    let mut executions = JoinSet::new();
    loop {
        tokio::select! {
            run = life.next() => drop(executions.spawn(execute(run, Arc::clone(&acknowledged)))),
            Some(ended) = executions.join_next() => ended.unwrap(),
        }
    }
}

/// A function of ten steps.
async fn execute(mut run: Held, acknowledged: Acknowledged) {
    for n in 0..10 {
        let step = format!("step-{n}");
        if run.result(&step).is_some() {
            continue;
        }
        let done = (run.run.id, step);
        assert!(
            !acknowledged.lock().unwrap().contains(&done),
            "{done:?} again"
        );
        run.reports(&done.1);
        loop {
            match run.update().await {
                Update::StepDone { .. } => break,
                Update::Over => return,
                // Asked for while the store is being reopened; a function that does not wait need not hear it.
                Update::GiveBack => {}
                other => panic!("{done:?}: {other:?}"),
            }
        }
        assert!(acknowledged.lock().unwrap().insert(done));
    }
    run.lease().returned(Bytes::from_static(b"null"));
    while run.update().await != Update::Over {}
}

/// Waits until the store is open again and no lease of before the failure counts any more.
async fn reopened(life: &Life) {
    let voids = |batch: &Batch| matches!(batch.writes[..], [Write::VoidLeases(..)]);
    eventually(async || {
        let opened = life
            .gate
            .let_through()
            .iter()
            .filter(|batch| voids(batch))
            .count();
        (opened == 2).then_some(())
    })
    .await;
    life.sqlite.commit(Batch::default()).await.unwrap();
}

fn waits_for_end(engine: &Engine, id: RunId) -> JoinHandle<RunStatus> {
    let engine = engine.clone();
    tokio::spawn(async move { engine.end_of(id).await.unwrap().status })
}

/// Publishes until it is told to stop, by turns without and with a commit; what was acknowledged of each kind.
async fn publishes(engine: Engine, stop: Arc<AtomicBool>) -> [BTreeMap<Cursor, u64>; 2] {
    let mut acknowledged = [BTreeMap::new(), BTreeMap::new()];
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let kind = n % 2;
        match publish(&engine, n, kind == 1).await {
            Ok(cursor) => {
                let known = acknowledged[kind as usize].insert(cursor, n);
                assert_eq!(known, None, "{cursor} was given twice");
            }
            Err(error) => assert!(
                matches!(error.code(), ErrorCode::OutcomeUnknown | ErrorCode::Closing),
                "{error}"
            ),
        }
    }
    acknowledged
}

async fn publish(engine: &Engine, n: u64, durable: bool) -> Result<Cursor, EngineError> {
    let publication = Publication {
        channel: channel_name("c"),
        topic: TopicName::parse("t").unwrap(),
        payload: n.to_string().into(),
        run: None,
        durable,
        key: None,
    };
    within(engine.publish(publication)).await
}

async fn stored(store: &dyn Store, up_to: Cursor) -> BTreeMap<Cursor, u64> {
    let (mut stored, mut after) = (BTreeMap::new(), Cursor::START);
    while after < up_to {
        let query = MessageQuery {
            channel: channel_name("c"),
            after,
            up_to,
            topics: None,
            limit: limits::PAGE_ROWS,
        };
        let page = store.messages(query).await.unwrap();
        after = page.next;
        stored.extend(page.messages.iter().map(|message| {
            let payload = std::str::from_utf8(&message.payload).unwrap();
            (message.cursor, payload.parse().unwrap())
        }));
    }
    stored
}

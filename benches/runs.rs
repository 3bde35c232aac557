//! Embedded runs against their floor: the same batches given straight to the store.
//!
//! A run is one event, three steps, one durable publish and the end: six commits, each on disk before the run goes on. 64 runs are in flight,
//! as many as one function executes at once. Both sides alternate, so that a noisy machine disturbs them alike. At the end runs are alone, one
//! after the other: how long one takes, and how many transactions it is.
//!
//! `cargo bench --bench runs [-- RUNS]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::{Clock, RunStatus, SqliteOptions, prelude::*};
use stepcast_benches::{micros, quantile};
use stepcast_engine::store::{
    Batch, Fence, Guards, Outcome, Phase, RunRow, StepRow, StepState, StoreExt, Verb, Write,
    sqlite::SqliteStore,
};
use stepcast_protocol::{
    ChannelName, Cursor, Epoch, Event as StoredEvent, EventId, EventName, FunctionId, Message,
    Offset, RunId, StepId, Timestamp, TopicName,
};
use tokio::task::JoinSet;

const IN_FLIGHT: usize = 64;
const COMMITS_PER_RUN: f64 = 6.0;
const ROUNDS: usize = 3;
/// Runs that are alone.
const ALONE: usize = 500;

#[derive(Event, Serialize, Deserialize)]
#[event("bench/work")]
struct Work {
    n: usize,
}

#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("work:{n}")]
enum Progress {
    Done { message: String },
}

async fn work(ctx: Ctx<Work>) -> Result<usize, Error> {
    let mut sum = ctx.event.n;
    for step in ["one", "two", "three"] {
        sum += ctx.step(step).run(|| async { Ok(step.len()) }).await?;
    }
    let done = Progress::Done {
        message: "all three steps have ended".into(),
    };
    ctx.step("done")
        .publish(&Progress::at(ctx.event.n), done)
        .await?;
    Ok(sum)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let runs = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(6_000);
    let dir = tempfile::tempdir()?;
    println!("fsync: {:.0} µs", fsync_micros(dir.path())?);
    let (mut best_runs, mut best_floor) = (0.0_f64, 0.0_f64);
    let mut failed = 0;
    for round in 0..ROUNDS {
        let (commits, lost) = engine(&dir.path().join(format!("engine-{round}.db")), runs).await?;
        let floor = floor(&dir.path().join(format!("floor-{round}.db")), runs).await?;
        println!(
            "round {round}: {:.0} runs/s, {commits:.0} commits/s, floor {floor:.0} commits/s",
            commits / COMMITS_PER_RUN
        );
        best_runs = best_runs.max(commits);
        best_floor = best_floor.max(floor);
        failed += lost;
    }
    println!(
        "best: {:.0} runs/s, ratio to the raw store {:.2}, runs failed: {failed}",
        best_runs / COMMITS_PER_RUN,
        best_runs / best_floor
    );
    let one = alone(&dir.path().join("alone.db")).await?;
    let fsyncs = fsync_micros(dir.path())? * COMMITS_PER_RUN / 1e3;
    println!(
        "one alone: p50 {:.2} ms, {:.2} commits each; six fsyncs {fsyncs:.2} ms, the store's six commits p50 {:.2} ms",
        one.millis,
        one.commits,
        store_alone(&dir.path().join("store-alone.db")).await?
    );
    Ok(())
}

/// A run that nothing else runs beside.
struct Alone {
    millis: f64,
    /// Transactions of the store.
    commits: f64,
}

/// Runs one after the other, from the event to hearing of the end.
async fn alone(file: &std::path::Path) -> Result<Alone, Error> {
    let app = App::new("bench")
        .channel::<Progress>()
        .function(function("work", work));
    let stepcast = Stepcast::open(file, app).await?;
    let before = stepcast.engine().stats().store.groups;
    let mut times = Vec::new();
    for n in 0..ALONE {
        let begin = Instant::now();
        let run = stepcast.send(Work { n }).await?.run().await?;
        run.end().await?;
        times.push(begin.elapsed());
    }
    let groups = u32::try_from(stepcast.engine().stats().store.groups - before)?;
    stepcast.shutdown().await?;
    Ok(Alone {
        millis: micros(quantile(&mut times, 0.5)) / 1e3,
        commits: f64::from(groups) / f64::from(u32::try_from(ALONE)?),
    })
}

/// The same six commits of the store, one after the other, in milliseconds.
async fn store_alone(file: &std::path::Path) -> Result<f64, Error> {
    let options = SqliteOptions::new();
    let store = SqliteStore::open(file, options, Clock::system())?;
    let mut times = Vec::new();
    for n in 0..ALONE {
        let begin = Instant::now();
        for batch in batches(n) {
            store.commit(batch).await?;
        }
        times.push(begin.elapsed());
    }
    Ok(micros(quantile(&mut times, 0.5)) / 1e3)
}

/// What one small durable write costs here.
fn fsync_micros(dir: &std::path::Path) -> std::io::Result<f64> {
    use std::io::Write;
    let mut file = std::fs::File::create(dir.join("fsync"))?;
    let times = 200;
    let begin = Instant::now();
    for _ in 0..times {
        file.write_all(&[7; 512])?;
        file.sync_data()?;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(times))
}

/// Commits per second of the engine, and how many runs did not complete.
async fn engine(file: &std::path::Path, runs: usize) -> Result<(f64, usize), Error> {
    let app = App::new("bench")
        .channel::<Progress>()
        .function(function("work", work));
    let stepcast = Stepcast::open(file, app).await?;
    let begin = Instant::now();
    let mut flights = JoinSet::new();
    for flight in 0..IN_FLIGHT {
        let stepcast = stepcast.clone();
        flights.spawn(async move {
            let mut failed = 0;
            for n in (flight..runs).step_by(IN_FLIGHT) {
                let run = stepcast.send(Work { n }).await?.run().await?;
                failed += usize::from(run.end().await?.status != RunStatus::Completed);
            }
            Ok::<_, Error>(failed)
        });
    }
    let mut failed = 0;
    while let Some(flight) = flights.join_next().await {
        failed += flight??;
    }
    let rate = per_second(runs, begin.elapsed());
    stepcast.shutdown().await?;
    Ok((rate, failed))
}

/// Commits per second of the store alone, given the same batches by as many tasks.
async fn floor(file: &std::path::Path, runs: usize) -> Result<f64, Error> {
    let store = Arc::new(SqliteStore::open(
        file,
        SqliteOptions::new(),
        Clock::system(),
    )?);
    let begin = Instant::now();
    let mut flights = JoinSet::new();
    for flight in 0..IN_FLIGHT {
        let store = Arc::clone(&store);
        flights.spawn(async move {
            for n in (flight..runs).step_by(IN_FLIGHT) {
                for batch in batches(n) {
                    store.commit(batch).await?;
                }
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(flight) = flights.join_next().await {
        flight??;
    }
    Ok(per_second(runs, begin.elapsed()))
}

fn per_second(runs: usize, elapsed: Duration) -> f64 {
    let runs = f64::from(u32::try_from(runs).unwrap_or(u32::MAX));
    runs * COMMITS_PER_RUN / elapsed.as_secs_f64()
}

/// The six batches of one run, as the engine writes them.
fn batches(n: usize) -> Vec<Batch> {
    let number = u64::try_from(n).unwrap_or(u64::MAX);
    let (run, event) = (RunId::from_parts(number, 1), EventId::from_parts(number, 1));
    let stored = StoredEvent {
        id: event,
        name: name(EventName::parse("bench/work")),
        data: Bytes::from(format!("{{\"n\":{n}}}")),
        key: None,
        at: Timestamp::from_millis(1),
        extras: stepcast_protocol::event::Extras::default(),
    };
    let fence = Some(Fence { run, lease: 1 });
    let step = |id: &str, seq, verb, target: &str| {
        Write::Step(Box::new(StepRow {
            run,
            step: name(StepId::parse(id)),
            verb,
            target: target.to_owned(),
            attempts: 1,
            state: StepState::Done {
                seq,
                outcome: Outcome::Ok(Bytes::from_static(b"5")),
            },
            began_at: Timestamp::from_millis(1),
            changed_at: Timestamp::from_millis(1),
        }))
    };
    let channel = name(ChannelName::parse(format!("work:{n}")));
    let message = Message {
        cursor: Cursor::new(Epoch(1), Offset(1)),
        topic: name(TopicName::parse("done")),
        kind: stepcast_protocol::Kind::Data,
        payload: Bytes::from_static(br#"{"message":"all three steps have ended"}"#),
        created_at: Timestamp::from_millis(1),
        origin: None,
    };
    let row = |phase, outcome| Write::Run(Box::new(run_row(run, event, phase, outcome)));
    let mut batches = vec![Batch::of(vec![
        Write::Event(Arc::new(stored)),
        row(Phase::Leased, None),
    ])];
    for (seq, id) in (1..).zip(["one", "two", "three"]) {
        batches.push(Batch {
            fence,
            writes: vec![step(id, seq, Verb::Run, "")],
            ..Batch::default()
        });
    }
    let publish = vec![
        step("done", 4, Verb::Publish, &channel),
        Write::Message(channel.clone(), Arc::new(message)),
    ];
    batches.push(Batch {
        fence,
        writes: publish,
        ..Batch::default()
    });
    let end = vec![row(
        Phase::Completed,
        Some(Outcome::Ok(Bytes::from_static(b"16"))),
    )];
    batches.push(Batch {
        fence,
        writes: end,
        ..Batch::default()
    });
    batches
}

fn run_row(id: RunId, event: EventId, phase: Phase, outcome: Option<Outcome>) -> RunRow {
    let at = Timestamp::from_millis(1);
    RunRow {
        id,
        function: name(FunctionId::parse("work")),
        event,
        phase,
        lease: 1,
        attempt: 1,
        crashes: 0,
        due_at: at,
        created_at: at,
        started_at: Some(at),
        ended_at: outcome.is_some().then_some(at),
        outcome,
        parent: None,
        keys: Vec::new(),
        guards: Guards::default(),
    }
}

fn name<T, E: std::fmt::Debug>(parsed: Result<T, E>) -> T {
    parsed.expect("the benchmark's names keep the rules")
}

//! What a publish costs, beside the least that could be done for it in the same run.
//!
//! - Over HTTP, nobody reads: the server's CPU time per request, against an axum handler that takes the message and answers 200. Of what lies
//!   between, holding a payload to be JSON is shown alone.
//! - Durable and embedded, 64 in flight: messages per second, against the store given the same rows by as many tasks.
//!
//! `cargo bench --bench publish [-- ROUNDS]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stepcast::{Clock, SqliteOptions, prelude::*};
use stepcast_benches::{
    floor::{self, Floor},
    load::{self, Pairs},
};
use stepcast_engine::store::{Batch, StoreExt, Write, sqlite::SqliteStore};
use stepcast_protocol::{ChannelName, Cursor, Epoch, Kind, Message, Offset, Timestamp, TopicName};
use tokio::task::JoinSet;

const IN_FLIGHT: usize = 64;
/// Messages of a round, over all in flight.
const DURABLE: usize = 64 * 200;
const OVER_HTTP: [&str; 7] = [
    "publish",
    "--unchecked",
    "--publishers",
    "16",
    "--messages",
    "100000",
    "--time=20s",
];

#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("room:{n}")]
enum Room {
    Said { text: String },
}

/// About 200 bytes, as most messages have.
fn text() -> String {
    "x".repeat(180)
}

fn main() -> Result<(), Error> {
    floor::be_one_if_asked()?;
    let rounds = std::env::args().find_map(|argument| argument.parse().ok());
    let rounds: usize = rounds.unwrap_or(5);
    let binary = load::binary()?;
    let mut pairs = Pairs::default();
    for round in 0..rounds {
        let (ours, floor) = load::in_turns(
            round,
            || load::of_stepcast(&binary, &OVER_HTTP),
            || load::of_floor(&binary, Floor::Answer, &OVER_HTTP),
        )?;
        pairs.add("/server_cpu_us_per_operation", &ours, &floor);
    }
    println!(
        "over HTTP, `log` topic, nobody reads; floor: {}",
        Floor::Answer.name()
    );
    println!("  CPU per publish: {}", pairs.shown("µs"));
    println!(
        "  of that, to hold 200 bytes to be JSON: {:.2} µs",
        validation_micros()?
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut pairs = Pairs::default();
    for round in 0..rounds {
        let dir = tempfile::tempdir()?;
        let (ours, floor) = load::in_turns(
            round,
            || runtime.block_on(embedded(&dir.path().join("engine.db"))),
            || runtime.block_on(store_alone(&dir.path().join("floor.db"))),
        )?;
        pairs.add_figures(ours, floor);
    }
    println!(
        "embedded and durable, {IN_FLIGHT} in flight; floor: the store's group commits of the same rows"
    );
    println!("  rate: {}", pairs.shown("per s"));
    Ok(())
}

/// Holds a payload to be JSON, and nothing else.
fn validation_micros() -> Result<f64, Error> {
    const TIMES: u32 = 200_000;
    let payload = serde_json::to_vec(&Room::Said { text: text() })?;
    let begin = Instant::now();
    for _ in 0..TIMES {
        black_box(serde_json::from_slice::<&RawValue>(black_box(&payload))?);
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES))
}

/// Messages per second that an embedded engine commits.
async fn embedded(file: &Path) -> Result<f64, Error> {
    let stepcast = Stepcast::open(file, App::new("publish").channel::<Room>()).await?;
    let begin = Instant::now();
    let mut flights = JoinSet::new();
    for flight in 0..IN_FLIGHT {
        let stepcast = stepcast.clone();
        flights.spawn(async move {
            let room = Room::at(flight);
            for _ in 0..DURABLE / IN_FLIGHT {
                let message = Room::Said { text: text() };
                stepcast.publish(&room, message).durable().await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(flight) = flights.join_next().await {
        flight??;
    }
    let rate = per_second(begin.elapsed());
    stepcast.shutdown().await?;
    Ok(rate)
}

/// Messages per second of the store, given the same rows.
async fn store_alone(file: &Path) -> Result<f64, Error> {
    let options = SqliteOptions::new();
    let store = Arc::new(SqliteStore::open(file, options, Clock::system())?);
    let begin = Instant::now();
    let mut flights = JoinSet::new();
    for flight in 0..IN_FLIGHT {
        let store = Arc::clone(&store);
        flights.spawn(async move {
            let channel = ChannelName::parse(format!("room:{flight}"))?;
            for offset in 1..=DURABLE / IN_FLIGHT {
                let message = message(u64::try_from(offset)?)?;
                let write = Write::Message(channel.clone(), Arc::new(message));
                store.commit(Batch::of(vec![write])).await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(flight) = flights.join_next().await {
        flight??;
    }
    Ok(per_second(begin.elapsed()))
}

fn message(offset: u64) -> Result<Message, Error> {
    Ok(Message {
        cursor: Cursor::new(Epoch(1), Offset(offset)),
        topic: TopicName::parse("said")?,
        kind: Kind::Data,
        payload: Bytes::from(serde_json::to_vec(&Room::Said { text: text() })?),
        created_at: Timestamp::from_millis(1),
        origin: None,
    })
}

fn per_second(elapsed: Duration) -> f64 {
    f64::from(u32::try_from(DURABLE).unwrap_or(u32::MAX)) / elapsed.as_secs_f64()
}

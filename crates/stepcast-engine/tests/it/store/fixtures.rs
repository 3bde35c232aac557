//! Old bytes: a file of every version lies in `tests/fixtures` and must open.
//!
//! While a version is not released its file may be made anew: `STEPCAST_WRITE_FIXTURES=1 cargo test`.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use stepcast_engine::{
    clock::Clock,
    store::{
        EventWait, Guards, Phase, RunRow, Store, Timer, Write, conformance::samples,
        sqlite::SqliteStore,
    },
};
use stepcast_protocol::{Epoch, Timestamp};

use super::{Home, put, within};

const EPOCH: i64 = 1_795_462_441;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1.sqlite")
}

/// A closed database with a row in every table that is written today.
async fn newly_made() -> Home {
    let home = Home::new();
    let clock = Clock::manual(Timestamp::from_millis(EPOCH * 1_000));
    let store = SqliteStore::open(home.file(), home.options.clone(), clock).unwrap();
    for write in writes() {
        put(&store, write).await.unwrap();
    }
    within(store.close()).await.unwrap();
    home
}

fn writes() -> Vec<Write> {
    let event = samples::keyed_event(1, "e", "k");
    vec![
        Write::EventKey(Arc::clone(&event), samples::at(100)),
        Write::Event(event),
        samples::write_run(run()),
        samples::write_step(samples::done(1, "s", 1)),
        samples::write_message("c", 3),
        Write::PublishKey {
            channel: samples::channel("c"),
            key: "k".to_owned(),
            cursor: samples::cursor(1, 3),
            until: samples::at(100),
        },
        Write::Timer(timer()),
        Write::EventWait(Box::new(event_wait())),
        Write::Setting("secret", vec![1, 2, 3]),
    ]
}

fn run() -> RunRow {
    RunRow {
        lease: 3,
        started_at: Some(samples::at(60)),
        ..samples::run(1, Phase::Parked)
    }
}

fn timer() -> Timer {
    Timer {
        at: samples::at(9),
        run: samples::run_id(1),
        step: None,
    }
}

fn event_wait() -> EventWait {
    EventWait {
        run: samples::run_id(1),
        step: samples::step_id("w"),
        event: samples::event_name("e"),
        matching: Vec::new(),
        condition: None,
        after: 1,
        until: None,
    }
}

#[tokio::test]
async fn a_file_of_version_1_opens() {
    let home = Home::new();
    fs::copy(fixture(), home.file()).unwrap();
    let store = home.open();
    let epoch = Epoch(u64::try_from(EPOCH).unwrap());
    assert_eq!(store.closed_cleanly(epoch).await.unwrap(), Some(true));
    let stored = store.run(samples::run_id(1)).await.unwrap().unwrap();
    assert_eq!(
        (stored.row, stored.steps),
        (run(), vec![samples::done(1, "s", 1)])
    );
    assert_eq!(stored.event, samples::keyed_event(1, "e", "k"));
    let row = store.channel(samples::channel("c")).await.unwrap().unwrap();
    assert_eq!(row.head, samples::cursor(1, 3));
    assert_eq!(store.timers(None, 9).await.unwrap(), [timer()]);
    assert_eq!(store.event_waits(None, 9).await.unwrap(), [event_wait()]);
    assert_eq!(store.setting("secret").await.unwrap(), Some(vec![1, 2, 3]));
    put(&store, Write::Event(samples::event(2, "e")))
        .await
        .unwrap();
    assert_eq!(
        store
            .event(samples::event_id(2))
            .await
            .unwrap()
            .unwrap()
            .seq,
        2
    );
}

#[tokio::test]
async fn guards_are_read_as_they_were_written_before_they_said_whether_an_end_is_announced() {
    let home = Home::new();
    fs::copy(fixture(), home.file()).unwrap();
    let guards = r#"{"cancel_on":["stop"],"ends_within":{"secs":1,"nanos":500000000}}"#;
    home.shell()
        .execute("UPDATE runs SET guards = ?1", [guards])
        .unwrap();
    let store = home.open();
    let row = store.run_row(samples::run_id(1)).await.unwrap().unwrap();
    let guards = Guards {
        cancel_on: vec![samples::event_name("stop")],
        ends_within: Some(Duration::from_millis(1_500)),
        announces_end: None,
        ..Guards::default()
    };
    assert_eq!(row.guards, guards);
}

#[tokio::test]
async fn the_tables_of_version_1_are_those_of_its_fixture() {
    let home = newly_made().await;
    if env::var_os("STEPCAST_WRITE_FIXTURES").is_some() {
        fs::copy(home.file(), fixture()).unwrap();
    }
    let expected = tables(&fixture());
    assert_eq!(
        tables(&home.file()),
        expected,
        "a released version never changes; add the next one"
    );
}

/// Every table and index with its definition.
fn tables(file: &Path) -> BTreeMap<String, Option<String>> {
    // The fixture lies among sources, where SQLite must not leave files of its own.
    let uri = format!("file:{}?immutable=1", file.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(uri, flags).unwrap();
    let mut statement = conn.prepare("SELECT name, sql FROM sqlite_schema").unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

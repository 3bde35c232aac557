//! Whose file it is, and what lies in it.

use std::{fs, os::unix::fs::PermissionsExt, sync::mpsc, thread, time::Duration};

use stepcast_engine::{
    clock::Clock,
    store::{
        Phase, Store, StoreError,
        conformance::samples,
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use stepcast_protocol::{Epoch, Timestamp};

use super::{Home, message, open, put, within};

#[test]
fn a_second_owner_is_told_who_is_first() {
    let home = Home::new();
    let first = home.open();
    let error = home.try_open().unwrap_err();
    let StoreError::InUse { file, pid } = &error else {
        panic!("{error}")
    };
    assert!(file.ends_with("test.db"), "{file}");
    assert_eq!(*pid, std::process::id().to_string());
    drop(first);
    home.open();
}

#[test]
fn another_name_of_a_file_is_the_same_database() {
    let home = Home::new();
    let first = home.open();
    let alias = home.path("alias.db");
    std::os::unix::fs::symlink(home.file(), &alias).unwrap();
    let error = open(&alias, home.options.clone()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(first);
    let (_directory, options) = (home.directory, home.options);
    open(&alias, options).unwrap();
}

#[test]
fn an_owner_waits_for_the_one_before() {
    let home = Home::new();
    let first = home.open();
    let (file, options) = (
        home.file(),
        SqliteOptions::new().with_owner_wait(Duration::from_secs(30)),
    );
    let (started, waits) = mpsc::channel();
    let second = thread::spawn(move || {
        started.send(()).unwrap();
        open(&file, options).map(drop)
    });
    waits.recv().unwrap();
    drop(first);
    second.join().unwrap().unwrap();
}

#[test]
fn files_of_others_are_refused_and_left_alone() {
    let home = Home::new();
    fs::write(
        home.file(),
        "some notes of mine, longer than the header of a database, ".repeat(9),
    )
    .unwrap();
    check_foreign(&home, "does not begin like an SQLite database");
    fs::write(home.file(), "short").unwrap();
    check_foreign(&home, "does not begin like an SQLite database");
    fs::remove_file(home.file()).unwrap();
    home.shell()
        .execute_batch("CREATE TABLE theirs (n)")
        .unwrap();
    check_foreign(&home, "an SQLite database with application id 0");
}

fn check_foreign(home: &Home, expected: &str) {
    let before = fs::read(home.file()).unwrap();
    let error = home.try_open().unwrap_err();
    assert!(matches!(error, StoreError::ForeignFile { .. }), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(fs::read(home.file()).unwrap(), before);
}

#[test]
fn a_newer_file_is_refused() {
    let home = Home::new();
    drop(home.open());
    home.shell()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = home.try_open().unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::NewerFile {
                found: 99,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_path_that_cannot_be_is_named() {
    let home = Home::new();
    let missing = open(&home.path("no/such/place.db"), home.options.clone()).unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("/no/such` cannot be used, create it first"),
        "{missing}"
    );
    let directory = open(home.directory.path(), home.options.clone()).unwrap_err();
    assert!(
        directory.to_string().contains("it is a directory"),
        "{directory}"
    );
}

#[test]
fn an_empty_file_becomes_a_database() {
    let home = Home::new();
    fs::write(home.file(), "").unwrap();
    home.open();
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    let home = Home::new();
    let store = home.open();
    put(&store, message(1, 10)).await.unwrap();
    store.backup(home.path("copy.db")).await.unwrap();
    for name in [
        "test.db",
        "test.db-wal",
        "test.db-shm",
        "test.db.lock",
        "copy.db",
    ] {
        let mode = fs::metadata(home.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn the_shell_reads_while_the_store_is_open() {
    let home = Home::new();
    let store = home.open();
    put(&store, message(1, 10)).await.unwrap();
    let shell = home.shell();
    let payload: String = shell
        .query_row("SELECT payload FROM messages", [], |row| row.get(0))
        .unwrap();
    assert_eq!(payload, r#""xxxxxxxxxx""#);
    for (pragma, expected) in [
        ("auto_vacuum", "2"),
        ("journal_mode", "wal"),
        ("user_version", "1"),
        ("application_id", "1398031169"),
    ] {
        let value: rusqlite::types::Value = shell
            .pragma_query_value(None, pragma, |row| row.get(0))
            .unwrap();
        let value = match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(value, expected, "{pragma}");
    }
    put(&store, message(2, 10)).await.unwrap();
}

#[tokio::test]
async fn a_clean_end_leaves_one_file() {
    let home = Home::new();
    let store = home.open();
    put(&store, message(1, 10)).await.unwrap();
    within(store.close()).await.unwrap();
    assert!(!home.path("test.db-wal").exists());
    home.try_open()
        .expect("the file is free though the handle lives");
}

#[test]
fn an_epoch_is_the_time_or_one_more() {
    let home = Home::new();
    let open_at = |seconds: i64| {
        let clock = Clock::manual(Timestamp::from_millis(seconds * 1_000));
        SqliteStore::open(home.file(), home.options.clone(), clock)
            .unwrap()
            .epoch()
    };
    assert_eq!(open_at(5_000), Epoch(5_000));
    assert_eq!(open_at(5_000), Epoch(5_001));
    assert_eq!(open_at(4_000), Epoch(5_002));
    assert_eq!(open_at(6_000), Epoch(6_000));
}

#[tokio::test]
async fn a_backup_opens_as_a_store() {
    let home = Home::new();
    let store = home.open();
    put(&store, message(1, 10)).await.unwrap();
    let copy = home.path("copy.db");
    within(store.backup(copy.clone())).await.unwrap();
    put(&store, message(2, 10)).await.unwrap();
    let copied = open(&copy, home.options.clone()).unwrap();
    let row = copied
        .channel(samples::channel("c"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.head, samples::cursor(1, 1));
    assert_eq!(
        copied.closed_cleanly(store.epoch()).await.unwrap(),
        Some(false)
    );
    assert!(copied.epoch() > store.epoch());
    put(&copied, message(2, 10)).await.unwrap();
}

#[tokio::test]
async fn a_backup_never_overwrites() {
    let home = Home::new();
    let store = home.open();
    let taken = home.path("taken");
    fs::write(&taken, "mine").unwrap();
    let error = store.backup(taken.clone()).await.unwrap_err();
    assert!(
        error.to_string().contains("it exists and has 4 bytes"),
        "{error}"
    );
    assert_eq!(fs::read(&taken).unwrap(), b"mine");
    let nowhere = store.backup(home.path("no/such")).await.unwrap_err();
    assert!(nowhere.to_string().contains("making backup"), "{nowhere}");
}

#[tokio::test]
async fn what_does_not_decode_is_named() {
    let home = Home::new();
    let store = home.open();
    put(&store, samples::write_run(samples::run(1, Phase::Queued)))
        .await
        .unwrap();
    let run = samples::run_id(1);
    let shell = home.shell();
    for (change, column) in [
        ("phase = 9", "phase"),
        ("phase = 0, error = '{'", "error"),
        (
            "result = '1', error = '{\"code\":\"a\",\"message\":\"b\"}'",
            "result",
        ),
        ("error = NULL, function = ''", "function"),
        ("function = 'f', lease = -1", "lease"),
        ("lease = 0, event = x'00'", "event"),
    ] {
        shell
            .execute(&format!("UPDATE runs SET {change}"), [])
            .unwrap();
        let error = store.run_row(run).await.unwrap_err().to_string();
        assert!(
            error.contains(&format!("decoding run {run}, column `{column}`")),
            "{change}: {error}"
        );
    }
}

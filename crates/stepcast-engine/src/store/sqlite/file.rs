//! How a database file is made, recognised, brought up to date and taken into service.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, params};
use stepcast_protocol::{Epoch, Timestamp};

use super::{
    backup,
    encode::{int, rows},
    error::{backend, on_file},
    options::{Durability, SqliteOptions},
    os, path,
    schema::{APPLICATION_ID, MIGRATIONS},
};
use crate::store::StoreError;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the application id stands in the header, big-endian.
const APPLICATION_ID_AT: usize = 68;
const HEADER_BYTES: usize = 100;
/// Pages of the write-ahead log after which it is written back.
const CHECKPOINT_PAGES: u32 = 4_000;
const WRITER_CACHE_KIB: i32 = 64 * 1024;
const READER_CACHE_KIB: i32 = 8 * 1024;
/// How long a statement waits for somebody who writes through the `sqlite3` shell.
const BUSY_MILLIS: u32 = 10_000;
/// Statements kept prepared per connection; there are fewer.
const STATEMENTS: usize = 64;

/// Opens the file for writing, made or migrated as needed.
pub(super) fn open_writer(file: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    let fail = |error: rusqlite::Error| on_file(file, "opening database", &error);
    recognise(file)?;
    os::open_private(file)
        .map_err(|error| backend(format_args!("opening database `{}`", file.display()), error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(file, flags).map_err(fail)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    configure_writer(&conn, options).map_err(fail)?;
    bring_up_to_date(&mut conn, file, MIGRATIONS)?;
    conn.pragma_update(None, "journal_mode", "WAL")
        .map_err(fail)?;
    bound(&conn, options).map_err(fail)?;
    Ok(conn)
}

/// Opens the file for reading, beside its writer.
pub(super) fn open_reader(file: &Path) -> Result<Connection, StoreError> {
    let fail = |error: rusqlite::Error| on_file(file, "opening database", &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags).map_err(fail)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.pragma_update(None, "busy_timeout", BUSY_MILLIS)
        .map_err(fail)?;
    conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)
        .map_err(fail)?;
    Ok(conn)
}

/// Begins a new life of the owner: its epoch is on disk before anything is served.
pub(super) fn begin_epoch(
    conn: &Connection,
    file: &Path,
    now: Timestamp,
) -> Result<Epoch, StoreError> {
    let seconds = now.as_seconds().max(1);
    let id: i64 = conn
        .query_row(
            "INSERT INTO epochs (id, closed_cleanly) SELECT max(coalesce(max(id) + 1, 1), ?1), 0 FROM epochs RETURNING id",
            params![seconds],
            |row| row.get(0),
        )
        .map_err(|error| on_file(file, "beginning an epoch of", &error))?;
    Ok(Epoch(u64::try_from(id).expect("an epoch is at least 1")))
}

/// Marks the epoch as closed cleanly and writes the log back into the database.
pub(super) fn end_epoch(conn: Connection, file: &Path, epoch: Epoch) -> Result<(), StoreError> {
    let fail = |error: rusqlite::Error| on_file(file, "closing database", &error);
    conn.execute(
        "UPDATE epochs SET closed_cleanly = 1 WHERE id = ?1",
        [int(epoch.0)],
    )
    .map_err(fail)?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .map_err(fail)?;
    conn.flush_prepared_statement_cache();
    conn.close().map_err(|(_, error)| fail(error))
}

/// Refuses the files of others before SQLite has touched them.
pub(super) fn recognise(file: &Path) -> Result<(), StoreError> {
    let foreign = |found: String| StoreError::ForeignFile {
        file: file.display().to_string(),
        found,
    };
    let mut header = Vec::new();
    let read = fs::File::open(file)
        .and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut header));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(backend(format_args!("reading `{}`", file.display()), error)),
        Ok(_) if header.is_empty() || was_being_made(file) => return Ok(()),
        Ok(_) => {}
    }
    if header.len() < HEADER_BYTES || !header.starts_with(MAGIC) {
        return Err(foreign(
            "it does not begin like an SQLite database".to_owned(),
        ));
    }
    let mut id = [0; 4];
    id.copy_from_slice(&header[APPLICATION_ID_AT..APPLICATION_ID_AT + 4]);
    let id = i32::from_be_bytes(id);
    if id == APPLICATION_ID {
        Ok(())
    } else {
        Err(foreign(format!(
            "an SQLite database with application id {id}"
        )))
    }
}

/// Our files have a rollback journal only while they are made. SQLite takes back what is half done.
fn was_being_made(file: &Path) -> bool {
    let mut journal = file.as_os_str().to_owned();
    journal.push("-journal");
    PathBuf::from(journal).exists()
}

fn configure_writer(conn: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Process => "NORMAL",
    };
    conn.pragma_update(None, "busy_timeout", BUSY_MILLIS)?;
    conn.pragma_update(None, "synchronous", synchronous)?;
    conn.pragma_update(None, "fullfsync", options.durability == Durability::Full)?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    conn.pragma_update(None, "temp_store", "MEMORY")
}

fn bound(conn: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    let Some(bytes) = options.max_bytes else {
        return Ok(());
    };
    let page: u32 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = (bytes / u64::from(page)).clamp(1, u64::from(u32::MAX - 1));
    conn.pragma_update(None, "max_page_count", int(pages))
}

fn bring_up_to_date(
    conn: &mut Connection,
    file: &Path,
    migrations: &[&str],
) -> Result<(), StoreError> {
    let fail = |error: rusqlite::Error| on_file(file, "migrating database", &error);
    let known = u32::try_from(migrations.len()).expect("there are few versions");
    let version: u32 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(fail)?;
    if version > known {
        return Err(StoreError::NewerFile {
            file: file.display().to_string(),
            found: version,
            known,
        });
    }
    if version == known {
        return Ok(());
    }
    if version == 0 {
        refuse_tables(conn, file)?;
        // Cannot be added once there are tables.
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")
            .map_err(fail)?;
    } else {
        let copy = path::beside(file, &format!("backup-v{version}"));
        tracing::warn!(from = version, to = known, backup = %copy.display(), "migrating the database");
        backup::copy(conn, file, &copy)?;
    }
    migrate(conn, version, migrations).map_err(fail)
}

fn migrate(conn: &mut Connection, from: u32, migrations: &[&str]) -> rusqlite::Result<()> {
    let tx = conn.transaction()?;
    for migration in migrations.iter().skip(from as usize) {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", rows(migrations.len()))?;
    tx.commit()
}

/// A file of version 0 is ours only while it is empty.
fn refuse_tables(conn: &Connection, file: &Path) -> Result<(), StoreError> {
    let tables: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| on_file(file, "reading database", &error))?;
    if tables == 0 {
        return Ok(());
    }
    Err(StoreError::ForeignFile {
        file: file.display().to_string(),
        found: format!("an SQLite database of version 0 with {tables} tables and indexes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[&str] = &["CREATE TABLE first (n); INSERT INTO first VALUES (7)"];
    const NEW: &[&str] = &[
        OLD[0],
        "ALTER TABLE first ADD COLUMN m",
        "UPDATE first SET m = n + 1",
    ];

    fn open(file: &Path) -> Connection {
        os::open_private(file).unwrap();
        Connection::open(file).unwrap()
    }

    #[test]
    fn an_old_file_is_copied_and_brought_up_to_date() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("old.db");
        let mut conn = open(&file);
        bring_up_to_date(&mut conn, &file, OLD).unwrap();
        bring_up_to_date(&mut conn, &file, NEW).unwrap();
        let row: (i64, i64) = conn
            .query_row("SELECT n, m FROM first", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(row, (7, 8));
        bring_up_to_date(&mut conn, &file, NEW).unwrap();

        let mut copy = open(&directory.path().join("old.db.backup-v1"));
        let columns: i64 = copy
            .query_row(
                "SELECT count(*) FROM pragma_table_info('first')",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(columns, 1);
        bring_up_to_date(&mut copy, &file, OLD).unwrap();
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("old.db");
        let mut conn = open(&file);
        bring_up_to_date(&mut conn, &file, OLD).unwrap();
        let wrong = [OLD[0], NEW[1], "UPDATE nothing SET m = 1"];
        bring_up_to_date(&mut conn, &file, &wrong).unwrap_err();
        let version: u32 = conn
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        let columns: i64 = conn
            .query_row(
                "SELECT count(*) FROM pragma_table_info('first')",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!((version, columns), (1, 1));
    }
}

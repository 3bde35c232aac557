//! The SQLite file that the rows go to. It holds one import: the table `imported`, and in `import_source` what it is the import of.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use stepcast::{RunId, prelude::*};

use crate::{function::Import, records::Place, source::Batch};

/// SQLite's own bound, less the column `line`.
const MOST_COLUMNS: usize = 1_999;

/// What `import_source` says.
pub(crate) struct Claimed {
    pub(crate) import: Import,
    /// Nothing where no run was noted yet.
    pub(crate) run: Option<RunId>,
}

pub(crate) struct Output {
    connection: Connection,
    path: PathBuf,
}

impl Output {
    /// Opens the file, made where there is none.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        Self::open_with(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )
    }

    /// Opens the file that was made before.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn open_with(path: &Path, flags: OpenFlags) -> Result<Self, Error> {
        let path = path.to_owned();
        match Connection::open_with_flags(&path, flags) {
            Ok(connection) => Ok(Self { connection, path }),
            Err(error) => Err(cannot(&path, &error)),
        }
    }

    /// The import that this file holds: the one that is noted in it, else `import`, which is noted.
    pub(crate) fn claim(&mut self, import: &Import) -> Result<Claimed, Error> {
        let columns = &import.source.columns;
        if columns.len() > MOST_COLUMNS {
            let (count, file) = (columns.len(), import.source.file.display());
            return Err(Error::msg(format!(
                "`{file}` has {count} columns; an SQLite table takes {MOST_COLUMNS} beside `line`"
            )));
        }
        match claim(&mut self.connection, import) {
            Ok(Some(claimed)) => Ok(claimed),
            Ok(None) => {
                let path = self.path.display();
                Err(Error::msg(format!(
                    "--out `{path}` belongs to something else: it has tables or an application id that this program did not make; give a file of its own"
                )))
            }
            Err(error) => Err(cannot(&self.path, &error)),
        }
    }

    /// Notes the run that does the import.
    pub(crate) fn note_run(&self, run: RunId) -> Result<(), Error> {
        let noted = self
            .connection
            .execute("UPDATE import_source SET run = ?", [run.to_string()]);
        noted
            .map(|_| ())
            .map_err(|error| cannot(&self.path, &error))
    }

    /// Puts a batch's rows into the table, in place of what an earlier attempt may have put there.
    ///
    /// A step may run twice: when a crash falls between this commit and the one that records the step, the next start runs the step again,
    /// from the same place in the file. So the transaction first deletes the lines that the batch covers, and only then inserts them: however
    /// often it commits, each line is there once. (A table of finished batches, written in the same transaction, would do as well.)
    pub(crate) fn replace(
        &mut self,
        import: &Import,
        from: Place,
        batch: &Batch,
    ) -> Result<(), Error> {
        match replace(&mut self.connection, import, from, batch) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let path = self.path.display();
                Err(Error::msg(format!(
                    "`{path}` is not the file that this import began with"
                ))
                .terminal())
            }
            Err(error) => Err(cannot(&self.path, &error)),
        }
    }
}

/// Nothing where the file is somebody else's.
fn claim(connection: &mut Connection, import: &Import) -> Result<Option<Claimed>, rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let count = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    if count("SELECT count(*) FROM sqlite_schema WHERE name = 'import_source'")? == 0 {
        let taken = count("SELECT count(*) FROM sqlite_schema")?
            + count("SELECT application_id FROM pragma_application_id")?;
        if taken != 0 {
            return Ok(None);
        }
        let names: String = column_names(&import.source.columns)
            .iter()
            .map(|name| format!(", {} TEXT", quoted(name)))
            .collect();
        transaction.execute_batch(&format!(
            "CREATE TABLE import_source (import TEXT NOT NULL, id TEXT NOT NULL, run TEXT);
             CREATE TABLE imported (line INTEGER{names});
             CREATE INDEX imported_by_line ON imported (line);"
        ))?;
        let json = serde_json::to_string(import).map_err(not_json)?;
        transaction.execute(
            "INSERT INTO import_source (import, id) VALUES (?, ?)",
            params![json, import.id],
        )?;
    }
    let (json, run): (String, Option<String>) =
        transaction.query_row("SELECT import, run FROM import_source", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    transaction.commit()?;
    Ok(Some(Claimed {
        import: serde_json::from_str(&json).map_err(not_json)?,
        run: run.and_then(|run| run.parse().ok()),
    }))
}

/// False where the file holds another import.
fn replace(
    connection: &mut Connection,
    import: &Import,
    from: Place,
    batch: &Batch,
) -> Result<bool, rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let id: Option<String> = transaction
        .query_row("SELECT id FROM import_source", [], |row| row.get(0))
        .optional()?;
    if id.as_deref() != Some(&import.id) {
        return Ok(false);
    }
    transaction.execute(
        "DELETE FROM imported WHERE line >= ? AND line < ?",
        [integer(from.line), integer(batch.next.line)],
    )?;
    let places = ", ?".repeat(import.source.columns.len());
    let mut insert = transaction.prepare(&format!("INSERT INTO imported VALUES (?{places})"))?;
    for (line, fields) in &batch.rows {
        insert.raw_bind_parameter(1, integer(*line))?;
        // A column that the row leaves out is NULL.
        for column in 0..import.source.columns.len() {
            insert.raw_bind_parameter(column + 2, fields.get(column))?;
        }
        insert.raw_execute()?;
    }
    drop(insert);
    transaction.commit()?;
    Ok(true)
}

/// The file's names as a table can have them: none is empty, `line` is taken, and upper and lower case are the same.
pub(crate) fn column_names(header: &[String]) -> Vec<String> {
    let mut taken = vec!["line".to_owned()];
    let mut names = Vec::new();
    for (index, name) in header.iter().enumerate() {
        let wanted = match name.trim() {
            "" => format!("column_{}", index + 1),
            name => name.to_owned(),
        };
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let name = std::iter::once(wanted.clone())
            .chain(numbered)
            .find(|name| !taken.contains(&name.to_lowercase()))
            .expect("one of endlessly many names is free");
        taken.push(name.to_lowercase());
        names.push(name);
    }
    names
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A line's number as SQLite has it.
fn integer(line: u64) -> i64 {
    i64::try_from(line).expect("a file has fewer than 2^63 lines")
}

fn not_json(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

fn cannot(path: &Path, error: &rusqlite::Error) -> Error {
    Error::msg(format!(
        "the output file `{}` cannot be used: {error}",
        path.display()
    ))
}

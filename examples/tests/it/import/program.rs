//! The program in a folder of its own, and what it leaves there.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

/// A row of `imported`: the line's number, and the columns.
pub(crate) type Row = (u64, Vec<Option<String>>);

pub(crate) struct Program {
    pub(crate) folder: TempDir,
    file: PathBuf,
    more: Vec<String>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A process that does not outlive its test.
pub(crate) struct Living(pub(crate) Child);

impl Drop for Living {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/zone1970.tab")
}

impl Program {
    pub(crate) fn on(file: &Path, more: &[&str]) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            file: file.to_owned(),
            more: more.iter().map(|&argument| argument.to_owned()).collect(),
        }
    }

    /// On a file made for the test.
    pub(crate) fn on_text(name: &str, text: &[u8], more: &[&str]) -> Self {
        let mut program = Self::on(Path::new(""), more);
        program.file = program.path(name);
        std::fs::write(&program.file, text).unwrap();
        program
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = self.command_on("state.db", "out.db");
        command.args(&self.more);
        command
    }

    pub(crate) fn command_on(&self, db: &str, out: &str) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.folder.path()).arg(&self.file);
        command.args(["--db", db, "--out", out]);
        command
    }

    pub(crate) fn run(&self) -> Ended {
        end(self.command())
    }

    pub(crate) fn start(&self) -> Living {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Living(command.spawn().unwrap())
    }

    /// The output file. To be written, because only so can SQLite put right what a kill left.
    pub(crate) fn output(&self) -> Option<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        Connection::open_with_flags(self.path("out.db"), flags).ok()
    }

    /// How many rows are in the table; none while there is no table.
    pub(crate) fn count(&self) -> u64 {
        self.number("SELECT count(*) FROM imported")
    }

    /// How many rows are there again.
    pub(crate) fn repeated(&self) -> u64 {
        self.number("SELECT count(*) - count(DISTINCT line) FROM imported")
    }

    fn number(&self, sql: &str) -> u64 {
        self.output()
            .and_then(|output| output.query_row(sql, [], |row| row.get::<_, i64>(0)).ok())
            .map_or(0, i64::unsigned_abs)
    }

    /// The table in the order in which it was written.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let output = self.output().unwrap();
        let mut all = output
            .prepare("SELECT * FROM imported ORDER BY rowid")
            .unwrap();
        let columns = all.column_count();
        let rows = all.query_map([], |row| {
            let line: i64 = row.get(0)?;
            let fields: Result<_, _> = (1..columns).map(|column| row.get(column)).collect();
            Ok((line.unsigned_abs(), fields?))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// How many batches' steps are on record, read from a copy, so that nothing is put right before the next start does it.
    pub(crate) fn recorded(&self) -> u64 {
        let copy = tempfile::tempdir().unwrap();
        for name in ["state.db", "state.db-wal"] {
            // There is none before the engine made it.
            drop(std::fs::copy(self.path(name), copy.path().join(name)));
        }
        let state = Connection::open(copy.path().join("state.db")).unwrap();
        let sql = "SELECT count(*) FROM steps WHERE step LIKE 'batch-%' AND result IS NOT NULL";
        let count = state.query_row(sql, [], |row| row.get::<_, i64>(0));
        count.map_or(0, i64::unsigned_abs)
    }

    /// The payloads of a topic, as the channel keeps them.
    pub(crate) fn messages(&self, topic: &str) -> Vec<serde_json::Value> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let state = Connection::open_with_flags(self.path("state.db"), flags).unwrap();
        let sql = "SELECT payload FROM messages JOIN channels ON channels.id = messages.channel
                   WHERE channels.name LIKE 'import:%' AND topic = ? ORDER BY epoch, offset";
        let mut found = state.prepare(sql).unwrap();
        let payloads = found.query_map([topic], |row| row.get::<_, String>(0));
        let parsed = payloads
            .unwrap()
            .map(|payload| serde_json::from_str(&payload.unwrap()));
        parsed.map(Result::unwrap).collect()
    }
}

pub(crate) fn end(mut command: Command) -> Ended {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Ended {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// The rows of the sample, taken apart in another way than the program's.
pub(crate) fn rows_of_sample() -> Vec<Row> {
    let text = std::fs::read_to_string(sample()).unwrap();
    let lines = (1..).zip(text.lines());
    let data = lines.filter(|(_, line)| !line.starts_with('#'));
    let row = |(number, line): (u64, &str)| {
        let mut fields: Vec<_> = line
            .split('\t')
            .map(|field| Some(field.to_owned()))
            .collect();
        fields.resize(4, None);
        (number, fields)
    };
    data.map(row).collect()
}

/// Cargo names the programs of a package's tests, not its examples; they lie beside the folder of the tests.
fn binary() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().and_then(Path::parent).unwrap();
    let binary = target
        .join("examples")
        .join(format!("import{}", std::env::consts::EXE_SUFFIX));
    assert!(binary.is_file(), "{} is not built", binary.display());
    binary
}

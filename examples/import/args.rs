//! What is asked for, and mistakes in it that can be seen before anything is written.

use std::path::{Path, PathBuf};

use clap::Parser;
use stepcast::prelude::*;

use crate::format::{Character, Choice, Header};

/// Imports a CSV or TSV file into an SQLite table, one durable step per batch of rows.
///
/// Start it again with the same arguments after a crash: it goes on at the first unfinished batch. Exit code 0 says that all of the file
/// is in the table (bad rows are counted and shown), 1 that it is not, 2 that the arguments are wrong.
#[derive(Parser)]
pub(crate) struct Args {
    /// The file to import.
    pub(crate) file: PathBuf,
    /// Stepcast's database: runs, steps and messages. Made where there is none.
    #[arg(long, value_name = "FILE")]
    pub(crate) db: PathBuf,
    /// The SQLite file that gets the table `imported`. Made where there is none; it holds one import.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Rows per step [default: 50, more where the file has so many rows that a run would have too many steps].
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch: Option<u64>,
    /// A pause in each batch, to watch it, or to kill it.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) delay_ms: u64,
    /// What separates fields: a character, or `tab` [default: a tab where the file is called .tsv or .tab or its header has a tab,
    /// else a comma].
    #[arg(long, value_name = "CHAR")]
    delimiter: Option<Character>,
    /// What a line that is not a row begins with: a character, or `none`.
    #[arg(long, value_name = "CHAR", default_value = "#")]
    comment: Character,
    /// Where the columns are named: `first` row, or last `comment` before the rows [default: the comment where it has a tab and fields
    /// are separated by tabs, as in the tz database's tables].
    #[arg(long, value_name = "WHERE")]
    header: Option<Header>,
    /// How many of the last columns a row may leave out [default: 1 where a comment names the columns, else 0].
    #[arg(long, value_name = "COLUMNS")]
    optional: Option<usize>,
    /// Prints every message as one JSON line instead of a progress bar.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    pub(crate) fn choice(&self) -> Result<Choice, Error> {
        if self.delimiter == Some(Character::None) {
            return Err(Error::msg(
                "--delimiter `none` separates nothing; give a character, or `tab`",
            ));
        }
        Ok(Choice {
            delimiter: self.delimiter.and_then(Character::byte),
            comment: self.comment.byte(),
            header: self.header,
            optional: self.optional,
        })
    }

    /// The three files must be three.
    pub(crate) fn check_paths(&self) -> Result<(), Error> {
        let named = [
            ("FILE", &self.file),
            ("--db", &self.db),
            ("--out", &self.out),
        ];
        for (flag, path) in &named[1..] {
            let folder = folder(path);
            if !folder.is_dir() {
                let (path, folder) = (path.display(), folder.display());
                return Err(Error::msg(format!(
                    "{flag} `{path}` cannot be made: there is no folder `{folder}`"
                )));
            }
            if path.is_dir() {
                let path = path.display();
                return Err(Error::msg(format!(
                    "{flag} `{path}` is a folder; give a file in it"
                )));
            }
        }
        for (index, (flag, path)) in named.iter().enumerate() {
            for (other, taken) in &named[..index] {
                if resolved(path) == resolved(taken) {
                    let path = path.display();
                    return Err(Error::msg(format!(
                        "{other} and {flag} are the same file, `{path}`; each needs one of its own"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// A path by which a file is recognised, from whatever folder the program is started, whether or not the file is there yet.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        let folder = folder(path);
        let folder = folder.canonicalize().unwrap_or(folder);
        folder.join(path.file_name().unwrap_or_default())
    })
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

//! The whole file as it was found, so that it is recognised later, and its rows by batches.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stepcast::prelude::*;

use crate::{
    format::{Choice, Format},
    header::Head,
    records::{Content, Place, Record, Records},
};

/// A file that was looked through once, from beginning to end.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) state: FileState,
    pub(crate) format: Format,
    /// As the file names them.
    pub(crate) columns: Vec<String>,
    /// Where the first row begins.
    pub(crate) start: Place,
    /// Good and bad ones.
    pub(crate) rows: u64,
    pub(crate) comments: u64,
}

/// What a file's content is recognised by.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileState {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Milliseconds since 1970. When it and the size are as before, the content is not read to compare it.
    modified: u64,
}

/// A row that was not imported.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadRow {
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// One batch as it stands in the file.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<(u64, Vec<String>)>,
    pub(crate) bad: Vec<BadRow>,
    pub(crate) next: Place,
}

impl Source {
    /// Looks a file through. `file` is absolute.
    pub(crate) fn survey(file: PathBuf, choice: &Choice) -> Result<Self, Error> {
        let state = FileState::of(&file)?;
        let Head {
            format,
            columns,
            start,
            comments,
        } = Head::read(&file, choice)?;
        let mut records = Records::open(&file, format, start)?;
        let mut source = Self {
            file,
            state,
            format,
            columns,
            start,
            rows: 0,
            comments,
        };
        while let Some(record) = records.next()? {
            match record.content {
                Content::Comment(_) => source.comments += 1,
                Content::Row(_) | Content::Bad(_) => source.rows += 1,
            }
        }
        if source.rows == 0 {
            let file = source.file.display();
            return Err(Error::msg(format!(
                "`{file}` has a header and no rows; there is nothing to import"
            )));
        }
        Ok(source)
    }

    /// The batch that begins at a place.
    pub(crate) fn batch(&self, from: Place, rows: u64) -> io::Result<Batch> {
        let mut records = Records::open(&self.file, self.format, from)?;
        let mut batch = Batch {
            rows: Vec::new(),
            bad: Vec::new(),
            next: from,
        };
        let mut left = rows;
        while left > 0
            && let Some(record) = records.next()?
        {
            let Record { lines, content } = record;
            let read = match content {
                Content::Comment(_) => continue,
                Content::Bad(reason) => Err(reason),
                Content::Row(fields) => {
                    self.row(fields)
                        .map_err(|reason| match lines.end - lines.start {
                            1 => reason,
                            _ => format!(
                                "{reason}; a quoted field makes it go on until line {}",
                                lines.end - 1
                            ),
                        })
                }
            };
            let line = lines.start;
            match read {
                Ok(fields) => batch.rows.push((line, fields)),
                Err(reason) => batch.bad.push(BadRow { line, reason }),
            }
            left -= 1;
        }
        batch.next = records.place();
        Ok(batch)
    }

    fn row(&self, fields: Vec<Vec<u8>>) -> Result<Vec<String>, String> {
        let (most, optional) = (self.columns.len(), self.format.optional);
        if fields.len() > most || fields.len() + optional < most {
            let expected = match optional {
                0 => most.to_string(),
                _ => format!("{} to {most}", most.saturating_sub(optional)),
            };
            let found = counted(fields.len() as u64, "field");
            return Err(format!("{found} instead of {expected}"));
        }
        let text = |(index, field): (usize, Vec<u8>)| {
            String::from_utf8(field).map_err(|_| {
                let name = &self.columns[index];
                format!("invalid UTF-8 in field {} (`{name}`)", index + 1)
            })
        };
        fields.into_iter().enumerate().map(text).collect()
    }
}

impl FileState {
    /// Reads the whole file once.
    pub(crate) fn of(file: &Path) -> Result<Self, Error> {
        let named = |error: io::Error| Error::msg(format!("`{}`: {error}", file.display()));
        let (bytes, modified) = stat(file).map_err(named)?;
        if bytes == 0 {
            let file = file.display();
            return Err(Error::msg(format!(
                "`{file}` is empty; there is nothing to import"
            )));
        }
        let mut input = File::open(file).map_err(named)?;
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
        loop {
            match input.read(&mut buffer).map_err(named)? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
        }
        let digest = hash.finalize();
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            bytes,
            sha256,
            modified,
        })
    }

    pub(crate) fn same_content(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.sha256 == other.sha256
    }

    /// Whether the file still is as it was. Its content is read only where its time says that it was written.
    pub(crate) fn still_holds(&self, file: &Path) -> Result<bool, Error> {
        if stat(file)? == (self.bytes, self.modified) {
            return Ok(true);
        }
        Ok(self.same_content(&Self::of(file)?))
    }
}

fn stat(file: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(file)?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a folder, not a file"));
    }
    if !metadata.is_file() {
        return Err(io::Error::other(
            "it is not a regular file; an import that can go on needs one",
        ));
    }
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH);
    let millis = modified.unwrap_or_default().as_millis();
    Ok((metadata.len(), millis.try_into().unwrap_or_default()))
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

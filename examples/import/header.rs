//! A file's first lines: how it is written, what its columns are called, where its rows begin.

use std::path::Path;

use stepcast::prelude::*;

use crate::{
    fields::Fields,
    format::{Choice, Format, Header},
    records::{Content, Place, Records},
};

pub(crate) struct Head {
    pub(crate) format: Format,
    /// As the file names them.
    pub(crate) columns: Vec<String>,
    /// Where the first row begins.
    pub(crate) start: Place,
    /// Comments before the rows.
    pub(crate) comments: u64,
}

impl Head {
    pub(crate) fn read(file: &Path, choice: &Choice) -> Result<Self, Error> {
        let format = decide(file, choice)?;
        let mut records = Records::open(file, format, Place::START)?;
        let (mut comments, mut last_comment) = (0, None);
        loop {
            let before = records.place();
            let Some(record) = records.next()? else {
                return Err(no_rows(file));
            };
            let line = record.lines.start;
            let (names, start) = match (record.content, format.header) {
                (Content::Comment(text), _) => {
                    comments += 1;
                    last_comment = Some((line, text));
                    continue;
                }
                (Content::Row(_) | Content::Bad(_), Header::Comment) => {
                    let (line, comment) = last_comment.ok_or_else(|| no_comment(file))?;
                    let mut fields = Fields::new(format.delimiter, format.quotes);
                    fields.feed(&comment);
                    ((line, fields.finish()), before)
                }
                (Content::Row(fields), Header::First) => ((line, fields), records.place()),
                (Content::Bad(reason), Header::First) => return Err(unusable(file, line, &reason)),
            };
            let (line, names) = names;
            let columns = columns(names, format.optional);
            return Ok(Self {
                format,
                columns: columns.map_err(|reason| unusable(file, line, &reason))?,
                start,
                comments,
            });
        }
    }
}

/// Reads the lines up to the first that is no comment, and decides by them.
fn decide(file: &Path, choice: &Choice) -> Result<Format, Error> {
    let mut lines = Records::open(file, choice.lines(), Place::START)?;
    let mut comment = None;
    while let Some(record) = lines.next()? {
        match record.content {
            Content::Comment(text) => comment = Some(text),
            Content::Row(line) => return choice.decide(file, comment.as_deref(), &line.concat()),
            Content::Bad(reason) => return Err(unusable(file, record.lines.start, &reason)),
        }
    }
    Err(no_rows(file))
}

fn columns(names: Vec<Vec<u8>>, optional: usize) -> Result<Vec<String>, String> {
    let text = |name: Vec<u8>| String::from_utf8(name).map_err(|_| "not UTF-8".to_owned());
    let columns = names.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    if columns.iter().any(|name| name.contains('\0')) {
        return Err("a zero byte is in it, so this is no text".to_owned());
    }
    if columns.len() <= optional {
        let found = columns.len();
        return Err(format!(
            "a row may leave out {optional} of its columns by --optional, and it has {found}"
        ));
    }
    Ok(columns)
}

fn no_rows(file: &Path) -> Error {
    let file = file.display();
    Error::msg(format!(
        "`{file}` has only empty lines and comments; there is nothing to import"
    ))
}

fn no_comment(file: &Path) -> Error {
    let file = file.display();
    Error::msg(format!(
        "--header comment: `{file}` has no comment before its rows"
    ))
}

fn unusable(file: &Path, line: u64, reason: &str) -> Error {
    let file = file.display();
    Error::msg(format!(
        "the header of `{file}` (line {line}) cannot be used: {reason}"
    ))
}

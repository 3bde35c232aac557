//! A file's rows one after another, each with its line number. It can begin at any row whose place is known, and holds one row in memory.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{fields::Fields, format::Format};

/// Bytes of one row. A quote that is never closed would otherwise take the rest of the file for a field.
const LONGEST_ROW: u64 = 1024 * 1024;

/// The start of a line.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Bytes before it.
    pub(crate) offset: u64,
    /// Its number, from 1.
    pub(crate) line: u64,
}

impl Place {
    pub(crate) const START: Self = Self { offset: 0, line: 1 };
}

/// What stands in the file from one place to the next. Empty lines are passed over.
pub(crate) struct Record {
    /// The numbers of its lines: more than one where a quoted field goes on.
    pub(crate) lines: Range<u64>,
    pub(crate) content: Content,
}

pub(crate) enum Content {
    /// Without its first character.
    Comment(Vec<u8>),
    Row(Vec<Vec<u8>>),
    /// Not to be read as a row: why.
    Bad(String),
}

pub(crate) struct Records {
    input: BufReader<File>,
    format: Format,
    place: Place,
}

/// One line as it was read.
enum Line {
    Text(Vec<u8>),
    TooLong,
    End,
}

impl Records {
    pub(crate) fn open(path: &Path, format: Format, place: Place) -> io::Result<Self> {
        let mut input = BufReader::new(File::open(path)?);
        let mut place = place;
        if place == Place::START && input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            place.offset = 3;
        }
        input.seek(SeekFrom::Start(place.offset))?;
        Ok(Self {
            input,
            format,
            place,
        })
    }

    /// Where the next record begins.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let line = self.place.line;
            let content = match self.line(LONGEST_ROW)? {
                Line::End => return Ok(None),
                Line::TooLong => Content::Bad(format!("longer than {LONGEST_ROW} bytes")),
                Line::Text(text) => match without_end(&text).split_first() {
                    None => continue,
                    Some((first, rest)) if Some(*first) == self.format.comment => {
                        Content::Comment(rest.to_owned())
                    }
                    Some(_) => self.row(&text)?,
                },
            };
            let lines = line..self.place.line;
            return Ok(Some(Record { lines, content }));
        }
    }

    /// The row that begins with this line.
    fn row(&mut self, first: &[u8]) -> io::Result<Content> {
        let mut fields = Fields::new(self.format.delimiter, self.format.quotes);
        let after_first = self.place;
        let mut room = LONGEST_ROW;
        let mut text = first.to_owned();
        // Inside quotes the end of a line belongs to the field.
        while fields.feed(without_end(&text)) {
            fields.feed(&text[without_end(&text).len()..]);
            room = room.saturating_sub(text.len() as u64);
            text = match self.line(room)? {
                Line::Text(text) => text,
                Line::TooLong | Line::End => return self.unclosed(after_first),
            };
        }
        Ok(Content::Row(fields.finish()))
    }

    /// Only the line with the quote is bad; the next one may well be a row.
    fn unclosed(&mut self, next: Place) -> io::Result<Content> {
        self.input.seek(SeekFrom::Start(next.offset))?;
        self.place = next;
        Ok(Content::Bad("opens a quote that is never closed".into()))
    }

    /// The next line with its end; what is longer than `room` is passed over.
    fn line(&mut self, room: u64) -> io::Result<Line> {
        let mut text = Vec::new();
        let mut read = (&mut self.input).take(room).read_until(b'\n', &mut text)?;
        let is_cut = read as u64 == room && text.last() != Some(&b'\n');
        if is_cut {
            read += self.input.skip_until(b'\n')?;
        }
        self.place.offset += read as u64;
        self.place.line += u64::from(read > 0);
        Ok(match read {
            _ if is_cut => Line::TooLong,
            0 => Line::End,
            _ => Line::Text(text),
        })
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

//! How a file is written: chosen by flags, else seen from its name and its first lines.

use std::{path::Path, str::FromStr};

use serde::{Deserialize, Serialize};
use stepcast::prelude::*;

/// How the rows of a file are written.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) delimiter: u8,
    pub(crate) comment: Option<u8>,
    /// Whether a field may stand in double quotes. Tables with tabs have no quotes: there `"` is a character like others.
    pub(crate) quotes: bool,
    pub(crate) header: Header,
    /// How many of the last columns a row may leave out.
    pub(crate) optional: usize,
}

/// Where the columns are named.
#[derive(clap::ValueEnum, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Header {
    First,
    Comment,
}

/// What the flags say of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) delimiter: Option<u8>,
    pub(crate) comment: Option<u8>,
    pub(crate) header: Option<Header>,
    pub(crate) optional: Option<usize>,
}

impl Choice {
    /// Lines as they are, to look at before anything is decided.
    pub(crate) fn lines(&self) -> Format {
        Format {
            delimiter: b'\n',
            comment: self.comment,
            quotes: false,
            header: Header::First,
            optional: 0,
        }
    }

    /// Decides, given the last comment before the rows and the first line that is none.
    pub(crate) fn decide(
        &self,
        file: &Path,
        comment: Option<&[u8]>,
        first: &[u8],
    ) -> Result<Format, Error> {
        let has_tab = |line: &[u8]| line.contains(&b'\t');
        let is_tsv = file
            .extension()
            .is_some_and(|extension| extension == "tsv" || extension == "tab");
        let delimiter = match self.delimiter {
            Some(delimiter) => delimiter,
            None if is_tsv || has_tab(first) => b'\t',
            None => {
                guard_comma(file, first)?;
                b','
            }
        };
        let names_columns = delimiter == b'\t' && comment.is_some_and(has_tab);
        let header = self.header.unwrap_or(if names_columns {
            Header::Comment
        } else {
            Header::First
        });
        Ok(Format {
            delimiter,
            comment: self.comment,
            quotes: delimiter != b'\t',
            header,
            optional: self.optional.unwrap_or(match header {
                Header::First => 0,
                Header::Comment => 1,
            }),
        })
    }
}

/// A file of one column is rare, one that is separated by something else is not.
fn guard_comma(file: &Path, first: &[u8]) -> Result<(), Error> {
    if first.contains(&b',') {
        return Ok(());
    }
    let Some(other) = [b';', b'|'].into_iter().find(|other| first.contains(other)) else {
        return Ok(());
    };
    let (file, other) = (file.display(), char::from(other));
    Err(Error::msg(format!(
        "the header of `{file}` has no comma and no tab, but `{other}`; give --delimiter '{other}', or --delimiter , if it has one column"
    )))
}

/// A character given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Character {
    Byte(u8),
    None,
}

impl Character {
    pub(crate) fn byte(self) -> Option<u8> {
        match self {
            Self::Byte(byte) => Some(byte),
            Self::None => None,
        }
    }
}

impl FromStr for Character {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "tab" | "\\t" => Ok(Self::Byte(b'\t')),
            _ => match text.as_bytes() {
                [b'"' | b'\n' | b'\r'] => {
                    Err("quotes and line ends have a meaning of their own".into())
                }
                [byte] if byte.is_ascii() => Ok(Self::Byte(*byte)),
                _ => Err("give one ASCII character, `tab` or `none`".into()),
            },
        }
    }
}

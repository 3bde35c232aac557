//! From columns to values of the domain. What does not decode is an error that names table, key and column.

use bytes::Bytes;
use rusqlite::{
    Row,
    types::{Type, ValueRef},
};
use stepcast_protocol::{
    ChannelName, Cursor, EventId, EventName, FunctionId, RunError, RunId, StepId, Timestamp,
    TopicName,
};

use super::error::backend;
use crate::store::{BodyKey, Guards, Phase, StoreError, Verb, rows::Matching};

/// What one column can hold.
pub(super) trait Cell: Sized {
    /// The value, or what is wrong with it.
    fn read(value: ValueRef<'_>) -> Result<Self, String>;
}

/// One row of a table whose key is its first columns.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    row: &'a Row<'a>,
    table: &'static str,
    keys: usize,
}

impl<'a> Cells<'a> {
    pub(super) fn new(row: &'a Row<'a>, table: &'static str, keys: usize) -> Self {
        Self { row, table, keys }
    }

    pub(super) fn get<T: Cell>(&self, column: usize) -> Result<T, StoreError> {
        self.row
            .get_ref(column)
            .map_err(|error| error.to_string())
            .and_then(T::read)
            .map_err(|cause| self.wrong(column, &cause))
    }

    /// The column has no meaning beside the others.
    pub(super) fn wrong(&self, column: usize, cause: &str) -> StoreError {
        let Self { row, table, keys } = self;
        let name = row.as_ref().column_name(column).unwrap_or("?");
        let key: Vec<String> = (0..*keys).map(|index| show(row, index)).collect();
        backend(
            format_args!("decoding {table} {}, column `{name}`", key.join(" ")),
            cause,
        )
    }
}

fn show(row: &Row<'_>, index: usize) -> String {
    match row.get_ref(index) {
        Ok(ValueRef::Blob(bytes)) => match <[u8; 16]>::try_from(bytes) {
            Ok(id) => RunId::from_bytes(id).to_string(),
            Err(_) => format!(
                "x'{}'",
                bytes
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            ),
        },
        Ok(ValueRef::Text(text)) => format!("`{}`", String::from_utf8_lossy(text)),
        Ok(ValueRef::Integer(number)) => number.to_string(),
        Ok(ValueRef::Real(number)) => number.to_string(),
        Ok(ValueRef::Null) | Err(_) => "null".to_owned(),
    }
}

fn unexpected(value: ValueRef<'_>, expected: &str) -> String {
    let found = match value.data_type() {
        Type::Null => "nothing",
        Type::Integer => "a number",
        Type::Real => "a fraction",
        Type::Text => "a text",
        Type::Blob => "bytes",
    };
    format!("found {found}, expected {expected}")
}

impl<T: Cell> Cell for Option<T> {
    fn read(value: ValueRef<'_>) -> Result<Self, String> {
        match value {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => {
                T::read(value).map(Some)
            }
        }
    }
}

impl Cell for i64 {
    fn read(value: ValueRef<'_>) -> Result<Self, String> {
        value.as_i64().map_err(|_| unexpected(value, "a number"))
    }
}

impl Cell for Timestamp {
    fn read(value: ValueRef<'_>) -> Result<Self, String> {
        i64::read(value).map(Self::from_millis)
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Cell for $number {
            fn read(value: ValueRef<'_>) -> Result<Self, String> {
                let number = i64::read(value)?;
                Self::try_from(number).map_err(|_| format!("{number} is not between 0 and {}", Self::MAX))
            }
        })*
    };
}

numbers!(u8, u32, u64);

impl Cell for bool {
    fn read(value: ValueRef<'_>) -> Result<Self, String> {
        match i64::read(value)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("{other} is neither 0 nor 1")),
        }
    }
}

impl Cell for Phase {
    fn read(value: ValueRef<'_>) -> Result<Self, String> {
        let number = u8::read(value)?;
        Self::from_number(number).ok_or_else(|| format!("{number} is no phase of a run"))
    }
}

impl Cell for Verb {
    fn read(value: ValueRef<'_>) -> Result<Self, String> {
        let number = u8::read(value)?;
        Self::from_number(number).ok_or_else(|| format!("{number} is no verb of a step"))
    }
}

macro_rules! ids {
    ($($id:ty),*) => {
        $(impl Cell for $id {
            fn read(value: ValueRef<'_>) -> Result<Self, String> {
                let bytes = value.as_blob().map_err(|_| unexpected(value, "16 bytes"))?;
                let id = bytes.try_into().map_err(|_| format!("found {} bytes, expected 16", bytes.len()))?;
                Ok(Self::from_bytes(id))
            }
        })*
    };
}

ids!(RunId, EventId);

impl Cell for BodyKey {
    fn read(value: ValueRef<'_>) -> Result<Self, String> {
        let bytes = value.as_blob().map_err(|_| unexpected(value, "16 bytes"))?;
        let key = bytes
            .try_into()
            .map_err(|_| format!("found {} bytes, expected 16", bytes.len()))?;
        Ok(Self(key))
    }
}

impl Cell for Cursor {
    fn read(value: ValueRef<'_>) -> Result<Self, String> {
        str(value)?
            .parse()
            .map_err(|error: stepcast_protocol::cursor::BadCursor| error.to_string())
    }
}

impl Cell for String {
    fn read(value: ValueRef<'_>) -> Result<Self, String> {
        str(value).map(str::to_owned)
    }
}

fn str(value: ValueRef<'_>) -> Result<&str, String> {
    value.as_str().map_err(|_| unexpected(value, "a text"))
}

macro_rules! names {
    ($($name:ty),*) => {
        $(impl Cell for $name {
            fn read(value: ValueRef<'_>) -> Result<Self, String> {
                Self::parse(str(value)?).map_err(|error| error.to_string())
            }
        })*
    };
}

names!(ChannelName, EventName, FunctionId, StepId, TopicName);

/// Bytes as they were given, whether they lie there as text or not.
impl Cell for Bytes {
    fn read(value: ValueRef<'_>) -> Result<Self, String> {
        let bytes = value.as_bytes().map_err(|_| unexpected(value, "a text"))?;
        Ok(Self::copy_from_slice(bytes))
    }
}

impl Cell for Vec<u8> {
    fn read(value: ValueRef<'_>) -> Result<Self, String> {
        value
            .as_blob()
            .map(<[u8]>::to_vec)
            .map_err(|_| unexpected(value, "bytes"))
    }
}

macro_rules! jsons {
    ($($json:ty),*) => {
        $(impl Cell for $json {
            fn read(value: ValueRef<'_>) -> Result<Self, String> {
                serde_json::from_str(str(value)?).map_err(|error| error.to_string())
            }
        })*
    };
}

jsons!(RunError, Vec<Matching>, Vec<String>, Guards);

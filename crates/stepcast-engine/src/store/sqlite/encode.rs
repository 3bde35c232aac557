//! From values of the domain to columns.

use rusqlite::types::{ToSqlOutput, ValueRef};
use serde::Serialize;
use stepcast_protocol::Timestamp;

use crate::store::Outcome;

/// A number as SQLite keeps it. What is too large for it lies after everything that is stored.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count of rows.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn millis(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_millis)
}

/// Bytes that are kept as TEXT, without a look at them.
pub(super) fn text(bytes: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(bytes))
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .expect("strings, numbers and JSON values can always be written as JSON")
}

/// The columns `result` and `error`.
pub(super) fn outcome(outcome: Option<&Outcome>) -> (Option<ToSqlOutput<'_>>, Option<String>) {
    match outcome {
        None => (None, None),
        Some(Outcome::Ok(result)) => (Some(text(result)), None),
        Some(Outcome::Err(error)) => (None, Some(json(error))),
    }
}

//! How rows lie in the file: the tables of every version and the numbers that are kept in them.
//!
//! Everything here is persisted, keep it stable. The numbers of [`Phase`](crate::store::Phase) and
//! [`Verb`](crate::store::Verb) are persisted as well and stand with their types. `tests/fixtures` keeps a file of every version.

/// Marks a file as ours: `STCA` in the header's application id.
pub(super) const APPLICATION_ID: i32 = 0x5354_4341;

/// What leads from each version to the next, from the empty file on. The file's `user_version` says how many are applied.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("schema/v1.sql")];

/// A step's last attempt failed or was abandoned.
pub(super) const STEP_OPEN: u8 = 0;
/// A step's wait is recorded. The index `steps_waiting` has this number too.
pub(super) const STEP_WAITING: u8 = 1;
/// A step has ended.
pub(super) const STEP_DONE: u8 = 2;

/// A published message. Further kinds of records in a channel's log get numbers of their own.
pub(super) const KIND_MESSAGE: u8 = 0;
/// A rollback: some of an attempt's messages are void, and are gone from the table.
pub(super) const KIND_ROLLBACK: u8 = 1;

/// The key in `meta` under which the offsets of channels without a row begin.
pub(super) const OFFSET_FLOOR: &str = "offset_floor";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Phase;

    #[test]
    fn numbers_in_the_indexes_are_those_of_the_types() {
        let v1 = MIGRATIONS[0];
        let queued = Phase::Queued as u8;
        assert!(v1.contains(&format!("WHERE phase = {queued} AND lease = 0;")));
        assert!(v1.contains(&format!("WHERE phase = {queued} AND lease > 0;")));
        assert!(v1.contains(&format!("WHERE phase = {};", Phase::Leased as u8)));
        assert!(v1.contains(&format!("WHERE state = {STEP_WAITING};")));
    }
}

//! The channels' numbers and heads as the writer knows them.
//!
//! A channel's number is looked up once and then remembered. Heads are raised once per transaction, however many messages it
//! holds. After a rollback everything is forgotten, as numbers given in it are void.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, params};
use stepcast_protocol::{ChannelName, Cursor};

use super::encode::int;

/// Names remembered at once; about 200 bytes each.
const REMEMBERED: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct Channels {
    numbers: HashMap<ChannelName, i64>,
    raised: BTreeMap<i64, Cursor>,
}

impl Channels {
    /// The channel's number; gives it one where it has none.
    pub(super) fn number(
        &mut self,
        conn: &Connection,
        name: &ChannelName,
    ) -> rusqlite::Result<i64> {
        if let Some(number) = self.known(conn, name)? {
            return Ok(number);
        }
        let number = conn
            .prepare_cached(
                "INSERT INTO channels (name, head_epoch, head_offset) VALUES (?1, 0, 0)",
            )?
            .insert([name.as_str()])?;
        self.remember(name, number);
        Ok(number)
    }

    /// The channel's number, if it has one.
    pub(super) fn known(
        &mut self,
        conn: &Connection,
        name: &ChannelName,
    ) -> rusqlite::Result<Option<i64>> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(Some(*number));
        }
        let stored = conn
            .prepare_cached("SELECT id FROM channels WHERE name = ?1")?
            .query_row([name.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(number) = stored {
            self.remember(name, number);
        }
        Ok(stored)
    }

    fn remember(&mut self, name: &ChannelName, number: i64) {
        if self.numbers.len() >= REMEMBERED {
            self.numbers.clear();
        }
        self.numbers.insert(name.clone(), number);
    }

    /// The pair was given out on the channel.
    pub(super) fn raise(&mut self, number: i64, cursor: Cursor) {
        let head = self.raised.entry(number).or_insert(cursor);
        *head = cursor.max(*head);
    }

    /// Writes the heads that this transaction raised.
    pub(super) fn write_heads(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut update = conn.prepare_cached(
            "UPDATE channels SET head_epoch = ?2, head_offset = ?3 \
             WHERE id = ?1 AND (head_epoch, head_offset) < (?2, ?3)",
        )?;
        for (number, Cursor { epoch, offset }) in std::mem::take(&mut self.raised) {
            update.execute(params![number, int(epoch.0), int(offset.0)])?;
        }
        Ok(())
    }

    /// The channel has no row any more.
    pub(super) fn forget_name(&mut self, name: &ChannelName) {
        self.numbers.remove(name);
    }

    /// The transaction was rolled back.
    pub(super) fn forget(&mut self) {
        self.numbers.clear();
        self.raised.clear();
    }
}

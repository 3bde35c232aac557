//! What must hold before a batch is written.

use rusqlite::{Connection, OptionalExtension, Row, params};
use stepcast_protocol::{ChannelName, Cursor, Epoch, Event, EventId, Offset, RunId, Timestamp};

use super::{channels::Channels, decode::Cell, encode::int};
use crate::store::{Batch, Expect, Fence, KnownEvent, Phase, Refusal, UsedKey};

/// Reads every condition of the batch; the first that does not hold is the answer, and with an event that is known, or a key that was used, all that are.
pub(super) fn check(
    conn: &Connection,
    channels: &mut Channels,
    epoch: Epoch,
    batch: &Batch,
) -> rusqlite::Result<Result<(), Refusal>> {
    if let Some(fence) = &batch.fence
        && let Err(refusal) = fence_holds(conn, fence)?
    {
        return Ok(Err(refusal));
    }
    for expect in &batch.expect {
        let held = match expect {
            Expect::EventIsNew(event, at) => match known_event(conn, event, *at)? {
                None => Ok(()),
                Some(_) => Err(Refusal::EventsKnown(known_events(conn, batch)?)),
            },
            Expect::RunIsOpen(run) => run_is_open(conn, *run)?,
            Expect::RunIsKept(run) => run_is_kept(conn, *run)?,
            Expect::PublishKeyIsFree(channel, key, at) => {
                match used_key(conn, channels, channel, key, *at)? {
                    None => Ok(()),
                    Some(_) => Err(Refusal::KeysUsed(used_keys(conn, channels, batch)?)),
                }
            }
            Expect::EpochIs(given) if *given == epoch => Ok(()),
            Expect::EpochIs(given) => Err(Refusal::EpochOver(given.0)),
            Expect::MessageIsKept(channel, cursor) => {
                message_is_kept(conn, channels, channel, *cursor)?
            }
        };
        if held.is_err() {
            return Ok(held);
        }
    }
    Ok(Ok(()))
}

type Held = rusqlite::Result<Result<(), Refusal>>;

fn fence_holds(conn: &Connection, &Fence { run, lease }: &Fence) -> Held {
    let holds = conn
        .prepare_cached("SELECT 1 FROM runs WHERE id = ?1 AND phase = ?2 AND lease = ?3")?
        .exists(params![run.to_bytes(), Phase::Leased as u8, lease])?;
    Ok(if holds {
        Ok(())
    } else {
        Err(Refusal::LeaseLost { run, lease })
    })
}

fn known_events(conn: &Connection, batch: &Batch) -> rusqlite::Result<Vec<KnownEvent>> {
    let mut known = Vec::new();
    for expect in &batch.expect {
        if let Expect::EventIsNew(event, at) = expect {
            known.extend(known_event(conn, event, *at)?);
        }
    }
    Ok(known)
}

fn known_event(
    conn: &Connection,
    event: &Event,
    at: Timestamp,
) -> rusqlite::Result<Option<KnownEvent>> {
    let sent = event.id;
    let by_id = conn
        .prepare_cached("SELECT 1 FROM events WHERE id = ?1")?
        .exists([sent.to_bytes()])?;
    if by_id {
        return Ok(Some(KnownEvent { sent, known: sent }));
    }
    let Some(key) = &event.key else {
        return Ok(None);
    };
    let by_key: Option<EventId> = conn
        .prepare_cached("SELECT event FROM event_keys WHERE name = ?1 AND key = ?2 AND until > ?3")?
        .query_row(params![event.name.as_str(), key, at.as_millis()], |row| {
            cell(row, 0)
        })
        .optional()?;
    Ok(by_key.map(|known| KnownEvent { sent, known }))
}

fn run_is_open(conn: &Connection, run: RunId) -> Held {
    let phase: Option<Phase> = conn
        .prepare_cached("SELECT phase FROM runs WHERE id = ?1")?
        .query_row([run.to_bytes()], |row| cell(row, 0))
        .optional()?;
    Ok(match phase {
        None => Err(Refusal::RunUnknown(run)),
        Some(phase) if phase.is_final() => Err(Refusal::RunEnded(run)),
        Some(_) => Ok(()),
    })
}

fn run_is_kept(conn: &Connection, run: RunId) -> Held {
    let is_kept = conn
        .prepare_cached("SELECT 1 FROM runs WHERE id = ?1")?
        .exists([run.to_bytes()])?;
    Ok(if is_kept {
        Ok(())
    } else {
        Err(Refusal::RunUnknown(run))
    })
}

fn used_keys(
    conn: &Connection,
    channels: &mut Channels,
    batch: &Batch,
) -> rusqlite::Result<Vec<UsedKey>> {
    let mut used = Vec::new();
    for expect in &batch.expect {
        if let Expect::PublishKeyIsFree(channel, key, at) = expect {
            used.extend(used_key(conn, channels, channel, key, *at)?);
        }
    }
    Ok(used)
}

fn used_key(
    conn: &Connection,
    channels: &mut Channels,
    channel: &ChannelName,
    key: &str,
    at: Timestamp,
) -> rusqlite::Result<Option<UsedKey>> {
    let Some(number) = channels.known(conn, channel)? else {
        return Ok(None);
    };
    let used = conn
        .prepare_cached(
            "SELECT epoch, offset FROM publish_keys WHERE channel = ?1 AND key = ?2 AND until > ?3",
        )?
        .query_row(params![number, key, at.as_millis()], |row| {
            Ok(Cursor::new(Epoch(cell(row, 0)?), Offset(cell(row, 1)?)))
        })
        .optional()?;
    Ok(used.map(|cursor| {
        let key = key.to_owned();
        UsedKey { key, cursor }
    }))
}

fn message_is_kept(
    conn: &Connection,
    channels: &mut Channels,
    channel: &ChannelName,
    at: Cursor,
) -> Held {
    let Some(number) = channels.known(conn, channel)? else {
        return Ok(Err(Refusal::MessageNotKept(at)));
    };
    let is_kept = conn
        .prepare_cached("SELECT 1 FROM messages WHERE channel = ?1 AND epoch = ?2 AND offset = ?3")?
        .exists(params![number, int(at.epoch.0), int(at.offset.0)])?;
    Ok(if is_kept {
        Ok(())
    } else {
        Err(Refusal::MessageNotKept(at))
    })
}

/// A cell whose content the store itself wrote; what cannot be read fails the batch, not the writer.
fn cell<T: Cell>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let value = row.get_ref(index)?;
    let kind = value.data_type();
    T::read(value)
        .map_err(|cause| rusqlite::Error::FromSqlConversionFailure(index, kind, cause.into()))
}

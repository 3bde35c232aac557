//! How each write to a channel's log reaches its table.

use rusqlite::{Connection, OptionalExtension, params};
use stepcast_protocol::{ChannelName, Cursor, Kind, Message, RunId, TopicName};

use super::{
    channels::Channels,
    encode::{int, text},
    schema::{KIND_MESSAGE, KIND_ROLLBACK, OFFSET_FLOOR, STEP_DONE},
};
use crate::store::BodyKey;

pub(super) fn insert_message(
    conn: &Connection,
    channels: &mut Channels,
    channel: &ChannelName,
    message: &Message,
) -> rusqlite::Result<()> {
    let number = channels.number(conn, channel)?;
    channels.raise(number, message.cursor);
    match message.kind {
        Kind::Data => insert(conn, number, message, KIND_MESSAGE, &message.payload),
        // Only live topics have it.
        Kind::Ended { .. } | Kind::Status => Ok(()),
        Kind::Rollback { after } => {
            void(conn, number, message, after)?;
            let after = after.to_string();
            insert(conn, number, message, KIND_ROLLBACK, after.as_bytes())
        }
    }
}

fn insert(
    conn: &Connection,
    channel: i64,
    message: &Message,
    kind: u8,
    payload: &[u8],
) -> rusqlite::Result<()> {
    let origin = message.origin.as_deref();
    conn.prepare_cached(
        "INSERT INTO messages (channel, epoch, offset, kind, topic, payload, created_at, run, step, attempt) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        channel,
        int(message.cursor.epoch.0),
        int(message.cursor.offset.0),
        kind,
        message.topic.as_str(),
        text(payload),
        message.created_at.as_millis(),
        origin.map(|origin| origin.run.to_bytes()),
        origin.and_then(|origin| origin.step.as_deref()),
        origin.map(|origin| origin.attempt),
    ])?;
    Ok(())
}

/// Removes what the record voids, so that nobody who reads later ever sees it.
fn void(conn: &Connection, channel: i64, record: &Message, after: Cursor) -> rusqlite::Result<()> {
    let origin = record.origin.as_deref();
    if let Some(origin) = origin {
        conn.prepare_cached(
            "DELETE FROM trimmed_attempts WHERE run = ?1 AND channel = ?2 AND topic = ?3 AND step = ?4 AND attempt = ?5 \
             AND (last_epoch, last_offset) > (?6, ?7) AND (last_epoch, last_offset) < (?8, ?9)",
        )?
        .execute(params![
            origin.run.to_bytes(),
            channel,
            record.topic.as_str(),
            origin.step.as_deref().unwrap_or_default(),
            origin.attempt,
            int(after.epoch.0),
            int(after.offset.0),
            int(record.cursor.epoch.0),
            int(record.cursor.offset.0),
        ])?;
    }
    conn.prepare_cached(
        "DELETE FROM messages WHERE channel = ?1 AND (epoch, offset) > (?2, ?3) AND (epoch, offset) < (?4, ?5) \
         AND kind = ?6 AND topic = ?7 AND run IS ?8 AND step IS ?9 AND attempt IS ?10",
    )?
    .execute(params![
        channel,
        int(after.epoch.0),
        int(after.offset.0),
        int(record.cursor.epoch.0),
        int(record.cursor.offset.0),
        KIND_MESSAGE,
        record.topic.as_str(),
        origin.map(|origin| origin.run.to_bytes()),
        origin.and_then(|origin| origin.step.as_deref()),
        origin.map(|origin| origin.attempt),
    ])?;
    Ok(())
}

pub(super) fn put_run_channel(
    conn: &Connection,
    channels: &mut Channels,
    run: RunId,
    channel: &ChannelName,
    first: Cursor,
) -> rusqlite::Result<()> {
    let number = channels.number(conn, channel)?;
    conn.prepare_cached(
        "INSERT INTO run_channels (run, channel, first_epoch, first_offset, settled_epoch, settled_offset) \
         VALUES (?1, ?2, ?3, ?4, 0, 0) ON CONFLICT DO NOTHING",
    )?
    .execute(params![run.to_bytes(), number, int(first.epoch.0), int(first.offset.0)])?;
    Ok(())
}

pub(super) fn settle_body(
    conn: &Connection,
    channels: &mut Channels,
    run: RunId,
    keys: &[BodyKey],
    settled: &[(ChannelName, Cursor)],
) -> rusqlite::Result<()> {
    let mut count = conn.prepare_cached(
        "INSERT INTO body_messages (run, hash, count) VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET count = count + 1",
    )?;
    for key in keys {
        count.execute(params![run.to_bytes(), key.0])?;
    }
    let mut settle = conn.prepare_cached(
        "UPDATE run_channels SET settled_epoch = ?3, settled_offset = ?4 WHERE run = ?1 AND channel = ?2",
    )?;
    for (channel, cursor) in settled {
        let number = channels.number(conn, channel)?;
        settle.execute(params![
            run.to_bytes(),
            number,
            int(cursor.epoch.0),
            int(cursor.offset.0)
        ])?;
    }
    Ok(())
}

pub(super) fn trim(
    conn: &Connection,
    channels: &mut Channels,
    channel: &ChannelName,
    topic: &TopicName,
    up_to: Cursor,
) -> rusqlite::Result<()> {
    let Some(number) = channels.known(conn, channel)? else {
        return Ok(());
    };
    remember_attempts(conn, number, topic, up_to)?;
    conn.prepare_cached(
        "DELETE FROM messages WHERE channel = ?1 AND (epoch, offset) <= (?2, ?3) AND topic = ?4",
    )?
    .execute(params![
        number,
        int(up_to.epoch.0),
        int(up_to.offset.0),
        topic.as_str()
    ])?;
    raise_trim(conn, number, topic, up_to)
}

/// Whose messages are about to go though no commit stands behind them: readers may hold them when they turn out to be void.
fn remember_attempts(
    conn: &Connection,
    channel: i64,
    topic: &TopicName,
    up_to: Cursor,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO trimmed_attempts (run, channel, topic, step, attempt, last_epoch, last_offset) \
         SELECT messages.run, messages.channel, topic, ifnull(step, ''), attempt, epoch, offset \
         FROM messages JOIN run_channels ON run_channels.run = messages.run AND run_channels.channel = messages.channel \
         AND (epoch, offset) >= (first_epoch, first_offset) \
         WHERE messages.channel = ?1 AND (epoch, offset) <= (?2, ?3) AND topic = ?4 AND kind = ?5 AND attempt > 0 \
         AND CASE WHEN step IS NULL THEN (epoch, offset) > (settled_epoch, settled_offset) \
         ELSE NOT EXISTS (SELECT 1 FROM steps WHERE steps.run = messages.run AND steps.step = messages.step AND state = ?6) END \
         ORDER BY epoch, offset \
         ON CONFLICT DO UPDATE SET last_epoch = excluded.last_epoch, last_offset = excluded.last_offset \
         WHERE (last_epoch, last_offset) < (excluded.last_epoch, excluded.last_offset)",
    )?
    .execute(params![
        channel,
        int(up_to.epoch.0),
        int(up_to.offset.0),
        topic.as_str(),
        KIND_MESSAGE,
        STEP_DONE
    ])?;
    Ok(())
}

fn raise_trim(
    conn: &Connection,
    channel: i64,
    topic: &TopicName,
    up_to: Cursor,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO topic_trims (channel, topic, epoch, offset) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET epoch = ?3, offset = ?4 WHERE (epoch, offset) < (?3, ?4)",
    )?
    .execute(params![
        channel,
        topic.as_str(),
        int(up_to.epoch.0),
        int(up_to.offset.0)
    ])?;
    Ok(())
}

pub(super) fn fold_text(
    conn: &Connection,
    channels: &mut Channels,
    channel: &ChannelName,
    message: &Message,
) -> rusqlite::Result<()> {
    let Some(number) = channels.known(conn, channel)? else {
        return Ok(());
    };
    let (epoch, offset) = (int(message.cursor.epoch.0), int(message.cursor.offset.0));
    let run = message.origin.as_ref().map(|origin| origin.run.to_bytes());
    conn.prepare_cached(
        "DELETE FROM messages WHERE channel = ?1 AND (epoch, offset) <= (?2, ?3) AND topic = ?4 AND run IS ?5",
    )?
    .execute(params![number, epoch, offset, message.topic.as_str(), run])?;
    insert(conn, number, message, KIND_MESSAGE, &message.payload)?;
    raise_trim(conn, number, &message.topic, message.cursor)
}

pub(super) fn drop_channel(
    conn: &Connection,
    channels: &mut Channels,
    channel: &ChannelName,
) -> rusqlite::Result<()> {
    let Some(number) = channels.known(conn, channel)? else {
        return Ok(());
    };
    channels.write_heads(conn)?;
    let head: Option<i64> = conn
        .prepare_cached(
            "DELETE FROM channels WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM messages WHERE channel = ?1) \
             AND NOT EXISTS (SELECT 1 FROM publish_keys WHERE channel = ?1) RETURNING head_offset",
        )?
        .query_row([number], |row| row.get(0))
        .optional()?;
    let Some(head) = head else { return Ok(()) };
    for table in ["topic_trims", "run_channels", "trimmed_attempts"] {
        conn.prepare_cached(&format!("DELETE FROM {table} WHERE channel = ?1"))?
            .execute([number])?;
    }
    conn.prepare_cached("UPDATE meta SET value = max(value, ?2) WHERE key = ?1")?
        .execute(params![OFFSET_FLOOR, head])?;
    channels.forget_name(channel);
    Ok(())
}

//! What can be asked of channels' logs, one function per question.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};
use stepcast_protocol::{
    Bounds, ChannelName, Cursor, Kind, Message, Origin, RunId, StepId, Timestamp, TopicName, limits,
};

use super::{
    decode::Cells,
    encode::{int, json},
    error::backend,
    queries::{capped, cursor, page, prepare},
    schema::{KIND_MESSAGE, KIND_ROLLBACK, STEP_DONE},
};
use crate::store::{
    KeptRow, MessagePage, MessageQuery, NewestQuery, Phase, RunIs, StoreError, TopicRow, Unsettled,
};

type Answer<T> = Result<T, StoreError>;

pub(super) fn messages(conn: &Connection, query: &MessageQuery) -> Answer<MessagePage> {
    // What is there and what has been trimmed are of one moment.
    let snapshot = conn
        .unchecked_transaction()
        .map_err(|error| backend("reading the database", error))?;
    let (messages, next) = page_of_messages(&snapshot, query)?;
    let MessageQuery { channel, after, .. } = query;
    let trimmed = page(
        &snapshot,
        "SELECT topic, epoch, offset FROM topic_trims \
         WHERE channel = (SELECT id FROM channels WHERE name = ?1) AND (epoch, offset) > (?2, ?3) ORDER BY topic",
        params![channel.as_str(), int(after.epoch.0), int(after.offset.0)],
        |row| {
            let cells = Cells::new(row, "trim of topic", 1);
            Ok((cells.get(0)?, cursor(cells, 1)?))
        },
    )?;
    Ok(MessagePage {
        messages,
        next,
        trimmed,
    })
}

fn page_of_messages(conn: &Connection, query: &MessageQuery) -> Answer<(Vec<Message>, Cursor)> {
    let MessageQuery {
        channel,
        after,
        up_to,
        topics,
        limit,
    } = query;
    let all = "SELECT epoch, offset, kind, topic, payload, created_at, run, step, attempt FROM messages \
               WHERE channel = (SELECT id FROM channels WHERE name = ?1) \
               AND (epoch, offset) > (?2, ?3) AND (epoch, offset) <= (?4, ?5) ORDER BY epoch, offset LIMIT ?6";
    let some = "SELECT epoch, offset, kind, topic, payload, created_at, run, step, attempt FROM messages \
                WHERE channel = (SELECT id FROM channels WHERE name = ?1) \
                AND (epoch, offset) > (?2, ?3) AND (epoch, offset) <= (?4, ?5) \
                AND topic IN (SELECT value FROM json_each(?7)) ORDER BY epoch, offset LIMIT ?6";
    let (channel, limit_rows) = (channel.as_str(), (*limit).min(limits::PAGE_ROWS));
    let limit = capped(*limit);
    let (epoch, offset) = (int(after.epoch.0), int(after.offset.0));
    let (last_epoch, last_offset) = (int(up_to.epoch.0), int(up_to.offset.0));
    let fail = |error| backend("reading the database", error);
    let mut statement = prepare(conn, if topics.is_some() { some } else { all })?;
    let first_six = params![channel, epoch, offset, last_epoch, last_offset, limit];
    let mut rows = match topics {
        None => statement.query(first_six).map_err(fail)?,
        Some(topics) => {
            let topics = json(topics);
            let all_seven = params![
                channel,
                epoch,
                offset,
                last_epoch,
                last_offset,
                limit,
                topics
            ];
            statement.query(all_seven).map_err(fail)?
        }
    };
    let (mut messages, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next().map_err(fail)? {
        let message = message(row)?;
        bytes += message.payload.len();
        let cursor = message.cursor;
        messages.push(message);
        if bytes > limits::PAGE_BYTES || messages.len() == limit_rows {
            return Ok((messages, cursor));
        }
    }
    Ok((messages, *up_to))
}

fn message(row: &Row<'_>) -> Answer<Message> {
    let cells = Cells::new(row, "message", 2);
    let (kind, payload) = match cells.get::<u8>(2)? {
        KIND_MESSAGE => (Kind::Data, cells.get(4)?),
        KIND_ROLLBACK => {
            let after = cells.get(4)?;
            (Kind::Rollback { after }, bytes::Bytes::new())
        }
        _ => return Err(cells.wrong(2, "this version does not know such records")),
    };
    let run: Option<RunId> = cells.get(6)?;
    let origin = run.map(|run| origin(cells, run)).transpose()?;
    Ok(Message {
        cursor: cursor(cells, 0)?,
        topic: cells.get(3)?,
        kind,
        payload,
        created_at: cells.get(5)?,
        origin,
    })
}

fn origin(cells: Cells<'_>, run: RunId) -> Answer<Arc<Origin>> {
    Ok(Arc::new(Origin {
        run,
        step: cells.get(7)?,
        attempt: cells.get(8)?,
    }))
}

pub(super) fn newest(conn: &Connection, query: &NewestQuery) -> Answer<Vec<Cursor>> {
    let NewestQuery {
        channel,
        up_to,
        topics,
        limit,
    } = query;
    let topics = topics.as_ref().map(json);
    page(
        conn,
        "SELECT epoch, offset FROM messages WHERE channel = (SELECT id FROM channels WHERE name = ?1) \
         AND (epoch, offset) <= (?2, ?3) AND kind = ?4 \
         AND (?5 IS NULL OR topic IN (SELECT value FROM json_each(?5))) ORDER BY epoch DESC, offset DESC LIMIT ?6",
        params![
            channel.as_str(),
            int(up_to.epoch.0),
            int(up_to.offset.0),
            KIND_MESSAGE,
            topics,
            capped(*limit)
        ],
        |row| cursor(Cells::new(row, "message", 2), 0),
    )
}

/// Walks from the newest message back until a bound is passed.
pub(super) fn overflow(
    conn: &Connection,
    channel: &ChannelName,
    topic: &TopicName,
    bounds: Bounds,
) -> Answer<Option<Cursor>> {
    let fail = |error| backend("reading the database", error);
    let mut statement = prepare(
        conn,
        "SELECT epoch, offset, octet_length(payload) FROM messages \
         WHERE channel = (SELECT id FROM channels WHERE name = ?1) AND topic = ?2 AND kind = ?3 \
         ORDER BY epoch DESC, offset DESC",
    )?;
    let mut rows = statement
        .query(params![channel.as_str(), topic.as_str(), KIND_MESSAGE])
        .map_err(fail)?;
    let (mut messages, mut bytes) = (0, 0);
    while let Some(row) = rows.next().map_err(fail)? {
        let cells = Cells::new(row, "message", 2);
        messages += 1;
        bytes += cells.get::<u64>(2)?;
        if messages > bounds.messages || bytes > bounds.bytes {
            return cursor(cells, 0).map(Some);
        }
    }
    Ok(None)
}

pub(super) fn kept(conn: &Connection, after: u64, limit: usize) -> Answer<Vec<KeptRow>> {
    page(
        conn,
        "SELECT messages.rowid, channels.name, topic, epoch, offset, messages.created_at, run, runs.phase, runs.ended_at \
         FROM messages JOIN channels ON channels.id = messages.channel LEFT JOIN runs ON runs.id = messages.run \
         WHERE messages.rowid > ?1 ORDER BY messages.rowid LIMIT ?2",
        params![int(after), capped(limit)],
        |row| {
            let cells = Cells::new(row, "message", 1);
            Ok(KeptRow {
                place: cells.get(0)?,
                channel: cells.get(1)?,
                topic: cells.get(2)?,
                cursor: cursor(cells, 3)?,
                created_at: cells.get(5)?,
                run: cells.get(6)?,
                run_is: run_is(cells)?,
            })
        },
    )
}

fn run_is(cells: Cells<'_>) -> Answer<RunIs> {
    let (phase, ended): (Option<Phase>, Option<Timestamp>) = (cells.get(7)?, cells.get(8)?);
    Ok(match (phase, ended) {
        (None, _) => RunIs::Unknown,
        (Some(phase), Some(at)) if phase.is_final() => RunIs::Ended(at),
        (Some(_), _) => RunIs::Open,
    })
}

pub(super) fn empty_channels(
    conn: &Connection,
    after: Option<&ChannelName>,
    limit: usize,
) -> Answer<Vec<ChannelName>> {
    page(
        conn,
        "SELECT name FROM channels WHERE name > ?1 \
         AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.channel = channels.id) \
         AND NOT EXISTS (SELECT 1 FROM publish_keys WHERE publish_keys.channel = channels.id) ORDER BY name LIMIT ?2",
        params![
            after.map(ChannelName::as_str).unwrap_or_default(),
            capped(limit)
        ],
        |row| Cells::new(row, "channel", 1).get(0),
    )
}

pub(super) fn channels_of(
    conn: &Connection,
    run: RunId,
    after: Option<&ChannelName>,
    limit: usize,
) -> Answer<Vec<ChannelName>> {
    page(
        conn,
        "SELECT name FROM run_channels JOIN channels ON channels.id = run_channels.channel \
         WHERE run = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
        params![
            run.to_bytes(),
            after.map(ChannelName::as_str).unwrap_or_default(),
            capped(limit)
        ],
        |row| Cells::new(row, "channel", 1).get(0),
    )
}

pub(super) fn topics(conn: &Connection, channel: &ChannelName) -> Answer<Vec<TopicRow>> {
    page(
        conn,
        "SELECT topic, count(*), sum(octet_length(payload)) FROM messages \
         WHERE channel = (SELECT id FROM channels WHERE name = ?1) AND kind = ?2 GROUP BY topic ORDER BY topic",
        params![channel.as_str(), KIND_MESSAGE],
        |row| {
            let cells = Cells::new(row, "topic", 1);
            Ok(TopicRow {
                topic: cells.get(0)?,
                messages: cells.get(1)?,
                bytes: cells.get(2)?,
            })
        },
    )
}

/// Voided messages are gone, so that what is left of a step that has ended is of the attempt that ended it.
pub(super) fn unsettled(conn: &Connection, run: RunId) -> Answer<Vec<Unsettled>> {
    let rows = page(
        conn,
        "SELECT channels.name, topic, step, attempt, first_epoch, first_offset, settled_epoch, settled_offset, epoch, offset \
         FROM run_channels JOIN channels ON channels.id = run_channels.channel \
         JOIN messages ON messages.channel = run_channels.channel AND messages.run = run_channels.run \
         AND (epoch, offset) >= (first_epoch, first_offset) \
         WHERE run_channels.run = ?1 AND kind = ?2 AND attempt > 0 \
         AND CASE WHEN step IS NULL THEN (epoch, offset) > (settled_epoch, settled_offset) \
         ELSE NOT EXISTS (SELECT 1 FROM steps WHERE steps.run = ?1 AND steps.step = messages.step AND state = ?3) END \
         UNION ALL \
         SELECT channels.name, topic, nullif(step, ''), attempt, first_epoch, first_offset, settled_epoch, settled_offset, last_epoch, last_offset \
         FROM trimmed_attempts JOIN run_channels USING (run, channel) JOIN channels ON channels.id = trimmed_attempts.channel \
         WHERE run = ?1 \
         AND CASE WHEN step = '' THEN (last_epoch, last_offset) > (settled_epoch, settled_offset) \
         ELSE NOT EXISTS (SELECT 1 FROM steps WHERE steps.run = ?1 AND steps.step = trimmed_attempts.step AND state = ?3) END \
         ORDER BY 1, 9, 10, 2, 3, 4",
        params![run.to_bytes(), KIND_MESSAGE, STEP_DONE],
        |row| {
            let cells = Cells::new(row, "message of a run", 1);
            let (first, settled) = (cursor(cells, 4)?, cursor(cells, 6)?);
            let step: Option<StepId> = cells.get(2)?;
            Ok(Unsettled {
                channel: cells.get(0)?,
                topic: cells.get(1)?,
                after: Unsettled::after(step.as_ref(), first, settled),
                step,
                attempt: cells.get(3)?,
            })
        },
    )?;
    Ok(Unsettled::each_once(rows))
}

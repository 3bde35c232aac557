//! What can be read, one function per question. Each page is a statement, hence a read transaction, of its own.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, params};
use stepcast_protocol::{
    ChannelName, Cursor, Epoch, Event, EventId, EventName, FunctionId, Offset, RunId, StepId,
    Timestamp, event::Extras, limits,
};

use super::{
    decode::Cells,
    encode::{int, rows},
    error::backend,
    schema::{OFFSET_FLOOR, STEP_DONE, STEP_OPEN, STEP_WAITING},
};
use crate::store::{
    ChannelRow, DuePlace, EventQuery, EventWait, Outcome, Parent, RunQuery, RunRow, StepRow,
    StepState, StoreError, StoredEvent, StoredRun, Timer,
};

type Answer<T> = Result<T, StoreError>;

pub(super) fn channel(conn: &Connection, name: &ChannelName) -> Answer<Option<ChannelRow>> {
    let found = one(
        conn,
        "SELECT id, head_epoch, head_offset FROM channels WHERE name = ?1",
        [name.as_str()],
        |row| {
            let cells = Cells::new(row, "channel", 1);
            Ok((cells.get::<i64>(0)?, cursor(cells, 1)?))
        },
    )?;
    let Some((number, head)) = found else {
        return Ok(None);
    };
    let trimmed = page(
        conn,
        "SELECT topic, epoch, offset FROM topic_trims WHERE channel = ?1 ORDER BY topic",
        [number],
        |row| {
            let cells = Cells::new(row, "trim of topic", 1);
            Ok((cells.get(0)?, cursor(cells, 1)?))
        },
    )?;
    Ok(Some(ChannelRow { head, trimmed }))
}

pub(super) fn offset_floor(conn: &Connection) -> Answer<u64> {
    let floor = one(
        conn,
        "SELECT value FROM meta WHERE key = ?1",
        [OFFSET_FLOOR],
        |row| Cells::new(row, "meta", 0).get(0),
    )?;
    Ok(floor.unwrap_or(0))
}

pub(super) fn closed_cleanly(conn: &Connection, epoch: Epoch) -> Answer<Option<bool>> {
    one(
        conn,
        "SELECT closed_cleanly FROM epochs WHERE id = ?1",
        [int(epoch.0)],
        |row| Cells::new(row, "epoch", 0).get(0),
    )
}

const RUN: &str = "SELECT id, function, event, phase, lease, attempt, crashes, due_at, created_at, started_at, ended_at, \
                   result, error, parent_run, parent_step, keys, guards FROM runs";

pub(super) fn run(conn: &Connection, id: RunId) -> Answer<Option<StoredRun>> {
    let doing = |error| backend(format_args!("reading run {id}"), error);
    // The row, the steps and the event are of one moment.
    let snapshot = conn.unchecked_transaction().map_err(doing)?;
    let Some(row) = run_row(&snapshot, id)? else {
        return Ok(None);
    };
    let steps = page(
        &snapshot,
        "SELECT run, step, verb, target, attempts, state, at, seq, result, error, began_at, changed_at FROM steps \
         WHERE run = ?1 ORDER BY step",
        [id.to_bytes()],
        step,
    )?;
    let body = page(
        &snapshot,
        "SELECT hash, count FROM body_messages WHERE run = ?1 ORDER BY hash",
        [id.to_bytes()],
        |row| {
            let cells = Cells::new(row, "body message", 1);
            Ok((cells.get(0)?, cells.get(1)?))
        },
    )?;
    let event = event(&snapshot, row.event)?
        .ok_or_else(|| {
            backend(
                format_args!("reading run {id}"),
                format_args!("its event {} is missing", row.event),
            )
        })?
        .event;
    Ok(Some(StoredRun {
        row,
        steps,
        event,
        body,
    }))
}

pub(super) fn run_row(conn: &Connection, id: RunId) -> Answer<Option<RunRow>> {
    one(
        conn,
        &format!("{RUN} WHERE id = ?1"),
        [id.to_bytes()],
        decode_run,
    )
}

pub(super) fn runs(conn: &Connection, query: &RunQuery) -> Answer<Vec<RunRow>> {
    match *query {
        RunQuery::Due {
            ref function,
            after,
            now,
            limit,
        } => {
            let after = after.unwrap_or_else(DuePlace::first);
            let of_new = DuePlace {
                is_new: true,
                ..DuePlace::first()
            };
            let mut found = if after.is_new {
                Vec::new()
            } else {
                due(conn, "lease > 0", function, after, now, limit)?
            };
            let (after, left) = (after.max(of_new), limit.saturating_sub(found.len()));
            found.extend(due(conn, "lease = 0", function, after, now, left)?);
            Ok(found)
        }
        RunQuery::OfEvent(event, limit) => page(
            conn,
            &format!("{RUN} WHERE event = ?1 ORDER BY id LIMIT ?2"),
            params![event.to_bytes(), capped(limit)],
            decode_run,
        ),
        RunQuery::Newest(Some(before), limit) => page(
            conn,
            &format!("{RUN} WHERE id < ?1 ORDER BY id DESC LIMIT ?2"),
            params![before.to_bytes(), capped(limit)],
            decode_run,
        ),
        RunQuery::Newest(None, limit) => page(
            conn,
            &format!("{RUN} ORDER BY id DESC LIMIT ?1"),
            params![capped(limit)],
            decode_run,
        ),
        RunQuery::EndedBefore(before, limit) => page(
            conn,
            &format!("{RUN} WHERE {EXPIRED} ORDER BY id LIMIT ?3"),
            params![before.as_millis(), youngest_expired(before), capped(limit)],
            decode_run,
        ),
        RunQuery::EndedChildren(limit) => page(
            conn,
            &format!("{RUN} WHERE id IN ({ENDED_CHILDREN}) ORDER BY id LIMIT ?1"),
            params![capped(limit)],
            decode_run,
        ),
    }
}

/// Each condition has an index of its own.
fn due(
    conn: &Connection,
    condition: &str,
    function: &FunctionId,
    after: DuePlace,
    now: Timestamp,
    limit: usize,
) -> Answer<Vec<RunRow>> {
    let (due_at, run) = (after.due_at.as_millis(), after.run.to_bytes());
    page(
        conn,
        &format!(
            "{RUN} WHERE phase = 0 AND {condition} AND function = ?1 AND due_at <= ?2 AND (due_at, id) > (?4, ?5) \
             ORDER BY due_at, id LIMIT ?3"
        ),
        params![
            function.as_str(),
            now.as_millis(),
            capped(limit),
            due_at,
            run
        ],
        decode_run,
    )
}

/// A run is created before it ends, and ids grow with the time of creation: so the oldest runs are looked at, not all of them.
pub(super) const EXPIRED: &str = "id < ?2 AND phase >= 3 AND ended_at < ?1";

/// The first id that cannot be older than the time.
pub(super) fn youngest_expired(before: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(before.as_millis()).unwrap_or(0);
    RunId::from_parts(millis, 0).to_bytes()
}

/// Begins at the steps that wait, which are few, never at the runs that have ended.
/// The steps of a parent that has ended wait no more, whatever their rows say.
const ENDED_CHILDREN: &str = "SELECT child.id FROM steps AS waiting \
                              CROSS JOIN runs AS parent ON parent.id = waiting.run AND parent.phase < 3 \
                              CROSS JOIN runs AS child \
                              ON child.parent_run = waiting.run AND child.parent_step = waiting.step \
                              WHERE waiting.state = 1 AND child.phase >= 3";

fn decode_run(row: &Row<'_>) -> Answer<RunRow> {
    let cells = Cells::new(row, "run", 1);
    Ok(RunRow {
        id: cells.get(0)?,
        function: cells.get(1)?,
        event: cells.get(2)?,
        phase: cells.get(3)?,
        lease: cells.get(4)?,
        attempt: cells.get(5)?,
        crashes: cells.get(6)?,
        due_at: cells.get(7)?,
        created_at: cells.get(8)?,
        started_at: cells.get(9)?,
        ended_at: cells.get(10)?,
        outcome: outcome(cells, 11)?,
        parent: parent(cells)?,
        keys: cells.get::<Option<_>>(15)?.unwrap_or_default(),
        guards: cells.get::<Option<_>>(16)?.unwrap_or_default(),
    })
}

fn parent(cells: Cells<'_>) -> Answer<Option<Parent>> {
    let Some(run) = cells.get(13)? else {
        return Ok(None);
    };
    Ok(Some(Parent {
        run,
        step: cells.get(14)?,
    }))
}

/// The columns `result` and `error`, in this order.
fn outcome(cells: Cells<'_>, column: usize) -> Answer<Option<Outcome>> {
    let result: Option<bytes::Bytes> = cells.get(column)?;
    match (result, cells.get(column + 1)?) {
        (None, None) => Ok(None),
        (Some(result), None) => Ok(Some(Outcome::Ok(result))),
        (None, Some(error)) => Ok(Some(Outcome::Err(error))),
        (Some(_), Some(_)) => Err(cells.wrong(column, "there is an error beside the result")),
    }
}

fn step(row: &Row<'_>) -> Answer<StepRow> {
    let cells = Cells::new(row, "step", 2);
    Ok(StepRow {
        run: cells.get(0)?,
        step: cells.get(1)?,
        verb: cells.get(2)?,
        target: cells.get(3)?,
        attempts: cells.get(4)?,
        state: step_state(cells)?,
        began_at: cells.get(10)?,
        changed_at: cells.get(11)?,
    })
}

fn step_state(cells: Cells<'_>) -> Answer<StepState> {
    match cells.get::<u8>(5)? {
        STEP_OPEN => Ok(StepState::Open {
            next_at: cells.get(6)?,
            error: cells.get(9)?,
        }),
        STEP_WAITING => Ok(StepState::Waiting {
            until: cells.get(6)?,
        }),
        STEP_DONE => {
            let outcome = outcome(cells, 8)?
                .ok_or_else(|| cells.wrong(8, "there is neither a result nor an error"))?;
            Ok(StepState::Done {
                seq: cells.get(7)?,
                outcome,
            })
        }
        other => Err(cells.wrong(5, &format!("{other} is no state of a step"))),
    }
}

pub(super) fn event(conn: &Connection, id: EventId) -> Answer<Option<StoredEvent>> {
    one(
        conn,
        "SELECT id, seq, name, data, key, at, user, v FROM events WHERE id = ?1",
        [id.to_bytes()],
        decode_event,
    )
}

pub(super) fn events_after(
    conn: &Connection,
    name: &EventName,
    seq: u64,
    limit: usize,
) -> Answer<Vec<StoredEvent>> {
    page(
        conn,
        "SELECT id, seq, name, data, key, at, user, v FROM events WHERE name = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        params![name.as_str(), int(seq), capped(limit)],
        decode_event,
    )
}

pub(super) fn events(conn: &Connection, query: &EventQuery) -> Answer<Vec<StoredEvent>> {
    let EventQuery {
        name,
        before,
        from,
        limit,
    } = query;
    let fail = |error| backend("reading the database", error);
    let mut statement = prepare(
        conn,
        "SELECT id, seq, name, data, key, at, user, v FROM events
         WHERE (?1 IS NULL OR name = ?1) AND id < coalesce(?2, x'ffffffffffffffffffffffffffffffffff') AND id >= coalesce(?3, x'')
         ORDER BY id DESC LIMIT ?4",
    )?;
    let mut rows = statement
        .query(params![
            name.as_deref(),
            before.map(EventId::to_bytes),
            from.map(EventId::to_bytes),
            capped(*limit)
        ])
        .map_err(fail)?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next().map_err(fail)? {
        let stored = decode_event(row)?;
        bytes += stored.event.data.len();
        page.push(stored);
        if bytes > limits::PAGE_BYTES {
            break;
        }
    }
    Ok(page)
}

fn decode_event(row: &Row<'_>) -> Answer<StoredEvent> {
    let cells = Cells::new(row, "event", 1);
    let event = Event {
        id: cells.get(0)?,
        name: cells.get(2)?,
        data: cells.get(3)?,
        key: cells.get(4)?,
        at: cells.get(5)?,
        extras: Extras {
            user: cells.get(6)?,
            v: cells.get(7)?,
        },
    };
    Ok(StoredEvent {
        seq: cells.get(1)?,
        event: Arc::new(event),
    })
}

pub(super) fn timers(conn: &Connection, after: Option<&Timer>, limit: usize) -> Answer<Vec<Timer>> {
    let (at, run, step) = match after {
        None => (i64::MIN, Vec::new(), ""),
        Some(Timer { at, run, step }) => (
            at.as_millis(),
            run.to_bytes().to_vec(),
            step.as_deref().unwrap_or_default(),
        ),
    };
    page(
        conn,
        "SELECT at, run, step FROM timers WHERE (at, run, step) > (?1, ?2, ?3) ORDER BY at, run, step LIMIT ?4",
        params![at, run, step, capped(limit)],
        |row| {
            let cells = Cells::new(row, "timer", 3);
            let at: Timestamp = cells.get(0)?;
            Ok(Timer {
                at,
                run: cells.get(1)?,
                step: timer_step(cells)?,
            })
        },
    )
}

fn timer_step(cells: Cells<'_>) -> Answer<Option<StepId>> {
    if cells.get::<String>(2)?.is_empty() {
        return Ok(None);
    }
    cells.get(2)
}

pub(super) fn event_waits(
    conn: &Connection,
    after: Option<&(RunId, StepId)>,
    limit: usize,
) -> Answer<Vec<EventWait>> {
    let (run, step) = match after {
        None => (Vec::new(), ""),
        Some((run, step)) => (run.to_bytes().to_vec(), step.as_str()),
    };
    page(
        conn,
        "SELECT run, step, event, matching, condition, after, until FROM event_waits \
         WHERE (run, step) > (?1, ?2) ORDER BY run, step LIMIT ?3",
        params![run, step, capped(limit)],
        |row| {
            let cells = Cells::new(row, "event wait", 2);
            Ok(EventWait {
                run: cells.get(0)?,
                step: cells.get(1)?,
                event: cells.get(2)?,
                matching: cells.get(3)?,
                condition: cells.get(4)?,
                after: cells.get(5)?,
                until: cells.get(6)?,
            })
        },
    )
}

pub(super) fn setting(conn: &Connection, key: &str) -> Answer<Option<Vec<u8>>> {
    one(
        conn,
        "SELECT value FROM settings WHERE key = ?1",
        [key],
        |row| Cells::new(row, "setting", 0).get(0),
    )
}

pub(super) fn cursor(cells: Cells<'_>, column: usize) -> Answer<Cursor> {
    Ok(Cursor::new(
        Epoch(cells.get(column)?),
        Offset(cells.get(column + 1)?),
    ))
}

pub(super) fn capped(limit: usize) -> i64 {
    rows(limit.min(limits::PAGE_ROWS))
}

pub(super) fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    decode: fn(&Row<'_>) -> Answer<T>,
) -> Answer<Option<T>> {
    prepare(conn, sql)?
        .query_row(params, |row| Ok(decode(row)))
        .optional()
        .map_err(|error| backend("reading the database", error))?
        .transpose()
}

pub(super) fn page<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    decode: fn(&Row<'_>) -> Answer<T>,
) -> Answer<Vec<T>> {
    let fail = |error| backend("reading the database", error);
    let mut statement = prepare(conn, sql)?;
    let mut rows = statement.query(params).map_err(fail)?;
    let mut page = Vec::new();
    while let Some(row) = rows.next().map_err(fail)? {
        page.push(decode(row)?);
    }
    Ok(page)
}

pub(super) fn prepare<'a>(conn: &'a Connection, sql: &str) -> Answer<CachedStatement<'a>> {
    conn.prepare_cached(sql)
        .map_err(|error| backend("reading the database", error))
}

//! How each write reaches its table.

use rusqlite::{Connection, params};
use stepcast_protocol::{Cursor, Event, RunId, StepId, Timestamp, event::Extras};

use super::{
    apply_log,
    channels::Channels,
    encode::{int, json, millis, outcome, text},
    queries::{EXPIRED, youngest_expired},
    schema::{STEP_DONE, STEP_OPEN, STEP_WAITING},
};
use crate::store::{EventWait, Phase, RunRow, StepRow, StepState, Timer, Write, batch::Void};

/// Writes one change into the open transaction.
pub(super) fn apply(
    conn: &Connection,
    channels: &mut Channels,
    write: &Write,
) -> rusqlite::Result<()> {
    match write {
        Write::Event(event) => insert_event(conn, event),
        Write::EventKey(event, until) => put_event_key(conn, event, *until),
        Write::Run(run) => put_run(conn, run),
        Write::Step(step) => put_step(conn, step),
        Write::Timer(timer) => put_timer(conn, timer),
        Write::ClearTimer(timer) => clear_timer(conn, timer),
        Write::EventWait(wait) => put_event_wait(conn, wait),
        Write::ClearEventWait(run, step) => clear_event_wait(conn, *run, step),
        Write::Message(channel, message) => {
            apply_log::insert_message(conn, channels, channel, message)
        }
        Write::RunChannel(run, channel, first) => {
            apply_log::put_run_channel(conn, channels, *run, channel, *first)
        }
        Write::BodySettled {
            run,
            keys,
            channels: settled,
        } => apply_log::settle_body(conn, channels, *run, keys, settled),
        Write::Trim(channel, topic, up_to) => {
            apply_log::trim(conn, channels, channel, topic, *up_to)
        }
        Write::FoldText(channel, message) => apply_log::fold_text(conn, channels, channel, message),
        Write::DropChannel(channel) => apply_log::drop_channel(conn, channels, channel),
        Write::Head(channel, head) => {
            let number = channels.number(conn, channel)?;
            channels.raise(number, *head);
            Ok(())
        }
        Write::PublishKey {
            channel,
            key,
            cursor,
            until,
        } => {
            let number = channels.number(conn, channel)?;
            channels.raise(number, *cursor);
            put_publish_key(conn, number, key, *cursor, *until)
        }
        Write::VoidLeases(why, due_at) => void_leases(conn, *why, *due_at),
        Write::Expire { before, now, limit } => expire(conn, *before, *now, *limit),
        Write::Setting(key, value) => put_setting(conn, key, value),
    }
}

fn insert_event(conn: &Connection, event: &Event) -> rusqlite::Result<()> {
    let Event {
        id,
        name,
        data,
        key,
        at,
        extras: Extras { user, v },
    } = event;
    conn.prepare_cached(
        "INSERT INTO events (id, name, data, key, at, user, v) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        id.to_bytes(),
        name.as_str(),
        text(data),
        key,
        at.as_millis(),
        user.as_deref().map(text),
        v,
    ])?;
    Ok(())
}

/// An event without a sender's key has nothing to remember.
fn put_event_key(conn: &Connection, event: &Event, until: Timestamp) -> rusqlite::Result<()> {
    if let Some(key) = &event.key {
        conn.prepare_cached(
            "INSERT INTO event_keys (name, key, event, until) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET event = excluded.event, until = excluded.until",
        )?
        .execute(params![
            event.name.as_str(),
            key,
            event.id.to_bytes(),
            until.as_millis()
        ])?;
    }
    Ok(())
}

/// What never changes of a run is not set again, so that its indexes are left alone.
fn put_run(conn: &Connection, run: &RunRow) -> rusqlite::Result<()> {
    let (result, error) = outcome(run.outcome.as_ref());
    conn.prepare_cached(
        "INSERT INTO runs (id, function, event, phase, lease, attempt, crashes, due_at, created_at, started_at, ended_at, \
         result, error, parent_run, parent_step, keys, guards) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17) \
         ON CONFLICT DO UPDATE SET phase = ?4, lease = ?5, attempt = ?6, crashes = ?7, due_at = ?8, started_at = ?10, \
         ended_at = ?11, result = ?12, error = ?13",
    )?
    .execute(params![
        run.id.to_bytes(),
        run.function.as_str(),
        run.event.to_bytes(),
        run.phase as u8,
        run.lease,
        run.attempt,
        run.crashes,
        run.due_at.as_millis(),
        run.created_at.as_millis(),
        millis(run.started_at),
        millis(run.ended_at),
        result,
        error,
        run.parent.as_ref().map(|parent| parent.run.to_bytes()),
        run.parent.as_ref().map(|parent| parent.step.as_str()),
        (!run.keys.is_empty()).then(|| json(&run.keys)),
        (!run.guards.is_empty()).then(|| json(&run.guards)),
    ])?;
    Ok(())
}

fn put_step(conn: &Connection, row: &StepRow) -> rusqlite::Result<()> {
    let (state, at, seq, result, error) = match &row.state {
        StepState::Open { next_at, error } => (
            STEP_OPEN,
            Some(next_at.as_millis()),
            None,
            None,
            error.as_ref().map(json),
        ),
        StepState::Waiting { until } => (STEP_WAITING, millis(*until), None, None, None),
        StepState::Done {
            seq,
            outcome: ended,
        } => {
            let (result, error) = outcome(Some(ended));
            (STEP_DONE, None, Some(int(*seq)), result, error)
        }
    };
    conn.prepare_cached(
        "INSERT INTO steps (run, step, verb, target, attempts, state, at, seq, result, error, began_at, changed_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO UPDATE SET verb = ?3, target = ?4, \
         attempts = ?5, state = ?6, at = ?7, seq = ?8, result = ?9, error = ?10, began_at = ?11, changed_at = ?12",
    )?
    .execute(params![
        row.run.to_bytes(),
        row.step.as_str(),
        row.verb as u8,
        row.target,
        row.attempts,
        state,
        at,
        seq,
        result,
        error,
        row.began_at.as_millis(),
        row.changed_at.as_millis(),
    ])?;
    Ok(())
}

fn put_timer(conn: &Connection, Timer { at, run, step }: &Timer) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO timers (at, run, step) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        at.as_millis(),
        run.to_bytes(),
        step.as_deref().unwrap_or_default()
    ])?;
    Ok(())
}

fn clear_timer(conn: &Connection, Timer { at, run, step }: &Timer) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM timers WHERE at = ?1 AND run = ?2 AND step = ?3")?
        .execute(params![
            at.as_millis(),
            run.to_bytes(),
            step.as_deref().unwrap_or_default()
        ])?;
    Ok(())
}

/// The newest place is asked of SQLite's own count, which stays when the newest events are deleted.
fn put_event_wait(conn: &Connection, wait: &EventWait) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO event_waits (run, step, event, matching, after, condition, until) \
         VALUES (?1, ?2, ?3, ?4, coalesce(?5, (SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0), ?6, ?7) \
         ON CONFLICT DO UPDATE SET event = excluded.event, matching = excluded.matching, after = excluded.after, \
         condition = excluded.condition, until = excluded.until",
    )?
    .execute(params![
        wait.run.to_bytes(),
        wait.step.as_str(),
        wait.event.as_str(),
        json(&wait.matching),
        (wait.after != EventWait::NOW).then(|| int(wait.after)),
        wait.condition,
        millis(wait.until),
    ])?;
    Ok(())
}

fn clear_event_wait(conn: &Connection, run: RunId, step: &StepId) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM event_waits WHERE run = ?1 AND step = ?2")?
        .execute(params![run.to_bytes(), step.as_str()])?;
    Ok(())
}

fn put_publish_key(
    conn: &Connection,
    channel: i64,
    key: &str,
    cursor: Cursor,
    until: Timestamp,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO publish_keys (channel, key, epoch, offset, until) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT DO UPDATE SET epoch = excluded.epoch, offset = excluded.offset, until = excluded.until",
    )?
    .execute(params![channel, key, int(cursor.epoch.0), int(cursor.offset.0), until.as_millis()])?;
    Ok(())
}

fn void_leases(conn: &Connection, why: Void, due_at: Timestamp) -> rusqlite::Result<()> {
    let crashed = match why {
        Void::Crashed => 1,
        Void::Released => 0,
    };
    conn.prepare_cached(
        "UPDATE runs SET phase = ?1, due_at = ?2, crashes = crashes + ?3 WHERE phase = 1",
    )?
    .execute(params![Phase::Queued as u8, due_at.as_millis(), crashed])?;
    for (index, executed) in [("runs_queued", "lease = 0"), ("runs_resumed", "lease > 0")] {
        conn.prepare_cached(&format!(
            "UPDATE runs SET due_at = ?1 WHERE id IN (SELECT id FROM runs INDEXED BY {index} \
             WHERE phase = 0 AND {executed} AND due_at > ?1 AND NOT EXISTS \
             (SELECT 1 FROM timers WHERE timers.at = runs.due_at AND timers.run = runs.id AND step = ''))"
        ))?
        .execute([due_at.as_millis()])?;
    }
    Ok(())
}

fn expire(
    conn: &Connection,
    before: Timestamp,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<()> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (youngest, before) = (youngest_expired(before), before.as_millis());
    let runs = format!("SELECT id FROM runs WHERE {EXPIRED} ORDER BY id LIMIT ?3");
    for sql in [
        format!("DELETE FROM steps WHERE run IN ({runs})"),
        format!("DELETE FROM run_channels WHERE run IN ({runs})"),
        format!("DELETE FROM trimmed_attempts WHERE run IN ({runs})"),
        format!("DELETE FROM body_messages WHERE run IN ({runs})"),
        format!("DELETE FROM runs WHERE id IN ({runs})"),
    ] {
        conn.prepare_cached(&sql)?
            .execute(params![before, youngest, limit])?;
    }
    conn.prepare_cached(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < ?1 \
         AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.event = events.id) ORDER BY id LIMIT ?2)",
    )?
    .execute(params![youngest, limit])?;
    for table in ["event_keys", "publish_keys"] {
        let sql = format!(
            "DELETE FROM {table} WHERE until <= ?1 AND until IN \
             (SELECT until FROM {table} WHERE until <= ?1 ORDER BY until LIMIT ?2)"
        );
        conn.prepare_cached(&sql)?
            .execute(params![now.as_millis(), limit])?;
    }
    Ok(())
}

fn put_setting(conn: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value")?
        .execute(params![key, value])?;
    Ok(())
}

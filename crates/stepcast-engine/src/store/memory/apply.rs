//! How each write reaches its table. Nothing here fails; what could was found before.

use std::{collections::BTreeSet, sync::Arc};

use stepcast_protocol::{Event, EventId, RunId, Timestamp};

use super::{apply_log, tables::Tables};
use crate::store::{EventWait, Phase, RunRow, Timer, Write, batch::Void};

/// Applies one change.
pub(super) fn apply(tables: &mut Tables, write: &Write) {
    match write {
        Write::Event(event) => insert_event(tables, event),
        Write::EventKey(event, until) => put_event_key(tables, event, *until),
        Write::Run(run) => put_run(tables, run),
        Write::Step(step) => {
            let steps = tables.steps.entry(step.run).or_default();
            steps.insert(step.step.clone(), (**step).clone());
        }
        Write::Timer(timer) => {
            tables.timers.insert(timer.clone());
        }
        Write::ClearTimer(timer) => {
            tables.timers.remove(timer);
        }
        Write::EventWait(wait) => put_event_wait(tables, wait),
        Write::ClearEventWait(run, step) => {
            tables.event_waits.remove(&(*run, step.clone()));
        }
        Write::Message(channel, message) => apply_log::insert_message(tables, channel, message),
        Write::RunChannel(run, channel, first) => {
            apply_log::put_run_channel(tables, *run, channel, *first);
        }
        Write::BodySettled {
            run,
            keys,
            channels,
        } => apply_log::settle_body(tables, *run, keys, channels),
        Write::Trim(channel, topic, up_to) => apply_log::trim(tables, channel, topic, *up_to),
        Write::FoldText(channel, message) => apply_log::fold_text(tables, channel, message),
        Write::DropChannel(channel) => apply_log::drop_channel(tables, channel),
        Write::Head(channel, head) => tables.log(channel).raise(*head),
        Write::PublishKey {
            channel,
            key,
            cursor,
            until,
        } => {
            let log = tables.log(channel);
            log.raise(*cursor);
            log.keys.insert(key.clone(), (*cursor, *until));
        }
        Write::VoidLeases(why, due_at) => void_leases(tables, *why, *due_at),
        Write::Expire { before, now, limit } => expire(tables, *before, *now, *limit),
        Write::Setting(key, value) => {
            tables.settings.insert(key, value.clone());
        }
    }
}

fn insert_event(tables: &mut Tables, event: &Arc<Event>) {
    tables.last_event += 1;
    tables.events.insert(tables.last_event, Arc::clone(event));
    tables.event_places.insert(event.id, tables.last_event);
}

/// An event without a sender's key has nothing to remember.
fn put_event_key(tables: &mut Tables, event: &Event, until: Timestamp) {
    if let Some(key) = &event.key {
        let key = (event.name.clone(), key.clone());
        tables.event_keys.insert(key, (event.id, until));
    }
}

/// What never changes of a run is that of its first row.
fn put_run(tables: &mut Tables, run: &RunRow) {
    let row = match tables.runs.get(&run.id) {
        None => run.clone(),
        Some(first) => RunRow {
            function: first.function.clone(),
            event: first.event,
            created_at: first.created_at,
            parent: first.parent.clone(),
            keys: first.keys.clone(),
            guards: first.guards.clone(),
            ..run.clone()
        },
    };
    tables.runs.insert(run.id, row);
}

fn put_event_wait(tables: &mut Tables, wait: &EventWait) {
    let after = if wait.after == EventWait::NOW {
        tables.last_event
    } else {
        wait.after
    };
    let wait = EventWait {
        after,
        ..wait.clone()
    };
    let key = (wait.run, wait.step.clone());
    tables.event_waits.insert(key, wait);
}

fn void_leases(tables: &mut Tables, why: Void, due_at: Timestamp) {
    let crashed = match why {
        Void::Crashed => 1,
        Void::Released => 0,
    };
    let Tables { runs, timers, .. } = tables;
    for row in runs.values_mut() {
        let due = |row: &RunRow| Timer {
            at: row.due_at,
            run: row.id,
            step: None,
        };
        if row.phase == Phase::Leased {
            row.phase = Phase::Queued;
            row.due_at = due_at;
            row.crashes += crashed;
        } else if row.phase == Phase::Queued && row.due_at > due_at && !timers.contains(&due(row)) {
            row.due_at = due_at;
        }
    }
}

fn expire(tables: &mut Tables, before: Timestamp, now: Timestamp, limit: usize) {
    let runs: Vec<_> = expired_runs(tables, before)
        .map(|row| row.id)
        .take(limit)
        .collect();
    for run in runs {
        tables.steps.remove(&run);
        tables.run_channels.remove(&run);
        tables.body.remove(&run);
        tables.runs.remove(&run);
    }
    expire_events(tables, before, limit);
    let untils = tables.event_keys.values().map(|(_, until)| *until);
    if let Some(last) = last_forgotten(untils, now, limit) {
        tables.event_keys.retain(|_, (_, until)| *until > last);
    }
    let keys = tables.channels.values().flat_map(|log| log.keys.values());
    if let Some(last) = last_forgotten(keys.map(|(_, until)| *until), now, limit) {
        for log in tables.channels.values_mut() {
            log.keys.retain(|_, (_, until)| *until > last);
        }
    }
}

/// The end of the last key that goes, of those that end first.
fn last_forgotten(
    untils: impl Iterator<Item = Timestamp>,
    now: Timestamp,
    limit: usize,
) -> Option<Timestamp> {
    let mut forgotten: Vec<_> = untils.filter(|until| *until <= now).collect();
    forgotten.sort_unstable();
    forgotten.truncate(limit);
    forgotten.last().copied()
}

/// Runs that ended before a time, oldest first. One is created before it ends.
pub(super) fn expired_runs(tables: &Tables, before: Timestamp) -> impl Iterator<Item = &RunRow> {
    let youngest = RunId::from_parts(millis(before), 0);
    let old = tables.runs.range(..youngest).map(|(_, row)| row);
    let ended = move |row: &&RunRow| row.ended_at.is_some_and(|at| at < before);
    old.filter(|row| row.phase.is_final()).filter(ended)
}

fn expire_events(tables: &mut Tables, before: Timestamp, limit: usize) {
    let youngest = EventId::from_parts(millis(before), 0);
    if tables.event_places.range(..youngest).next().is_none() {
        return;
    }
    let in_use: BTreeSet<_> = tables.runs.values().map(|row| row.event).collect();
    let old = tables.event_places.range(..youngest);
    let unused: Vec<_> = old
        .filter(|(id, _)| !in_use.contains(*id))
        .map(|(id, place)| (*id, *place))
        .take(limit)
        .collect();
    for (id, place) in unused {
        tables.event_places.remove(&id);
        tables.events.remove(&place);
    }
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0)
}

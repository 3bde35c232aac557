//! What can be asked, one function per question.

use std::{ops::Bound, sync::Arc};

use stepcast_protocol::{ChannelName, Event, EventId, EventName, RunId, StepId, limits};

use super::{apply::expired_runs, tables::Tables};
use crate::store::{
    ChannelRow, DuePlace, EventQuery, EventWait, Phase, RunQuery, RunRow, StoreError, StoredEvent,
    StoredRun, Timer,
};

pub(super) fn channel(tables: &Tables, name: &ChannelName) -> Option<ChannelRow> {
    let log = tables.channels.get(name)?;
    let trims = log.trims.iter();
    Some(ChannelRow {
        head: log.head,
        trimmed: trims
            .map(|(topic, up_to)| (topic.clone(), *up_to))
            .collect(),
    })
}

pub(super) fn run(tables: &Tables, id: RunId) -> Result<Option<StoredRun>, StoreError> {
    let Some(row) = tables.runs.get(&id) else {
        return Ok(None);
    };
    let event = event(tables, row.event).ok_or_else(|| StoreError::Backend {
        doing: format!("reading run {id}"),
        cause: format!("its event {} is missing", row.event),
    })?;
    let steps = tables.steps.get(&id).into_iter();
    let body = tables.body.get(&id).into_iter().flatten();
    Ok(Some(StoredRun {
        row: row.clone(),
        steps: steps.flat_map(|steps| steps.values().cloned()).collect(),
        event: event.event,
        body: body.map(|(key, count)| (*key, *count)).collect(),
    }))
}

pub(super) fn runs(tables: &Tables, query: &RunQuery) -> Vec<RunRow> {
    let rows = tables.runs.values();
    match *query {
        RunQuery::Due {
            ref function,
            after,
            now,
            limit,
        } => {
            let is_due = |row: &&RunRow| {
                row.phase == Phase::Queued
                    && row.function == *function
                    && row.due_at <= now
                    && after.is_none_or(|after| DuePlace::of(row) > after)
            };
            let mut due: Vec<_> = rows.filter(is_due).collect();
            due.sort_by_key(|row| DuePlace::of(row));
            page(due, limit)
        }
        RunQuery::OfEvent(event, limit) => page(rows.filter(|row| row.event == event), limit),
        RunQuery::Newest(before, limit) => {
            let end = before.map_or(Bound::Unbounded, Bound::Excluded);
            let older = tables.runs.range((Bound::Unbounded, end));
            page(older.rev().map(|(_, row)| row), limit)
        }
        RunQuery::EndedBefore(before, limit) => page(expired_runs(tables, before), limit),
        RunQuery::EndedChildren(limit) => {
            let is_awaited = |row: &&RunRow| {
                row.phase.is_final()
                    && row.parent.as_ref().is_some_and(|parent| {
                        let waits = tables.runs.get(&parent.run);
                        waits.is_some_and(|row| !row.phase.is_final())
                            && tables.is_waiting(parent.run, &parent.step)
                    })
            };
            page(rows.filter(is_awaited), limit)
        }
    }
}

pub(super) fn event(tables: &Tables, id: EventId) -> Option<StoredEvent> {
    let seq = *tables.event_places.get(&id)?;
    let event = Arc::clone(tables.events.get(&seq)?);
    Some(StoredEvent { seq, event })
}

pub(super) fn events_after(
    tables: &Tables,
    name: &EventName,
    seq: u64,
    limit: usize,
) -> Vec<StoredEvent> {
    let later = tables
        .events
        .range((Bound::Excluded(seq), Bound::Unbounded));
    let named = later.filter(|(_, event)| event.name == *name);
    let stored = named.map(|(seq, event)| StoredEvent {
        seq: *seq,
        event: Arc::clone(event),
    });
    stored.take(capped(limit)).collect()
}

pub(super) fn events(tables: &Tables, query: &EventQuery) -> Vec<StoredEvent> {
    let is_meant = |(_, event): &(&u64, &Arc<Event>)| {
        query.name.as_ref().is_none_or(|name| event.name == *name)
            && query.before.is_none_or(|before| event.id < before)
            && query.from.is_none_or(|from| event.id >= from)
    };
    let mut meant: Vec<_> = tables.events.iter().filter(is_meant).collect();
    meant.sort_by_key(|(_, event)| std::cmp::Reverse(event.id));
    let mut bytes = 0;
    let fits = |(_, event): &(&u64, &Arc<Event>)| {
        let has_place = bytes <= limits::PAGE_BYTES;
        bytes += event.data.len();
        has_place
    };
    let stored = meant.into_iter().take(capped(query.limit)).take_while(fits);
    let stored = stored.map(|(seq, event)| StoredEvent {
        seq: *seq,
        event: Arc::clone(event),
    });
    stored.collect()
}

pub(super) fn timers(tables: &Tables, after: Option<Timer>, limit: usize) -> Vec<Timer> {
    let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
    page(tables.timers.range((begin, Bound::Unbounded)), limit)
}

pub(super) fn event_waits(
    tables: &Tables,
    after: Option<(RunId, StepId)>,
    limit: usize,
) -> Vec<EventWait> {
    let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
    let later = tables.event_waits.range((begin, Bound::Unbounded));
    page(later.map(|(_, wait)| wait), limit)
}

fn page<'a, T: Clone + 'a>(rows: impl IntoIterator<Item = &'a T>, limit: usize) -> Vec<T> {
    rows.into_iter().take(capped(limit)).cloned().collect()
}

pub(super) fn capped(limit: usize) -> usize {
    limit.min(limits::PAGE_ROWS)
}

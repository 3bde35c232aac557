//! How each write to a channel's log reaches its table.

use std::{collections::BTreeMap, sync::Arc};

use stepcast_protocol::{ChannelName, Cursor, Kind, Message, RunId, TopicName};

use super::{
    conditions::run_of,
    tables::{AttemptOnTopic, Log, RunChannel, Tables},
};
use crate::store::BodyKey;

pub(super) fn insert_message(tables: &mut Tables, channel: &ChannelName, message: &Arc<Message>) {
    tables.log(channel).raise(message.cursor);
    match message.kind {
        Kind::Data => {}
        // What it voids goes, so that nobody who reads later ever sees it.
        Kind::Rollback { after } => {
            forget_attempt(tables, channel, message, after);
            tables.remove(channel, |known| message.voids(known));
        }
        // It is never kept.
        Kind::Ended { .. } | Kind::Status => return,
    }
    tables.insert(channel, Arc::clone(message));
}

pub(super) fn put_run_channel(
    tables: &mut Tables,
    run: RunId,
    channel: &ChannelName,
    first: Cursor,
) {
    tables.log(channel);
    let channels = tables.run_channels.entry(run).or_default();
    channels.entry(channel.clone()).or_insert(RunChannel {
        first,
        settled: Cursor::START,
        trimmed: BTreeMap::new(),
    });
}

pub(super) fn settle_body(
    tables: &mut Tables,
    run: RunId,
    keys: &[BodyKey],
    settled: &[(ChannelName, Cursor)],
) {
    let body = tables.body.entry(run).or_default();
    for key in keys {
        *body.entry(*key).or_default() += 1;
    }
    for (channel, cursor) in settled {
        tables.log(channel);
        let known = tables
            .run_channels
            .get_mut(&run)
            .and_then(|channels| channels.get_mut(channel));
        if let Some(known) = known {
            known.settled = *cursor;
        }
    }
}

/// Nobody holds any more what bounds took of an attempt that has been taken back.
fn forget_attempt(tables: &mut Tables, channel: &ChannelName, record: &Message, after: Cursor) {
    let Some(origin) = &record.origin else { return };
    let on = tables
        .run_channels
        .get_mut(&origin.run)
        .and_then(|channels| channels.get_mut(channel));
    if let Some(on) = on {
        let of_record = AttemptOnTopic::of_origin(record, origin);
        on.trimmed
            .retain(|said, last| *said != of_record || *last <= after || *last >= record.cursor);
    }
}

/// Whose messages are about to go though no commit stands behind them: readers may hold them when they turn out to be void.
fn remember_attempts(tables: &mut Tables, channel: &ChannelName, topic: &TopicName, up_to: Cursor) {
    let Some(log) = tables.channels.get(channel) else {
        return;
    };
    let going = log.messages.range(..=up_to);
    let unsettled = going.filter_map(|(cursor, kept)| {
        let run = run_of(&kept.message)?;
        let said = AttemptOnTopic::of(&kept.message, run).filter(|said| said.topic == *topic)?;
        let on = tables.run_channels.get(&run)?.get(channel)?;
        let is_unsettled = tables.is_unsettled(run, on, &said, *cursor);
        is_unsettled.then_some((run, said, *cursor))
    });
    let unsettled: Vec<_> = unsettled.collect();
    for (run, said, cursor) in unsettled {
        let on = tables
            .run_channels
            .get_mut(&run)
            .and_then(|channels| channels.get_mut(channel));
        if let Some(on) = on {
            let last = on.trimmed.entry(said).or_insert(cursor);
            *last = cursor.max(*last);
        }
    }
}

pub(super) fn trim(tables: &mut Tables, channel: &ChannelName, topic: &TopicName, up_to: Cursor) {
    remember_attempts(tables, channel, topic, up_to);
    tables.remove(channel, |known| {
        known.cursor <= up_to && known.topic == *topic
    });
    if let Some(log) = tables.channels.get_mut(channel) {
        log.raise_trim(topic, up_to);
    }
}

pub(super) fn fold_text(tables: &mut Tables, channel: &ChannelName, message: &Arc<Message>) {
    if !tables.channels.contains_key(channel) {
        return;
    }
    tables.remove(channel, |known| {
        known.cursor <= message.cursor
            && known.topic == message.topic
            && run_of(known) == run_of(message)
    });
    tables.insert(channel, Arc::clone(message));
    tables
        .log(channel)
        .raise_trim(&message.topic, message.cursor);
}

pub(super) fn drop_channel(tables: &mut Tables, channel: &ChannelName) {
    let is_empty = |tables: &Tables| {
        let log = tables.channels.get(channel);
        log.is_some_and(Log::is_empty)
    };
    if !is_empty(tables) {
        return;
    }
    if let Some(log) = tables.channels.remove(channel) {
        tables.offset_floor = tables.offset_floor.max(log.head.offset.0);
    }
    for channels in tables.run_channels.values_mut() {
        channels.remove(channel);
    }
}

//! How each write to a channel's log reaches its table.

use std::sync::Arc;

use stepcast_protocol::{ChannelName, Cursor, Kind, Message, RunId, TopicName};

use super::{
    conditions::run_of,
    tables::{Log, RunChannel, Tables},
};
use crate::store::BodyKey;

pub(super) fn insert_message(tables: &mut Tables, channel: &ChannelName, message: &Arc<Message>) {
    tables.log(channel).raise(message.cursor);
    match message.kind {
        Kind::Data => {}
        // What it voids goes, so that nobody who reads later ever sees it.
        Kind::Rollback { .. } => tables.remove(channel, |known| message.voids(known)),
        // It is never kept.
        Kind::Ended => return,
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

pub(super) fn trim(tables: &mut Tables, channel: &ChannelName, topic: &TopicName, up_to: Cursor) {
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

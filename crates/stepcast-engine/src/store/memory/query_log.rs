//! What can be asked of channels' logs, one function per question.

use std::ops::Bound;

use stepcast_protocol::{Bounds, ChannelName, Cursor, Message, RunId, TopicName, limits};

use super::{
    queries::capped,
    tables::{AttemptOnTopic, Kept, Log, Tables},
};
use crate::store::{
    KeptRow, MessagePage, MessageQuery, NewestQuery, RunIs, RunRow, TopicRow, Unsettled,
};

pub(super) fn messages(tables: &Tables, query: &MessageQuery) -> MessagePage {
    let MessageQuery {
        channel,
        after,
        up_to,
        topics,
        limit,
    } = query;
    let mut page = MessagePage {
        messages: Vec::new(),
        next: *up_to,
        trimmed: Vec::new(),
    };
    let Some(log) = tables.channels.get(channel) else {
        return page;
    };
    let trims = log.trims.iter().filter(|(_, up_to)| *up_to > after);
    page.trimmed = trims
        .map(|(topic, up_to)| (topic.clone(), *up_to))
        .collect();
    let mut bytes = 0;
    let wanted = log.after(*after).take_while(|kept| kept.cursor() <= *up_to);
    for kept in wanted.filter(|kept| kept.is_on(topics.as_deref())) {
        bytes += kept.message.payload.len();
        page.messages.push(Message::clone(&kept.message));
        if bytes > limits::PAGE_BYTES || page.messages.len() == capped(*limit) {
            page.next = kept.cursor();
            break;
        }
    }
    page
}

pub(super) fn newest(tables: &Tables, query: &NewestQuery) -> Vec<Cursor> {
    let NewestQuery {
        channel,
        up_to,
        topics,
        limit,
    } = query;
    let Some(log) = tables.channels.get(channel) else {
        return Vec::new();
    };
    let earlier = log.messages.range(..=up_to).rev();
    let wanted =
        earlier.filter(|(_, kept)| kept.message.is_data() && kept.is_on(topics.as_deref()));
    wanted
        .map(|(cursor, _)| *cursor)
        .take(capped(*limit))
        .collect()
}

/// Walks from the newest message back until a bound is passed.
pub(super) fn overflow(
    tables: &Tables,
    channel: &ChannelName,
    topic: &TopicName,
    bounds: Bounds,
) -> Option<Cursor> {
    let log = tables.channels.get(channel)?;
    let of_topic = |kept: &&Kept| kept.message.is_data() && kept.message.topic == *topic;
    let (mut messages, mut bytes) = (0, 0);
    for kept in log.messages.values().rev().filter(of_topic) {
        messages += 1;
        bytes += kept.bytes();
        if messages > bounds.messages || bytes > bounds.bytes {
            return Some(kept.cursor());
        }
    }
    None
}

pub(super) fn kept(tables: &Tables, after: u64, limit: usize) -> Vec<KeptRow> {
    let later = tables
        .places
        .range((Bound::Excluded(after), Bound::Unbounded));
    let rows = later.filter_map(|(place, (channel, cursor))| {
        let message = &tables.channels.get(channel)?.messages.get(cursor)?.message;
        let run = message.origin.as_ref().map(|origin| origin.run);
        Some(KeptRow {
            place: *place,
            channel: channel.clone(),
            topic: message.topic.clone(),
            cursor: *cursor,
            created_at: message.created_at,
            run,
            run_is: run_is(run.and_then(|run| tables.runs.get(&run))),
        })
    });
    rows.take(capped(limit)).collect()
}

fn run_is(row: Option<&RunRow>) -> RunIs {
    match row {
        None => RunIs::Unknown,
        Some(row) => match row.ended_at {
            Some(at) if row.phase.is_final() => RunIs::Ended(at),
            Some(_) | None => RunIs::Open,
        },
    }
}

pub(super) fn empty_channels(
    tables: &Tables,
    after: Option<&ChannelName>,
    limit: usize,
) -> Vec<ChannelName> {
    let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
    let later = tables
        .channels
        .range::<ChannelName, _>((begin, Bound::Unbounded));
    let empty = later.filter(|(_, log)| log.is_empty());
    empty
        .map(|(name, _)| name.clone())
        .take(capped(limit))
        .collect()
}

pub(super) fn channels_of(
    tables: &Tables,
    run: RunId,
    after: Option<&ChannelName>,
    limit: usize,
) -> Vec<ChannelName> {
    let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
    let channels = tables.run_channels.get(&run).into_iter();
    let later =
        channels.flat_map(|channels| channels.range::<ChannelName, _>((begin, Bound::Unbounded)));
    later
        .map(|(name, _)| name.clone())
        .take(capped(limit))
        .collect()
}

pub(super) fn topics(tables: &Tables, channel: &ChannelName) -> Vec<TopicRow> {
    let mut rows = std::collections::BTreeMap::new();
    let log = tables.channels.get(channel).into_iter();
    for kept in log.flat_map(|log| log.messages.values()) {
        if kept.message.is_data() {
            let (messages, bytes) = rows.entry(&kept.message.topic).or_insert((0, 0));
            *messages += 1;
            *bytes += kept.bytes();
        }
    }
    let rows = rows.into_iter();
    rows.map(|(topic, (messages, bytes))| TopicRow {
        topic: topic.clone(),
        messages,
        bytes,
    })
    .collect()
}

/// Voided messages are gone, so that what is left of a step that has ended is of the attempt that ended it.
pub(super) fn unsettled(tables: &Tables, run: RunId) -> Vec<Unsettled> {
    let mut found = Vec::new();
    for (channel, known) in tables.run_channels.get(&run).into_iter().flatten() {
        let Some(log) = tables.channels.get(channel) else {
            continue;
        };
        let trimmed = known.trimmed.iter();
        let trimmed = trimmed.map(|(said, last)| (*last, said.clone()));
        let kept = log.messages.values().filter_map(|kept| {
            let said = AttemptOnTopic::of(&kept.message, run)?;
            Some((kept.cursor(), said))
        });
        let mut said: Vec<_> = trimmed.chain(kept).collect();
        said.retain(|(cursor, said)| tables.is_unsettled(run, known, said, *cursor));
        said.sort_by(|(one, first), (other, second)| {
            let key = |said: &AttemptOnTopic| (said.topic.clone(), said.step.clone(), said.attempt);
            one.cmp(other).then_with(|| key(first).cmp(&key(second)))
        });
        found.extend(said.into_iter().map(|(_, said)| Unsettled {
            channel: channel.clone(),
            after: Unsettled::after(said.step.as_ref(), known.first, known.settled),
            topic: said.topic,
            step: said.step,
            attempt: said.attempt,
        }));
    }
    Unsettled::each_once(found)
}

impl Log {
    fn after(&self, cursor: Cursor) -> impl Iterator<Item = &Kept> {
        let later = self
            .messages
            .range((Bound::Excluded(cursor), Bound::Unbounded));
        later.map(|(_, kept)| kept)
    }
}

impl Kept {
    fn cursor(&self) -> Cursor {
        self.message.cursor
    }

    fn bytes(&self) -> u64 {
        u64::try_from(self.message.payload.len()).unwrap_or(u64::MAX)
    }

    fn is_on(&self, topics: Option<&[TopicName]>) -> bool {
        topics.is_none_or(|topics| topics.contains(&self.message.topic))
    }
}

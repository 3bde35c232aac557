//! What must hold before a batch is written.

use std::collections::BTreeSet;

use stepcast_protocol::{ChannelName, Cursor, Event, Message, RunId, Timestamp};

use super::tables::Tables;
use crate::store::{Batch, CommitError, Expect, Fence, KnownEvent, Phase, Refusal, UsedKey, Write};

/// Reads every condition of the batch; the first that does not hold is the answer, and with an event that is known, or a key that was used, all that are.
pub(super) fn check(tables: &Tables, batch: &Batch) -> Result<(), Refusal> {
    if let Some(fence) = batch.fence {
        fence_holds(tables, fence)?;
    }
    batch.expect.iter().try_for_each(|expect| match expect {
        Expect::EventIsNew(event, at) => match known_event(tables, event, *at) {
            None => Ok(()),
            Some(_) => Err(Refusal::EventsKnown(known_events(tables, batch))),
        },
        Expect::RunIsOpen(run) => run_is_open(tables, *run),
        Expect::RunIsKept(run) if tables.runs.contains_key(run) => Ok(()),
        Expect::RunIsKept(run) => Err(Refusal::RunUnknown(*run)),
        Expect::PublishKeyIsFree(channel, key, at) => match used_key(tables, channel, key, *at) {
            None => Ok(()),
            Some(_) => Err(Refusal::KeysUsed(used_keys(tables, batch))),
        },
        Expect::EpochIs(given) if tables.owner == Some(*given) => Ok(()),
        Expect::EpochIs(given) => Err(Refusal::EpochOver(given.0)),
        Expect::MessageIsKept(channel, cursor) => message_is_kept(tables, channel, *cursor),
    })
}

fn fence_holds(tables: &Tables, Fence { run, lease }: Fence) -> Result<(), Refusal> {
    let held = |row: &crate::store::RunRow| row.phase == Phase::Leased && row.lease == lease;
    if tables.runs.get(&run).is_some_and(held) {
        Ok(())
    } else {
        Err(Refusal::LeaseLost { run, lease })
    }
}

fn known_events(tables: &Tables, batch: &Batch) -> Vec<KnownEvent> {
    let known = batch.expect.iter().filter_map(|expect| match expect {
        Expect::EventIsNew(event, at) => known_event(tables, event, *at),
        Expect::RunIsOpen(_)
        | Expect::RunIsKept(_)
        | Expect::PublishKeyIsFree(..)
        | Expect::EpochIs(_)
        | Expect::MessageIsKept(..) => None,
    });
    known.collect()
}

fn known_event(tables: &Tables, event: &Event, at: Timestamp) -> Option<KnownEvent> {
    let sent = event.id;
    if tables.event_places.contains_key(&sent) {
        return Some(KnownEvent { sent, known: sent });
    }
    let key = (event.name.clone(), event.key.clone()?);
    let (known, until) = *tables.event_keys.get(&key)?;
    (until > at).then_some(KnownEvent { sent, known })
}

fn run_is_open(tables: &Tables, run: RunId) -> Result<(), Refusal> {
    match tables.runs.get(&run) {
        None => Err(Refusal::RunUnknown(run)),
        Some(row) if row.phase.is_final() => Err(Refusal::RunEnded(run)),
        Some(_) => Ok(()),
    }
}

fn used_keys(tables: &Tables, batch: &Batch) -> Vec<UsedKey> {
    let used = batch.expect.iter().filter_map(|expect| match expect {
        Expect::PublishKeyIsFree(channel, key, at) => used_key(tables, channel, key, *at),
        Expect::EventIsNew(..)
        | Expect::RunIsOpen(_)
        | Expect::RunIsKept(_)
        | Expect::EpochIs(_)
        | Expect::MessageIsKept(..) => None,
    });
    used.collect()
}

fn used_key(tables: &Tables, channel: &ChannelName, key: &str, at: Timestamp) -> Option<UsedKey> {
    let known = tables
        .channels
        .get(channel)
        .and_then(|log| log.keys.get(key));
    let (cursor, until) = *known?;
    (until > at).then(|| UsedKey {
        key: key.to_owned(),
        cursor,
    })
}

fn message_is_kept(tables: &Tables, channel: &ChannelName, at: Cursor) -> Result<(), Refusal> {
    let log = tables.channels.get(channel);
    if log.is_some_and(|log| log.messages.contains_key(&at)) {
        Ok(())
    } else {
        Err(Refusal::MessageNotKept(at))
    }
}

/// Refuses what would be there twice. Nothing else can fail, so that a batch that passes is written as a whole.
pub(super) fn can_be_written(tables: &Tables, batch: &Batch) -> Result<(), CommitError> {
    let (mut events, mut messages) = (BTreeSet::new(), BTreeSet::new());
    for write in &batch.writes {
        let is_twice = match write {
            Write::Event(event) => {
                tables.event_places.contains_key(&event.id) || !events.insert(event.id)
            }
            Write::Message(channel, message) => {
                has(tables, channel, message, |_| true)
                    || !messages.insert((channel, message.cursor))
            }
            Write::FoldText(channel, message) => {
                let stays = |known: &Message| {
                    known.topic != message.topic || run_of(known) != run_of(message)
                };
                has(tables, channel, message, stays)
            }
            Write::EventKey(..)
            | Write::Run(_)
            | Write::Step(_)
            | Write::Timer(_)
            | Write::ClearTimer(_)
            | Write::EventWait(_)
            | Write::ClearEventWait(..)
            | Write::RunChannel(..)
            | Write::BodySettled { .. }
            | Write::Trim(..)
            | Write::DropChannel(_)
            | Write::Head(..)
            | Write::PublishKey { .. }
            | Write::VoidLeases(..)
            | Write::Expire { .. }
            | Write::Setting(..) => false,
        };
        if is_twice {
            let text = "an event or a message of that id is there already";
            return Err(CommitError::Rejected(text.to_owned()));
        }
    }
    Ok(())
}

/// Whether the message's place is taken by one of a kind.
fn has(
    tables: &Tables,
    channel: &ChannelName,
    message: &Message,
    is_one: impl Fn(&Message) -> bool,
) -> bool {
    let known = tables
        .channels
        .get(channel)
        .and_then(|log| log.messages.get(&message.cursor));
    known.is_some_and(|kept| is_one(&kept.message))
}

pub(super) fn run_of(message: &Message) -> Option<RunId> {
    message.origin.as_ref().map(|origin| origin.run)
}

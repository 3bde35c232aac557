//! What has to go, in small pieces, in the background: what is over a topic's bounds, what is too old, and texts of runs that have
//! ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use stepcast_protocol::{
    ChannelName, Cursor, Keep, Message, Offset, RunId, Timestamp, TopicName, limits,
};

use super::{
    Hub,
    channel::{Channel, Grown},
    fold,
    rewrite::Rewrite,
};
use crate::store::{CommitError, KeptRow, MessageQuery, RunIs, StoreError};

/// A topic's bounds are looked at when it has grown by one of so many parts of them.
const PARTS: u64 = 8;
/// Messages that are too many on a `latest` topic before they go.
const LATEST_SLACK: u64 = 32;

/// How far the background has come in looking at what is old.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    message: u64,
}

/// Why something could not be let go of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetentionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl Hub {
    /// Lets go of what is over the bounds of topics that have grown since the last time.
    pub(crate) async fn trim(&self) -> Result<(), RetentionError> {
        for channel in self.0.channels.loaded() {
            for (topic, keep) in self.grown(&channel) {
                if let Some(trim) = self.over(&channel, &topic, &keep).await? {
                    self.rewrite(channel.name(), &topic, trim).await?;
                }
            }
        }
        Ok(())
    }

    /// Topics that may be over their bounds; they count as looked at.
    fn grown(&self, channel: &Channel) -> Vec<(TopicName, Keep)> {
        let catalog = &self.0.catalog;
        let mut state = channel.state();
        if !std::mem::take(&mut state.has_grown) {
            return Vec::new();
        }
        let mut grown = Vec::new();
        for (name, topic) in &mut state.topics {
            if topic.grown.messages == 0 {
                continue;
            }
            let keep = catalog.keep(channel.name(), name);
            let bounds = catalog.bounds(channel.name(), name);
            let Grown {
                messages, bytes, ..
            } = topic.grown;
            let is_due = match keep {
                Keep::Log => messages > bounds.messages / PARTS || bytes > bounds.bytes / PARTS,
                Keep::Latest => messages >= LATEST_SLACK,
                Keep::Live | Keep::Text { .. } => false,
            };
            if is_due {
                topic.grown = Grown::LOOKED_AT;
                grown.push((name.clone(), keep));
            }
        }
        grown
    }

    /// Which of a topic's messages have to go.
    async fn over(
        &self,
        channel: &Arc<Channel>,
        topic: &TopicName,
        keep: &Keep,
    ) -> Result<Option<Rewrite>, StoreError> {
        match keep {
            Keep::Live | Keep::Text { .. } => Ok(None),
            Keep::Log => {
                let bounds = self.0.catalog.bounds(channel.name(), topic);
                let (channel, topic) = (channel.name().clone(), topic.clone());
                let up_to = self.0.store.overflow(channel, topic, bounds).await?;
                Ok(up_to.map(Rewrite::Trim))
            }
            Keep::Latest => {
                self.prepare(channel, topic, keep).await?;
                let state = channel.state();
                let fold = state
                    .topics
                    .get(topic)
                    .and_then(|topic| topic.fold.as_ref());
                Ok(fold.and_then(fold::Fold::needs).map(Rewrite::TrimBefore))
            }
        }
    }

    /// Looks at some of what is kept: lets go of what is too old, and joins the texts of runs that ended a while ago. `place` goes round
    /// and round.
    pub(crate) async fn expire(&self, place: &mut Place) -> Result<(), RetentionError> {
        let rows = self.0.store.kept(place.message, limits::PAGE_ROWS).await?;
        let is_last = rows.len() < limits::PAGE_ROWS;
        place.message = match rows.last() {
            Some(last) if !is_last => last.place,
            Some(_) | None => 0,
        };
        let now = self.0.clock.now();
        for (channel, topic, up_to) in self.expired(&rows, now).await? {
            let expire = Rewrite::Expire(up_to);
            self.rewrite(channel, topic, expire).await?;
        }
        // Of what is left: what has just gone must not come back as part of a text.
        for (channel, topic, joined) in self.joined(&rows, now).await? {
            let join = Rewrite::Join(Arc::new(joined));
            self.rewrite(channel, topic, join).await?;
        }
        Ok(())
    }

    /// Per topic, the oldest messages in channel order whose time has come. Rows come in the order of commits and in pages, so the
    /// channel itself says whether an older message stays: then the later ones stay as well.
    async fn expired<'a>(
        &self,
        rows: &'a [KeptRow],
        now: Timestamp,
    ) -> Result<Vec<(&'a ChannelName, &'a TopicName, Cursor)>, StoreError> {
        let mut by_topic: BTreeMap<_, BTreeSet<Cursor>> = BTreeMap::new();
        for row in rows {
            let age = self.0.catalog.bounds(&row.channel, &row.topic).age;
            if ended(row).is_some_and(|ended| ended + age <= now) {
                let due = by_topic.entry((&row.channel, &row.topic)).or_default();
                due.insert(row.cursor);
            }
        }
        let mut trims = Vec::new();
        for ((channel, topic), due) in by_topic {
            let oldest = MessageQuery {
                channel: channel.clone(),
                after: Cursor::START,
                up_to: due.last().copied().unwrap_or_default(),
                topics: Some(Arc::new([topic.clone()])),
                limit: limits::PAGE_ROWS,
            };
            let page = self.0.store.messages(oldest).await?;
            let oldest = page.messages.iter().map(|message| message.cursor);
            if let Some(up_to) = oldest.take_while(|cursor| due.contains(cursor)).last() {
                trims.push((channel, topic, up_to));
            }
        }
        Ok(trims)
    }

    /// Texts of runs that ended a while ago, each as one message.
    async fn joined<'a>(
        &self,
        rows: &'a [KeptRow],
        now: Timestamp,
    ) -> Result<Vec<(&'a ChannelName, &'a TopicName, Message)>, StoreError> {
        let mut texts: BTreeMap<(&ChannelName, &TopicName, RunId), usize> = BTreeMap::new();
        for row in rows {
            let is_due =
                matches!(row.run_is, RunIs::Ended(at) if at + limits::TEXT_FOLD_AFTER <= now);
            if let Some(run) = row.run.filter(|_| is_due) {
                *texts.entry((&row.channel, &row.topic, run)).or_default() += 1;
            }
        }
        let mut all = Vec::new();
        for ((channel, topic, run), messages) in texts {
            let Keep::Text { field } = self.0.catalog.keep(channel, topic) else {
                continue;
            };
            if messages < 2 {
                continue;
            }
            let said = self.said(channel, topic, run).await?;
            if let Some(joined) = fold::join_texts(said, &field) {
                all.push((channel, topic, joined));
            }
        }
        Ok(all)
    }

    /// Everything a run has said on a `text` topic, which is bounded.
    async fn said(
        &self,
        channel: &ChannelName,
        topic: &TopicName,
        run: RunId,
    ) -> Result<Vec<Message>, StoreError> {
        let (mut said, mut after) = (Vec::new(), Cursor::START);
        let end = Cursor::new(self.0.store.epoch(), Offset(u64::MAX));
        loop {
            let query = MessageQuery {
                channel: channel.clone(),
                after,
                up_to: end,
                topics: Some(Arc::new([topic.clone()])),
                limit: limits::PAGE_ROWS,
            };
            let page = self.0.store.messages(query).await?;
            let of_run = page.messages.into_iter().filter(|message| {
                message.is_data()
                    && message
                        .origin
                        .as_ref()
                        .is_some_and(|origin| origin.run == run)
            });
            said.extend(of_run);
            after = page.next;
            if after == end {
                return Ok(said);
            }
        }
    }
}

/// When a message began to grow old; nothing while its run goes on.
fn ended(row: &KeptRow) -> Option<Timestamp> {
    match row.run_is {
        RunIs::Open => None,
        RunIs::Ended(at) => Some(at.max(row.created_at)),
        RunIs::Unknown => Some(row.created_at),
    }
}

#[cfg(test)]
mod tests;

//! What a reader would have got and is gone, and how it is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use stepcast_protocol::{Cursor, Epoch, Gap, GapReason, Keep, TopicName, limits};

use super::{Hub, channel::Channel, entry::TopicFilter, log::Posted};
use crate::store::{MessagePage, MessageQuery, NewestQuery, StoreError};

/// Up to where a reader knows that each topic has been trimmed.
#[derive(Debug, Clone, Default)]
pub struct Trims {
    told: BTreeMap<TopicName, Cursor>,
    /// Where a new reader begins: what was gone there before it came is no loss to it.
    begins_at: Option<Cursor>,
}

/// A page of kept messages, and what is missing from it.
#[derive(Debug)]
pub struct StoredPage {
    /// The messages.
    pub messages: Vec<Arc<Posted>>,
    /// Up to and with this cursor there are no others.
    pub next: Cursor,
    after: Cursor,
    lost: Vec<(TopicName, Cursor, GapReason)>,
}

impl Trims {
    pub(super) fn beginning_at(cursor: Cursor) -> Self {
        Self {
            begins_at: Some(cursor),
            ..Self::default()
        }
    }
}

impl StoredPage {
    /// What a reader that was not told before has lost in this page. Of such a topic nothing is kept at or before the reader's place, nor
    /// the records that would have taken back what it holds: so none of that counts any more.
    pub fn gaps(&self, trims: &mut Trims) -> Vec<Gap> {
        let is_new = trims.begins_at.take() == Some(self.after);
        let mut gaps = Vec::new();
        for (topic, up_to, reason) in &self.lost {
            let told = trims.told.get(topic).is_some_and(|told| told >= up_to);
            if told {
                continue;
            }
            trims.told.insert(topic.clone(), *up_to);
            if !is_new {
                gaps.push(Gap {
                    topic: topic.clone(),
                    keep_to: Cursor::START,
                    reason: *reason,
                });
            }
        }
        gaps
    }
}

impl Hub {
    /// Whether messages after a cursor may be lost with the life its reader is of. One that cannot be told has to know no more.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub async fn loss(
        &self,
        cursor: Cursor,
        since: Epoch,
    ) -> Result<Option<GapReason>, StoreError> {
        if since == self.0.store.epoch() || cursor == Cursor::START {
            return Ok(None);
        }
        Ok(match self.0.store.closed_cleanly(since).await? {
            Some(true) => None,
            Some(false) => Some(GapReason::Crashed),
            None => Some(GapReason::UnknownEpoch),
        })
    }

    /// The last message at or before a cursor that the store has.
    pub(super) async fn vouched(
        &self,
        channel: &Channel,
        cursor: Cursor,
    ) -> Result<Cursor, StoreError> {
        let query = NewestQuery {
            channel: channel.name().clone(),
            up_to: cursor,
            topics: None,
            limit: 1,
        };
        let newest = self.0.store.newest(query).await?;
        Ok(newest.first().copied().unwrap_or_default())
    }

    /// What a reader is told whose messages after `keep_to` may be lost with a life of the store.
    pub(super) async fn crash_gaps(
        &self,
        channel: &Channel,
        topics: &TopicFilter,
        keep_to: Cursor,
        reason: GapReason,
    ) -> Result<Vec<Gap>, StoreError> {
        let gap = |topic: TopicName| {
            // The store vouches for nothing of a topic that it does not have.
            let keep = self.0.catalog.keep(channel.name(), &topic);
            let keep_to = if keep.is_stored() {
                keep_to
            } else {
                Cursor::START
            };
            Gap {
                topic,
                keep_to,
                reason,
            }
        };
        let topics = self.may_have_lost(channel, topics).await?;
        Ok(topics.into_iter().map(gap).collect())
    }

    /// The topics that a reader may have had messages of: its own, or those that the channel declares or has. Nobody knows of a topic that
    /// nobody declares and whose every message was lost with the process.
    async fn may_have_lost(
        &self,
        channel: &Channel,
        topics: &TopicFilter,
    ) -> Result<Vec<TopicName>, StoreError> {
        let declared = self.names(channel, topics);
        match topics {
            TopicFilter::Only(_) => return Ok(declared),
            TopicFilter::All => {}
        }
        let kept = self.0.store.topics(channel.name().clone()).await?;
        let row = self.0.store.channel(channel.name().clone()).await?;
        let trimmed = row.map_or_else(Vec::new, |row| row.trimmed);
        let mut others: BTreeSet<_> = kept.into_iter().map(|row| row.topic).collect();
        others.extend(trimmed.into_iter().map(|(topic, _)| topic));
        others.extend(channel.state().topics.keys().cloned());
        let is_known = |topic: &TopicName| declared.contains(topic);
        others.retain(|topic| !topic.is_derived() && !is_known(topic));
        Ok(declared.into_iter().chain(others).collect())
    }

    /// A page of kept messages after `after`, up to and with `up_to`.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub async fn stored_page(
        &self,
        channel: Arc<Channel>,
        topics: TopicFilter,
        after: Cursor,
        up_to: Cursor,
    ) -> Result<StoredPage, StoreError> {
        let query = MessageQuery {
            channel: channel.name().clone(),
            after,
            up_to,
            topics: topics.names(),
            limit: limits::PAGE_ROWS,
        };
        let MessagePage {
            messages,
            next,
            trimmed,
        } = self.0.store.messages(query).await?;
        let keep = |topic: &TopicName| self.0.catalog.keep(channel.name(), topic);
        let mut lost: Vec<_> = trimmed
            .into_iter()
            .filter(|(topic, _)| topics.allows(topic) && keep(topic) == Keep::Log)
            .map(|(topic, up_to)| (topic, up_to, GapReason::Trimmed))
            .collect();
        let live_lost = channel.state().log.live_lost();
        if live_lost > after && live_lost <= next {
            let live = self.names(&channel, &topics).into_iter();
            let live = live.filter(|topic| !topic.is_reserved() && keep(topic) == Keep::Live);
            lost.extend(live.map(|topic| (topic, live_lost, GapReason::NotKept)));
        }
        let post = |message| Arc::new(Posted::new(Arc::new(message)));
        Ok(StoredPage {
            messages: messages.into_iter().map(post).collect(),
            next,
            after,
            lost,
        })
    }
}

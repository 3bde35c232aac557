//! How a reader begins: from where, and what its topics have come to.
//!
//! A reader that is far behind enters again: it is told the same as one that comes back with its cursor.

use std::sync::Arc;

use stepcast_protocol::{Cursor, Epoch, ErrorCode, Gap, Keep, Offset, Snapshot, TopicName, limits};

pub use stepcast_protocol::Beginning as Position;

use super::{Hub, channel::Channel, fold::Fold, gaps::Trims};
use crate::store::{MessageQuery, NewestQuery, StoreError};

/// Which topics of a channel somebody reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicFilter {
    /// All of them.
    All,
    /// These.
    Only(Arc<[TopicName]>),
}

impl TopicFilter {
    /// Whether the topic passes.
    #[must_use]
    pub fn allows(&self, topic: &TopicName) -> bool {
        match self {
            Self::All => true,
            Self::Only(topics) => topics.contains(topic),
        }
    }

    pub(super) fn names(&self) -> Option<Arc<[TopicName]>> {
        match self {
            Self::All => None,
            Self::Only(topics) => Some(Arc::clone(topics)),
        }
    }
}

/// Why a reader cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The cursor lies in the future.
    #[error(
        "cursor {cursor} is ahead of channel `{channel}`, which is at {visible}; use one that the channel gave out"
    )]
    AheadOfChannel {
        /// The cursor.
        cursor: Cursor,
        /// The channel.
        channel: String,
        /// How far one can see.
        visible: Cursor,
    },
    /// A number of messages that cannot be asked for.
    #[error(
        "last({0}) is not between 1 and {max}; use `now` to begin with what comes next, or `start` for everything that is kept",
        max = limits::LAST_MESSAGES
    )]
    BadLast(u64),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReadError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::AheadOfChannel { .. } => ErrorCode::BadCursor,
            Self::BadLast(_) => ErrorCode::BadRequest,
            Self::Store(error) => error.code(),
        }
    }
}

/// What a reader is told before any message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Something it would have got is gone.
    Gap(Gap),
    /// What a topic has come to.
    Snapshot(Snapshot),
}

/// How a reader begins.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it is told first, in this order.
    pub notices: Vec<Notice>,
    /// Where it reads on.
    pub cursor: Cursor,
    /// Up to and with this cursor it skips these topics: the snapshots hold them.
    pub skip: Option<(Cursor, Arc<[TopicName]>)>,
    /// What it knows of trims.
    pub trims: Trims,
    /// The life of the store in which it entered.
    pub life: Epoch,
}

impl Entry {
    /// One that is told nothing, in a life that whoever lets the reader in knows.
    fn at(cursor: Cursor) -> Self {
        Self {
            notices: Vec::new(),
            cursor,
            skip: None,
            trims: Trims::default(),
            life: Epoch::default(),
        }
    }

    fn beginning_at(mut self, cursor: Cursor) -> Self {
        self.trims = Trims::beginning_at(cursor);
        self
    }
}

impl Hub {
    /// Lets a reader in. What it is told and what it reads on from there is, together, everything up to the end of time, once.
    ///
    /// # Errors
    /// [`ReadError`] when nobody can have such a cursor, the number of messages is not allowed, or the store cannot be read.
    pub async fn enter(
        &self,
        channel: &Arc<Channel>,
        topics: &TopicFilter,
        from: Position,
    ) -> Result<Entry, ReadError> {
        // The channel's, as the store may be in its next life already, and before anything is looked at: who enters while it is
        // reopened enters again.
        let life = channel.state().log.epoch();
        let entry = match from {
            Position::Now => Entry::at(channel.visible()),
            Position::Last(n) => self.last(channel, topics, n).await?,
            Position::Start | Position::After(Cursor::START) => {
                let folding = self.folding(channel, topics);
                let start = Cursor::START;
                let entry = self.with_snapshots(channel, topics, start, folding);
                entry.await?.beginning_at(start)
            }
            Position::After(cursor) => {
                channel.check(cursor)?;
                self.resume(channel, topics, cursor, cursor.epoch).await?
            }
        };
        Ok(Entry { life, ..entry })
    }

    /// Lets a reader go on that entered in an earlier life, or that a snapshot brings forward.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub async fn enter_anew(
        &self,
        channel: &Arc<Channel>,
        topics: &TopicFilter,
        cursor: Cursor,
        life: Epoch,
    ) -> Result<Entry, ReadError> {
        let entered = channel.state().log.epoch();
        let since = if life < self.0.store.epoch() {
            life
        } else {
            cursor.epoch
        };
        let entry = self.resume(channel, topics, cursor, since).await?;
        Ok(Entry {
            life: entered,
            ..entry
        })
    }

    async fn resume(
        &self,
        channel: &Arc<Channel>,
        topics: &TopicFilter,
        cursor: Cursor,
        since: Epoch,
    ) -> Result<Entry, ReadError> {
        let folding = self.folding(channel, topics);
        let Some(reason) = self.loss(cursor, since).await? else {
            let folding = if channel.is_far_behind(cursor) {
                folding
            } else {
                Vec::new()
            };
            return self.with_snapshots(channel, topics, cursor, folding).await;
        };
        let keep_to = self.vouched(channel, cursor).await?;
        let entry = self
            .with_snapshots(channel, topics, keep_to, folding)
            .await?;
        let gaps = self.crash_gaps(channel, topics, keep_to, reason).await?;
        let gaps = gaps.into_iter().map(Notice::Gap);
        let notices = gaps.chain(entry.notices).collect();
        Ok(Entry { notices, ..entry })
    }

    /// Adds what the folding topics have come to; the others are read from `cursor`.
    async fn with_snapshots(
        &self,
        channel: &Arc<Channel>,
        topics: &TopicFilter,
        cursor: Cursor,
        folding: Vec<(TopicName, Keep)>,
    ) -> Result<Entry, ReadError> {
        for (topic, keep) in &folding {
            self.prepare(channel, topic, keep).await?;
        }
        let (visible, mut notices) = {
            let state = channel.state();
            let visible = state.log.visible();
            let snapshot = |(topic, _): &(TopicName, Keep)| {
                let fold = state.topics.get(topic)?.fold.as_ref()?;
                Some(Notice::Snapshot(fold.snapshot(topic, visible)))
            };
            (
                visible,
                folding.iter().filter_map(snapshot).collect::<Vec<_>>(),
            )
        };
        let derived = self.derived(channel, topics);
        for topic in &derived {
            notices.extend(self.derive(channel, topic, visible).await?);
        }
        let skipped: Arc<[TopicName]> = folding
            .into_iter()
            .map(|(topic, _)| topic)
            .chain(derived)
            .collect();
        let all_are_skipped = match topics {
            TopicFilter::All => false,
            TopicFilter::Only(topics) => topics.iter().all(|topic| skipped.contains(topic)),
        };
        Ok(if all_are_skipped {
            Entry {
                notices,
                ..Entry::at(visible)
            }
        } else {
            Entry {
                notices,
                skip: (!skipped.is_empty()).then_some((visible, skipped)),
                ..Entry::at(cursor)
            }
        })
    }

    /// Begins before the n-th newest message.
    async fn last(
        &self,
        channel: &Arc<Channel>,
        topics: &TopicFilter,
        n: u64,
    ) -> Result<Entry, ReadError> {
        if n == 0 || n > limits::LAST_MESSAGES {
            return Err(ReadError::BadLast(n));
        }
        let n = usize::try_from(n).expect("the bound is small");
        let (mut found, before) = {
            let state = channel.state();
            let tail_after = state.log.tail_after();
            let wanted = state
                .log
                .visible_after(tail_after)
                .filter_map(|(posted, _)| {
                    let message = posted.message();
                    (message.is_data() && topics.allows(&message.topic)).then_some(message.cursor)
                });
            let mut found: Vec<_> = wanted.collect();
            found.reverse();
            (found, tail_after)
        };
        if found.len() < n {
            let query = NewestQuery {
                channel: channel.name().clone(),
                up_to: before,
                topics: topics.names(),
                limit: n - found.len(),
            };
            found.extend(self.0.store.newest(query).await?);
        }
        let Some(oldest) = found.get(n - 1).or(found.last()) else {
            return Ok(Entry::at(channel.visible()));
        };
        let before = Cursor {
            offset: Offset(oldest.offset.0.saturating_sub(1)),
            ..*oldest
        };
        Ok(Entry::at(before).beginning_at(before))
    }

    /// Makes sure that a topic's fold is in memory, so that it is brought forward with every message.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub(crate) async fn prepare(
        &self,
        channel: &Arc<Channel>,
        topic: &TopicName,
        keep: &Keep,
    ) -> Result<(), StoreError> {
        if !keep.folds() {
            return Ok(());
        }
        loop {
            let rewritten = channel.rewritten.notified();
            tokio::pin!(rewritten);
            rewritten.as_mut().enable();
            let at_rest = {
                let state = channel.state();
                if state.has_fold(topic, keep) {
                    return Ok(());
                }
                state.rewrites.at_rest()
            };
            match at_rest {
                None => rewritten.await,
                Some(rewrites) => self.read_fold(channel, topic, keep, rewrites).await?,
            }
        }
    }

    /// Reads a topic's fold from the store. What was read while the topic was changed is not taken over.
    async fn read_fold(
        &self,
        channel: &Arc<Channel>,
        topic: &TopicName,
        keep: &Keep,
        rewrites: u64,
    ) -> Result<(), StoreError> {
        let Some(mut fold) = Fold::of(keep) else {
            return Ok(());
        };
        let mut read_to = Cursor::START;
        loop {
            let tail_after = {
                let mut state = channel.state();
                if state.has_fold(topic, keep) || state.rewrites.at_rest() != Some(rewrites) {
                    return Ok(());
                }
                let tail_after = state.log.tail_after();
                if read_to >= tail_after {
                    state.put_fold(topic, fold);
                    return Ok(());
                }
                tail_after
            };
            let page = self
                .0
                .store
                .messages(MessageQuery {
                    channel: channel.name().clone(),
                    after: read_to,
                    up_to: tail_after,
                    topics: Some(Arc::new([topic.clone()])),
                    limit: limits::PAGE_ROWS,
                })
                .await?;
            for message in page.messages {
                let is_settled = message.origin.is_none();
                fold.apply(&Arc::new(message), is_settled);
            }
            read_to = page.next;
        }
    }

    /// The topics a reader may name: its own, or all that the channel declares.
    pub(super) fn names(&self, channel: &Channel, topics: &TopicFilter) -> Vec<TopicName> {
        match topics {
            TopicFilter::All => self.0.catalog.topics(channel.name()),
            TopicFilter::Only(topics) => topics.to_vec(),
        }
    }

    /// Those of a reader's topics that fold.
    fn folding(&self, channel: &Channel, topics: &TopicFilter) -> Vec<(TopicName, Keep)> {
        let names = self.names(channel, topics).into_iter();
        let keeps = names.map(|topic| {
            let keep = self.0.catalog.keep(channel.name(), &topic);
            (topic, keep)
        });
        keeps.filter(|(_, keep)| keep.folds()).collect()
    }

    /// Those of a reader's topics that are made from the store's rows.
    fn derived(&self, channel: &Channel, topics: &TopicFilter) -> Vec<TopicName> {
        let names = self.names(channel, topics).into_iter();
        names.filter(TopicName::is_derived).collect()
    }

    /// Whether a reader that is far behind should enter anew, as some of its topics have snapshots.
    #[must_use]
    pub fn has_snapshots(&self, channel: &Channel, topics: &TopicFilter) -> bool {
        let mut names = self.names(channel, topics).into_iter();
        names.any(|topic| topic.is_derived() || self.0.catalog.keep(channel.name(), &topic).folds())
    }

    async fn derive(
        &self,
        channel: &Channel,
        topic: &TopicName,
        visible: Cursor,
    ) -> Result<Option<Notice>, StoreError> {
        let Some(derive) = self.0.derive.get() else {
            return Ok(None);
        };
        let pieces = derive.derive(channel.name(), topic).await?;
        Ok(pieces.map(|pieces| {
            let pieces = pieces
                .into_iter()
                .map(|piece| piece.into_message(topic, visible));
            Notice::Snapshot(Snapshot {
                topic: topic.clone(),
                cursor: visible,
                pieces: pieces.collect(),
            })
        }))
    }
}

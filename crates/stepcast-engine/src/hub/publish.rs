//! How messages get their numbers: believed at once, or with the commit that makes them true.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use parking_lot::MutexGuard;
use stepcast_protocol::{
    Cursor, ErrorCode, Keep, Kind, Message, Origin, RunId, Timestamp, TopicName, limits,
};
use tokio::sync::oneshot;

use super::{
    Hub, Inner,
    channel::{Channel, State},
};
use crate::store::{Batch, CommitError, Committed, Expect, StoreError, Urgency, Write};

/// A message without a number.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its topic.
    pub topic: TopicName,
    /// Its payload, one JSON text.
    pub payload: Bytes,
    /// Who publishes it.
    pub origin: Option<Arc<Origin>>,
    /// What it says.
    pub kind: Kind,
    /// How its topic is kept.
    pub keep: Keep,
}

impl Draft {
    /// A message to be published.
    #[must_use]
    pub fn new(topic: TopicName, keep: Keep, payload: Bytes, origin: Option<Arc<Origin>>) -> Self {
        Self {
            topic,
            payload,
            origin,
            kind: Kind::Data,
            keep,
        }
    }

    /// Tells pages of npm `inngest` something of a run.
    pub(crate) fn for_npm(
        topic: TopicName,
        kind: Kind,
        payload: Bytes,
        origin: Option<Arc<Origin>>,
    ) -> Self {
        Self {
            kind,
            ..Self::new(topic, Keep::Live, payload, origin)
        }
    }

    /// The record that what an attempt has published after a cursor is void.
    pub(crate) fn rollback(
        topic: TopicName,
        keep: Keep,
        origin: Arc<Origin>,
        after: Cursor,
    ) -> Self {
        Self {
            topic,
            payload: Bytes::new(),
            origin: Some(origin),
            kind: Kind::Rollback { after },
            keep,
        }
    }
}

/// A draft and the channel it is for.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The channel.
    pub channel: Arc<Channel>,
    /// The draft.
    pub draft: Draft,
}

/// Why a message was not published.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// Too much waits to be written.
    #[error(
        "{waiting} bytes of {of} wait to be written, at most {limit} may; try again in a moment"
    )]
    Overloaded {
        /// Whose.
        of: String,
        /// How much waits.
        waiting: usize,
        /// The bound.
        limit: usize,
    },
    /// A text that has become too long.
    #[error(
        "the text on topic `{topic}` would have {bytes} bytes, one run may say {} on it; use another topic, or `keep = \"log\"`",
        limits::TEXT_BYTES
    )]
    TextTooLong {
        /// The topic.
        topic: TopicName,
        /// How long it would be.
        bytes: usize,
    },
    /// The store refused.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a message that was posted.
pub(crate) enum Accepted {
    /// It has its number and its way to the store.
    Posted(Cursor),
    /// It waits for its commit, because the disk was full a moment ago.
    Waiting(Cursor, oneshot::Receiver<Result<Vec<Cursor>, CommitError>>),
}

impl Accepted {
    /// Its number.
    pub(crate) fn cursor(&self) -> Cursor {
        match self {
            Self::Posted(cursor) | Self::Waiting(cursor, _) => *cursor,
        }
    }

    /// Waits until it is known to be published.
    pub(crate) async fn published(self) -> Result<Cursor, PublishError> {
        match self {
            Self::Posted(cursor) => Ok(cursor),
            Self::Waiting(cursor, fate) => {
                fate.await.unwrap_or(Err(CommitError::Closed))?;
                Ok(cursor)
            }
        }
    }
}

impl PublishError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Overloaded { .. } => ErrorCode::Overloaded,
            Self::TextTooLong { .. } => ErrorCode::TooLarge,
            Self::Commit(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

impl Hub {
    /// Publishes a message that readers see at once and the store gets within [`limits::WRITE_DELAY`]. A crash may lose it.
    ///
    /// # Errors
    /// [`PublishError::Overloaded`] when too much of the channel or of the process waits to be written (see [`Self::publish`]),
    /// [`PublishError::TextTooLong`], and what the store says while the disk is full.
    pub async fn try_publish(
        &self,
        channel: &Arc<Channel>,
        draft: Draft,
    ) -> Result<Cursor, PublishError> {
        self.try_publish_with(channel, draft, |_, _| {}, |_| {})
            .await
    }

    /// The same, where more is written with the message; see [`Self::post`].
    pub(crate) async fn try_publish_with(
        &self,
        channel: &Arc<Channel>,
        draft: Draft,
        numbered: impl FnOnce(&mut Batch, Cursor),
        fated: impl FnOnce(bool) + Send + 'static,
    ) -> Result<Cursor, PublishError> {
        self.prepare(channel, &draft.topic, &draft.keep).await?;
        self.0.has_room(channel)?;
        self.post(channel, draft, numbered, fated)?
            .published()
            .await
    }

    /// Whether more may be published at the moment.
    ///
    /// # Errors
    /// [`PublishError::Overloaded`].
    pub(crate) fn has_room(&self, channel: &Channel) -> Result<(), PublishError> {
        self.0.has_room(channel)
    }

    /// Whether messages that are to be committed together are not too much for their texts. Their topics are prepared for it.
    ///
    /// # Errors
    /// [`PublishError::TextTooLong`], and what the store says when it cannot be read.
    pub(crate) async fn check_texts<'a>(
        &self,
        channel: &Arc<Channel>,
        drafts: impl Iterator<Item = &'a Draft> + Clone,
    ) -> Result<(), PublishError> {
        for draft in drafts.clone() {
            self.prepare(channel, &draft.topic, &draft.keep).await?;
        }
        check_texts(&channel.state(), drafts)
    }

    /// The same, but waits for room instead of refusing.
    ///
    /// # Errors
    /// [`PublishError::TextTooLong`], and what the store says while the disk is full.
    pub async fn publish(
        &self,
        channel: &Arc<Channel>,
        draft: Draft,
    ) -> Result<Cursor, PublishError> {
        self.prepare(channel, &draft.topic, &draft.keep).await?;
        let post = || self.post(channel, draft.clone(), |_, _| {}, |_| {});
        self.when_there_is_room(channel, post)
            .await?
            .published()
            .await
    }

    /// Posts as soon as not too much waits to be written.
    pub(crate) async fn when_there_is_room<E: From<PublishError>>(
        &self,
        channel: &Channel,
        mut post: impl FnMut() -> Result<Accepted, E>,
    ) -> Result<Accepted, E> {
        loop {
            let written = channel.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            match self.0.has_room(channel) {
                Ok(()) => return post(),
                // Others' bytes may be what is too much, so this looks again after a while whatever the channel says.
                Err(_) => drop(tokio::time::timeout(limits::WRITE_DELAY, written).await),
            }
        }
    }

    /// Gives a message its number, and its batch a place in the store's queue. `numbered` may add to the batch what depends on the
    /// number; `fated` is a completion of the store that hears whether the batch was committed. Neither is called for what is not stored. The
    /// topic's fold must be [prepared](Self::prepare), and whoever posts has looked for room.
    pub(crate) fn post(
        &self,
        channel: &Arc<Channel>,
        draft: Draft,
        numbered: impl FnOnce(&mut Batch, Cursor),
        fated: impl FnOnce(bool) + Send + 'static,
    ) -> Result<Accepted, PublishError> {
        if self.0.no_space.load(Ordering::Relaxed) && draft.keep.is_stored() {
            let outgoing = Outgoing {
                channel: Arc::clone(channel),
                draft,
            };
            let (done, fate) = oneshot::channel();
            let mut given = Cursor::START;
            let numbered = |batch: &mut Batch, cursors: &[Cursor]| {
                given = *cursors.first().expect("one message was given");
                numbered(batch, given);
            };
            let done = move |result: Result<_, CommitError>| {
                fated(result.is_ok());
                // Whoever publishes may have gone; the message has its fate all the same.
                drop(done.send(result));
            };
            self.commit(Batch::default(), vec![outgoing], numbered, done);
            return Ok(Accepted::Waiting(given, fate));
        }
        Inner::post(&self.0, channel, draft, numbered, fated).map(Accepted::Posted)
    }

    /// Publishes a message that readers see after its commit. `batch` is committed with it.
    ///
    /// # Errors
    /// [`CommitError`]; then nothing was published.
    pub async fn publish_durable(
        &self,
        outgoing: Outgoing,
        batch: Batch,
    ) -> Result<Cursor, CommitError> {
        self.commit_one(batch, outgoing, |_, _| {}).await
    }

    /// The same, where the batch depends on the message's number.
    ///
    /// # Errors
    /// [`CommitError`]; then nothing was published.
    pub async fn commit_one(
        &self,
        batch: Batch,
        outgoing: Outgoing,
        numbered: impl FnOnce(&mut Batch, &[Cursor]),
    ) -> Result<Cursor, CommitError> {
        let cursors = self.commit_all(batch, vec![outgoing], numbered).await?;
        Ok(*cursors
            .first()
            .expect("one message was given, so one cursor comes back"))
    }

    /// The same for any number of messages: readers see all of them or none.
    ///
    /// # Errors
    /// [`CommitError`]; then nothing was published.
    pub async fn commit_all(
        &self,
        batch: Batch,
        outgoing: Vec<Outgoing>,
        numbered: impl FnOnce(&mut Batch, &[Cursor]),
    ) -> Result<Vec<Cursor>, CommitError> {
        for Outgoing { channel, draft } in &outgoing {
            let prepared = self.prepare(channel, &draft.topic, &draft.keep).await;
            prepared.map_err(|error| CommitError::Rejected(error.to_string()))?;
        }
        let (done, outcome) = oneshot::channel();
        self.commit(batch, outgoing, numbered, |result| drop(done.send(result)));
        outcome.await.unwrap_or(Err(CommitError::Closed))
    }

    /// Commits a batch together with messages. Takes its place in the store's queue at the call. Readers see the messages after the
    /// commit; when it fails, their numbers stay unused. `numbered` may add to the batch what depends on the numbers. `done` is a
    /// completion of the store and keeps its rules.
    pub fn commit(
        &self,
        mut batch: Batch,
        outgoing: Vec<Outgoing>,
        numbered: impl FnOnce(&mut Batch, &[Cursor]),
        done: impl FnOnce(Result<Vec<Cursor>, CommitError>) + Send + 'static,
    ) {
        let now = self.0.clock.now();
        let channels = locking_order(&outgoing);
        let mut states: Vec<MutexGuard<'_, State>> =
            channels.iter().map(|channel| channel.state()).collect();
        // Numbers given before the store was reopened must not reach it afterwards.
        if let Some(state) = states.first() {
            batch.expect.push(Expect::EpochIs(state.log.epoch()));
        }
        let is_publisher =
            batch.fence.is_none() && outgoing.iter().any(|one| one.draft.keep.is_stored());
        let mut cursors = Vec::with_capacity(outgoing.len());
        let mut settled = Vec::with_capacity(outgoing.len());
        for Outgoing { channel, draft } in outgoing {
            let index = channels
                .iter()
                .position(|other| Arc::ptr_eq(other, &channel));
            let state = &mut states[index.expect("every channel is in the locking order")];
            let stored = draft.keep.is_stored();
            let message = number(state, draft, now);
            state.log.append(Arc::clone(&message), true, stored);
            cursors.push(message.cursor);
            if stored {
                self.0
                    .unwritten
                    .fetch_add(message.payload.len(), Ordering::Relaxed);
                batch
                    .writes
                    .push(Write::Message(channel.name().clone(), Arc::clone(&message)));
            } else {
                batch
                    .writes
                    .push(Write::Head(channel.name().clone(), message.cursor));
            }
            settled.push((channel, message, stored));
        }
        numbered(&mut batch, &cursors);
        let inner = Arc::clone(&self.0);
        let completion = move |result: Result<Committed, CommitError>| {
            if is_publisher && result.is_ok() {
                inner.no_space.store(false, Ordering::Relaxed);
            }
            inner.on_fate(&result);
            for (channel, message, stored) in &settled {
                inner.settle(channel, message, *stored, &result);
            }
            done(result.map(|_| cursors));
        };
        self.0.store.submit(batch, Box::new(completion));
        drop(states);
    }
}

/// Every channel once, in the order of names, in which all locks are taken.
fn locking_order(outgoing: &[Outgoing]) -> Vec<Arc<Channel>> {
    let mut channels: Vec<_> = outgoing
        .iter()
        .map(|outgoing| Arc::clone(&outgoing.channel))
        .collect();
    channels.sort_by(|a, b| a.name().cmp(b.name()));
    channels.dedup_by(|a, b| Arc::ptr_eq(a, b));
    channels
}

fn number(state: &mut State, draft: Draft, now: Timestamp) -> Arc<Message> {
    let Draft {
        topic,
        payload,
        origin,
        kind,
        keep,
    } = draft;
    state.used_at = now;
    if keep.is_stored() {
        state.grow(&topic, payload.len());
    }
    Arc::new(Message {
        cursor: state.log.next_cursor(),
        topic,
        kind,
        payload,
        created_at: now,
        origin,
    })
}

/// A text is bounded by what its run has said in this life and what was loaded, and by what it says now.
fn check_texts<'a>(
    state: &State,
    drafts: impl IntoIterator<Item = &'a Draft>,
) -> Result<(), PublishError> {
    let mut said: BTreeMap<(&TopicName, Option<RunId>), usize> = BTreeMap::new();
    for draft in drafts {
        let Keep::Text { .. } = draft.keep else {
            continue;
        };
        let run = draft.origin.as_ref().map(|origin| origin.run);
        let before = || {
            let topic = state.topics.get(&draft.topic);
            let fold = topic.and_then(|topic| topic.fold.as_ref());
            fold.map_or(0, |fold| fold.text_bytes(run))
        };
        let bytes = said.entry((&draft.topic, run)).or_insert_with(before);
        *bytes += draft.payload.len();
        if *bytes > limits::TEXT_BYTES {
            let (topic, bytes) = (draft.topic.clone(), *bytes);
            return Err(PublishError::TextTooLong { topic, bytes });
        }
    }
    Ok(())
}

impl Inner {
    fn has_room(&self, channel: &Channel) -> Result<(), PublishError> {
        let check = |of: &dyn Fn() -> String, waiting, limit| {
            if waiting < limit {
                Ok(())
            } else {
                Err(PublishError::Overloaded {
                    of: of(),
                    waiting,
                    limit,
                })
            }
        };
        let waiting = self.unwritten.load(Ordering::Relaxed);
        check(
            &|| "this process".to_owned(),
            waiting,
            limits::UNWRITTEN_BYTES,
        )?;
        let waiting = channel.state().log.unwritten_bytes();
        check(
            &|| format!("channel `{}`", channel.name()),
            waiting,
            limits::UNWRITTEN_BYTES_PER_CHANNEL,
        )
    }

    fn post(
        inner: &Arc<Self>,
        channel: &Arc<Channel>,
        draft: Draft,
        numbered: impl FnOnce(&mut Batch, Cursor),
        fated: impl FnOnce(bool) + Send + 'static,
    ) -> Result<Cursor, PublishError> {
        let now = inner.clock.now();
        let stored = draft.keep.is_stored();
        let mut state = channel.state();
        // Looked at under the lock: who closes the hub takes every channel's lock afterwards.
        if inner.is_closed.load(Ordering::SeqCst) {
            return Err(CommitError::Closed.into());
        }
        check_texts(&state, [&draft])?;
        let message = number(&mut state, draft, now);
        let cursor = message.cursor;
        let seen_before = state.log.visible();
        state.log.append(Arc::clone(&message), false, stored);
        if stored {
            inner
                .unwritten
                .fetch_add(message.payload.len(), Ordering::Relaxed);
            let write = Write::Message(channel.name().clone(), Arc::clone(&message));
            let mut batch = Batch {
                expect: vec![Expect::EpochIs(state.log.epoch())],
                writes: vec![write],
                urgency: Urgency::Soon,
                ..Batch::default()
            };
            numbered(&mut batch, cursor);
            inner.store.submit(
                batch,
                Box::new(Self::on_written(inner, channel, message, fated)),
            );
        }
        if state.log.visible() != seen_before {
            state.on_visible();
        }
        state.log.trim(limits::TAIL_BYTES_PER_CHANNEL);
        Ok(cursor)
    }

    fn on_written<F: FnOnce(bool) + Send>(
        inner: &Arc<Self>,
        channel: &Arc<Channel>,
        message: Arc<Message>,
        fated: F,
    ) -> impl FnOnce(Result<Committed, CommitError>) + Send + use<F> {
        let (inner, channel) = (Arc::clone(inner), Arc::clone(channel));
        move |result| {
            if result.is_ok() {
                inner.no_space.store(false, Ordering::Relaxed);
            }
            inner.on_fate(&result);
            if let Err(error) = &result {
                let (name, cursor) = (channel.name(), message.cursor);
                tracing::warn!(channel = %name, %cursor, %error, "a message was delivered and could not be written");
            }
            inner.settle(&channel, &message, true, &result);
            fated(result.is_ok());
        }
    }

    /// The fate of one message: seen from now on, or never. One that may be there or not hides itself and those behind it until the log is
    /// read again: who saw past it would miss it.
    fn settle(
        &self,
        channel: &Arc<Channel>,
        message: &Message,
        stored: bool,
        fate: &Result<Committed, CommitError>,
    ) {
        if stored {
            self.unwritten
                .fetch_sub(message.payload.len(), Ordering::Relaxed);
        }
        let is_known = !matches!(
            fate,
            Err(CommitError::OutcomeUnknown(_) | CommitError::Closed)
        );
        let mut state = channel.state();
        if is_known && state.log.settle(message.cursor, fate.is_ok()) {
            state.on_visible();
        }
        state.log.trim(limits::TAIL_BYTES_PER_CHANNEL);
        drop(state);
        channel.written.notify_waiters();
    }

    /// Looks at the fate of a batch for what concerns everybody.
    fn on_fate(&self, result: &Result<Committed, CommitError>) {
        match result {
            Err(CommitError::NoSpace(_)) => {
                let now = self.clock.now().as_millis();
                self.refused_at.store(now, Ordering::Relaxed);
                self.no_space.store(true, Ordering::Relaxed);
            }
            Err(CommitError::OutcomeUnknown(_) | CommitError::Closed) => {
                if let Some(on_broken) = self.on_broken.get() {
                    on_broken();
                }
            }
            Ok(_) | Err(CommitError::Refused(_) | CommitError::Rejected(_)) => {}
        }
    }
}

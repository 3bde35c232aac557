//! A reader in this process: a cursor into one channel and a filter.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use stepcast_protocol::{Cursor, Epoch, Gap, Kind, Snapshot, TopicName};
use tokio::sync::Notify;

use super::{
    Hub,
    channel::{Channel, WatchGuard},
    entry::{Entry, Notice, Position, ReadError, TopicFilter},
    gaps::{StoredPage, Trims},
    log::{Posted, Slice},
};
use crate::store::{BoxFuture, StoreError};

/// Bytes of messages a subscription takes over at a time.
const READ_BYTES: usize = 64 * 1024;

/// What a reader gets.
#[derive(Debug, Clone)]
pub enum Item {
    /// A message, or the record that some are void.
    Posted(Arc<Posted>),
    /// Something it would have got is gone.
    Gap(Gap),
    /// What a topic has come to.
    Snapshot(Snapshot),
}

/// Reads a channel from a cursor, first what is kept, then what comes, in order and without an end.
///
/// Copies nothing per reader: what it holds are shared messages. One that is not polled costs nobody anything.
pub struct Subscription {
    hub: Hub,
    channel: Arc<Channel>,
    topics: TopicFilter,
    has_snapshots: bool,
    cursor: Cursor,
    /// Up to and with a cursor, topics whose snapshot it has been given.
    skip: Option<(Cursor, Arc<[TopicName]>)>,
    trims: Trims,
    life: Epoch,
    ready: VecDeque<Item>,
    /// The cursor once `ready` is empty.
    next: Cursor,
    end: Option<Cursor>,
    more: Arc<Notify>,
    waiting: Option<BoxFuture<'static, Step>>,
    _watch: WatchGuard,
}

enum Step {
    Woken,
    Page(Result<StoredPage, StoreError>),
    Entered(Result<Entry, ReadError>),
}

impl Hub {
    /// Reads a channel.
    ///
    /// # Errors
    /// [`ReadError`] when nobody can have such a cursor, the number of messages is not allowed, or the store cannot be read.
    pub async fn subscribe(
        &self,
        channel: &Arc<Channel>,
        topics: TopicFilter,
        from: Position,
    ) -> Result<Subscription, ReadError> {
        let more = Arc::new(Notify::new());
        let watch = channel.watch(Arc::<Notify>::clone(&more));
        let entry = self.enter(channel, &topics, from).await?;
        let cursor = match from {
            Position::Start => Cursor::START,
            Position::After(cursor) => cursor,
            Position::Now | Position::Last(_) => entry.cursor,
        };
        let mut subscription = Subscription {
            has_snapshots: self.has_snapshots(channel, &topics),
            hub: self.clone(),
            channel: Arc::clone(channel),
            topics,
            cursor,
            skip: None,
            trims: Trims::default(),
            life: entry.life,
            ready: VecDeque::new(),
            next: entry.cursor,
            end: None,
            more,
            waiting: None,
            _watch: watch,
        };
        subscription.on_entry(entry);
        Ok(subscription)
    }
}

impl Subscription {
    /// The channel it reads.
    #[must_use]
    pub fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Where it is: everything up to here has been handed out or filtered away.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Ends the stream after the last message at or before `cursor`.
    pub fn end_at(&mut self, cursor: Cursor) {
        self.end = Some(cursor);
        self.more.notify_one();
    }

    fn take_ready(&mut self) -> Option<Item> {
        let item = self.ready.pop_front()?;
        if self.ready.is_empty() {
            self.cursor = self.next;
        } else if let Item::Posted(posted) = &item {
            self.cursor = posted.message().cursor;
        }
        Some(item)
    }

    fn is_past_end(&self, item: &Item) -> bool {
        match item {
            Item::Posted(posted) => self.end.is_some_and(|end| posted.message().cursor > end),
            Item::Gap(_) | Item::Snapshot(_) => false,
        }
    }

    fn is_at_end(&self) -> bool {
        self.ready.is_empty() && self.end.is_some_and(|end| self.cursor >= end)
    }

    fn wants(&self, posted: &Posted) -> bool {
        let message = posted.message();
        let is_skipped = self.skip.as_ref().is_some_and(|(until, topics)| {
            message.cursor <= *until && topics.contains(&message.topic)
        });
        let is_for_npm = matches!(message.kind, Kind::Ended { .. } | Kind::Status);
        !is_for_npm && self.topics.allows(&message.topic) && !is_skipped
    }

    /// Whether topics that have snapshots are among those it reads right now.
    fn wants_fold(&self) -> bool {
        self.has_snapshots && self.skip_end().is_none()
    }

    /// Up to where it still passes over the topics whose snapshots it has. What comes later of them it must not take from the store, where a
    /// message may stand for what the snapshot shows.
    fn skip_end(&self) -> Option<Cursor> {
        let (until, _) = self.skip.as_ref()?;
        (self.cursor < *until).then_some(*until)
    }

    /// Takes over what the tail holds, or says what to wait for.
    fn advance(&mut self) -> Option<BoxFuture<'static, Step>> {
        let (cursor, life) = (self.cursor, self.life);
        if self.channel.must_enter(cursor, life, self.wants_fold()) {
            let (hub, channel) = (self.hub.clone(), Arc::clone(&self.channel));
            let topics = self.topics.clone();
            return Some(Box::pin(async move {
                Step::Entered(hub.enter_anew(&channel, &topics, cursor, life).await)
            }));
        }
        match self.channel.read(self.cursor, READ_BYTES) {
            Slice::UpToDate(cursor) => {
                self.cursor = cursor;
                let more = Arc::clone(&self.more);
                Some(Box::pin(async move {
                    more.notified().await;
                    Step::Woken
                }))
            }
            Slice::Tail { messages, next } => {
                self.take_over(messages, next);
                None
            }
            // The tail has let go of it just now: asked again, the channel says so.
            Slice::Stored { .. } if self.wants_fold() => None,
            Slice::Stored { up_to } => {
                let up_to = self.skip_end().map_or(up_to, |until| until.min(up_to));
                let (hub, channel) = (self.hub.clone(), Arc::clone(&self.channel));
                let (topics, cursor) = (self.topics.clone(), self.cursor);
                Some(Box::pin(async move {
                    Step::Page(hub.stored_page(channel, topics, cursor, up_to).await)
                }))
            }
        }
    }

    fn on_page(&mut self, page: StoredPage) {
        let gaps = page.gaps(&mut self.trims);
        self.ready.extend(gaps.into_iter().map(Item::Gap));
        self.take_over(page.messages, page.next);
    }

    fn take_over(&mut self, messages: Vec<Arc<Posted>>, next: Cursor) {
        for posted in messages {
            if self.wants(&posted) {
                self.ready.push_back(Item::Posted(posted));
            }
        }
        self.next = next;
        if self.ready.is_empty() {
            self.cursor = next;
        }
    }

    fn on_entry(&mut self, entry: Entry) {
        let Entry {
            notices,
            cursor,
            skip,
            trims,
            life,
        } = entry;
        self.ready
            .extend(notices.into_iter().map(|notice| match notice {
                Notice::Gap(gap) => Item::Gap(gap),
                Notice::Snapshot(snapshot) => Item::Snapshot(snapshot),
            }));
        self.next = cursor;
        if self.ready.is_empty() {
            self.cursor = cursor;
        }
        self.skip = skip;
        self.trims = trims;
        self.life = life;
    }
}

impl Stream for Subscription {
    type Item = Result<Item, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(step) = &mut this.waiting {
                let Poll::Ready(step) = step.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                this.waiting = None;
                match step {
                    Step::Woken => {}
                    Step::Page(Ok(page)) => this.on_page(page),
                    Step::Page(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                    Step::Entered(Ok(entry)) => this.on_entry(entry),
                    Step::Entered(Err(error)) => return Poll::Ready(Some(Err(error))),
                }
            }
            if let Some(first) = this.ready.front() {
                if this.is_past_end(first) {
                    return Poll::Ready(None);
                }
                return Poll::Ready(this.take_ready().map(Ok));
            }
            if this.is_at_end() {
                return Poll::Ready(None);
            }
            this.waiting = this.advance();
            if this.is_at_end() {
                return Poll::Ready(None);
            }
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("channel", self.channel.name())
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

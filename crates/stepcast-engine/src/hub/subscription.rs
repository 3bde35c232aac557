//! A reader in this process: a cursor into one channel and a filter.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use stepcast_protocol::{Cursor, ErrorCode, TopicName, limits};
use tokio::sync::Notify;

use super::{
    Hub,
    channel::{Channel, WatchGuard},
    log::{Posted, Slice},
};
use crate::store::{BoxFuture, MessageQuery, StoreError};

/// Bytes of messages a subscription takes over at a time.
const READ_BYTES: usize = 64 * 1024;

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

    fn names(&self) -> Option<Arc<[TopicName]>> {
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
            Self::Store(error) => error.code(),
        }
    }
}

/// Reads a channel from a cursor, first what is kept, then what comes, in order and without an end.
///
/// Copies nothing per reader: what it holds are shared messages. One that is not polled costs nobody anything.
pub struct Subscription {
    hub: Hub,
    channel: Arc<Channel>,
    topics: TopicFilter,
    cursor: Cursor,
    ready: VecDeque<Arc<Posted>>,
    /// The cursor once `ready` is empty.
    next: Cursor,
    end: Option<Cursor>,
    more: Arc<Notify>,
    waiting: Option<BoxFuture<'static, Step>>,
    _watch: WatchGuard,
}

enum Step {
    Woken,
    Page(Result<Vec<stepcast_protocol::Message>, StoreError>, Cursor),
}

impl Hub {
    /// Reads a channel after a cursor; [`Cursor::START`] is its beginning.
    ///
    /// # Errors
    /// [`ReadError::AheadOfChannel`] when nobody can have such a cursor.
    pub fn subscribe(
        &self,
        channel: &Arc<Channel>,
        topics: TopicFilter,
        after: Cursor,
    ) -> Result<Subscription, ReadError> {
        let more = Arc::new(Notify::new());
        let watch = channel.watch(Arc::<Notify>::clone(&more));
        let visible = channel.visible();
        // One of an earlier epoch may lie beyond what a crash has left.
        if after > visible && after.epoch >= channel.epoch() {
            return Err(ReadError::AheadOfChannel {
                cursor: after,
                channel: channel.name().to_string(),
                visible,
            });
        }
        Ok(Subscription {
            hub: self.clone(),
            channel: Arc::clone(channel),
            topics,
            cursor: after,
            ready: VecDeque::new(),
            next: after,
            end: None,
            more,
            waiting: None,
            _watch: watch,
        })
    }

    /// A page of kept messages after `after`, up to and with `up_to`.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn stored_page(
        &self,
        channel: &Channel,
        topics: &TopicFilter,
        after: Cursor,
        up_to: Cursor,
    ) -> BoxFuture<'static, Result<Vec<stepcast_protocol::Message>, StoreError>> {
        self.0.store.messages(MessageQuery {
            channel: channel.name().clone(),
            after,
            up_to,
            topics: topics.names(),
            limit: limits::PAGE_ROWS,
        })
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

    fn take_ready(&mut self) -> Option<Arc<Posted>> {
        let posted = self.ready.pop_front()?;
        self.cursor = if self.ready.is_empty() {
            self.next
        } else {
            posted.message().cursor
        };
        Some(posted)
    }

    fn is_past_end(&self, cursor: Cursor) -> bool {
        self.end.is_some_and(|end| cursor > end)
    }

    /// Takes over what the tail holds, or says what to wait for.
    fn advance(&mut self) -> Option<BoxFuture<'static, Step>> {
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
                self.next = next;
                self.ready.extend(
                    messages
                        .into_iter()
                        .filter(|posted| self.topics.allows(&posted.message().topic)),
                );
                if self.ready.is_empty() {
                    self.cursor = next;
                }
                None
            }
            Slice::Stored { up_to } => {
                let page = self
                    .hub
                    .stored_page(&self.channel, &self.topics, self.cursor, up_to);
                Some(Box::pin(async move { Step::Page(page.await, up_to) }))
            }
        }
    }

    fn on_page(&mut self, messages: Vec<stepcast_protocol::Message>, up_to: Cursor) {
        let last = messages.last().map(|message| message.cursor);
        self.next = if messages.len() < limits::PAGE_ROWS {
            up_to
        } else {
            last.unwrap_or(up_to)
        };
        self.ready.extend(
            messages
                .into_iter()
                .map(|message| Arc::new(Posted::new(Arc::new(message)))),
        );
        if self.ready.is_empty() {
            self.cursor = self.next;
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Arc<Posted>, ReadError>;

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
                    Step::Page(Ok(messages), up_to) => this.on_page(messages, up_to),
                    Step::Page(Err(error), _) => return Poll::Ready(Some(Err(error.into()))),
                }
            }
            if let Some(first) = this.ready.front() {
                if this.is_past_end(first.message().cursor) {
                    return Poll::Ready(None);
                }
                return Poll::Ready(this.take_ready().map(Ok));
            }
            if this.end.is_some_and(|end| this.cursor >= end) {
                return Poll::Ready(None);
            }
            this.waiting = this.advance();
            if this.end.is_some_and(|end| this.cursor >= end) && this.ready.is_empty() {
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

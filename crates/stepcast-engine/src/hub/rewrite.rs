//! Changes of what is kept. The store makes them; the channel in memory follows when they are committed, so that a fold never says what a
//! restart would not.
//!
//! Who reads a topic in pages to build its fold must see it before such a change or after it: so changes are counted, and a fold that was read
//! across one is read again.

use std::sync::Arc;

use stepcast_protocol::{ChannelName, Cursor, Message, Offset, TopicName};
use tokio::sync::oneshot;

use super::{
    Hub,
    channel::{Channel, State},
    retention::RetentionError,
};
use crate::store::{Batch, CommitError, Expect, Write};

/// One change of a topic.
#[derive(Debug, Clone)]
pub(super) enum Rewrite {
    /// It is over its bounds: what is up to and with a cursor goes from the store. Memory has bounds of its own.
    Trim(Cursor),
    /// What lies before this message goes from the store: the topic needs no more. Only once the store has the message itself, which was
    /// believed before it was written.
    TrimBefore(Cursor),
    /// What is up to and with a cursor is too old for anybody.
    Expire(Cursor),
    /// What a run has said on a `text` topic, up to this message, becomes this message.
    Join(Arc<Message>),
}

/// How many changes of a channel have begun and ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rewrites {
    begun: u64,
    ended: u64,
}

impl Rewrites {
    /// How many there were, while none is under way.
    pub(super) fn at_rest(self) -> Option<u64> {
        (self.begun == self.ended).then_some(self.ended)
    }

    /// What was read before does not count.
    pub(super) fn jump(&mut self) {
        self.begun += 1;
        self.ended += 1;
    }
}

impl Hub {
    /// Changes what is kept of a topic.
    pub(super) async fn rewrite(
        &self,
        name: &ChannelName,
        topic: &TopicName,
        rewrite: Rewrite,
    ) -> Result<(), RetentionError> {
        // A fold may be about to be read, so that the channel has to know. Another one that is loaded meanwhile has nothing in memory yet.
        let channel = if self.0.catalog.keep(name, topic).folds() {
            Some(self.channel(name).await?)
        } else {
            self.find(name)
        };
        let batch = rewrite.to_batch(name, topic);
        if let Some(channel) = &channel {
            channel.state().rewrites.begun += 1;
        }
        let (done, fate) = oneshot::channel();
        let topic = topic.clone();
        let completion = move |result: Result<_, CommitError>| {
            if let Some(channel) = channel {
                channel.on_rewritten(&topic, &rewrite, result.is_ok());
            }
            // Nobody may be waiting any more.
            drop(done.send(result));
        };
        self.0.store.submit(batch, Box::new(completion));
        match fate.await.unwrap_or(Err(CommitError::Closed)) {
            // What it stood on is not there: the topic is looked at again when it has grown.
            Ok(_) | Err(CommitError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Channel {
    fn on_rewritten(&self, topic: &TopicName, rewrite: &Rewrite, written: bool) {
        let mut state = self.state();
        state.rewrites.ended += 1;
        if written {
            state.rewrite(topic, rewrite);
        }
        drop(state);
        self.rewritten.notify_waiters();
    }
}

impl State {
    fn rewrite(&mut self, topic: &TopicName, rewrite: &Rewrite) {
        let fold = self
            .topics
            .get_mut(topic)
            .and_then(|topic| topic.fold.as_mut());
        match rewrite {
            Rewrite::Trim(up_to) => {
                if let Some(fold) = fold {
                    fold.trim(*up_to);
                }
            }
            // The fold has let go of it already.
            Rewrite::TrimBefore(_) => {}
            Rewrite::Expire(up_to) => {
                if let Some(fold) = fold {
                    fold.trim(*up_to);
                }
                self.log.let_go(*up_to);
            }
            Rewrite::Join(joined) => {
                if let Some(fold) = fold {
                    fold.join(joined);
                }
                self.log.let_go(joined.cursor);
            }
        }
    }
}

impl Rewrite {
    fn to_batch(&self, channel: &ChannelName, topic: &TopicName) -> Batch {
        let trim = |up_to| Write::Trim(channel.clone(), topic.clone(), up_to);
        match self {
            Self::Trim(up_to) | Self::Expire(up_to) => Batch::of(vec![trim(*up_to)]),
            Self::TrimBefore(needed) => Batch {
                expect: vec![Expect::MessageIsKept(channel.clone(), *needed)],
                ..Batch::of(vec![trim(before(*needed))])
            },
            Self::Join(joined) => {
                Batch::of(vec![Write::FoldText(channel.clone(), Arc::clone(joined))])
            }
        }
    }
}

fn before(cursor: Cursor) -> Cursor {
    Cursor {
        offset: Offset(cursor.offset.0.saturating_sub(1)),
        ..cursor
    }
}

#[cfg(test)]
mod tests;

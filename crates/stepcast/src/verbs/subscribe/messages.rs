//! A channel as messages and nothing else, for those who do not mend what they have shown.

use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use stepcast_protocol::{Cursor, ErrorCode, Keep, RunId, StepId, TopicName};

use super::{Message, Rollback, Snapshot, Subscription, Update};
use crate::{channel::Channel, error::Error};

/// Who published on which topic.
type Author = (TopicName, Option<RunId>, Option<StepId>, Option<u32>);

/// The messages of a [`Subscription`]: a `Stream` of `Result<Message<C>, Error>`.
///
/// A snapshot at the beginning comes as the messages it stands for, a later one as what is new in it. Where something that was given has become void, or something is
/// missing, it ends with the error `rolled_back` or `gap`: read the [`Subscription`] itself to be told of these and go on.
#[derive(Debug)]
pub struct Messages<C> {
    updates: Subscription<C>,
    ready: VecDeque<Message<C>>,
    /// Per author, the last message that was given.
    given: BTreeMap<Author, Cursor>,
    is_over: bool,
}

/// Nothing of it is pinned.
impl<C> Unpin for Messages<C> {}

impl<C: Channel> Messages<C> {
    pub(super) fn new(updates: Subscription<C>) -> Self {
        Self {
            updates,
            ready: VecDeque::new(),
            given: BTreeMap::new(),
            is_over: false,
        }
    }

    /// The next message; nothing at the end.
    ///
    /// # Errors
    /// Those of [`Subscription::try_next`], and `gap` and `rolled_back`, after which there is nothing more.
    pub async fn try_next(&mut self) -> Result<Option<Message<C>>, Error> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context))
            .await
            .transpose()
    }

    fn give(&mut self, message: Message<C>) -> Message<C> {
        self.given.insert(author(&message), message.cursor);
        message
    }

    /// What the first snapshot of a topic stands for is given. A later one, for a reader that was slow or away, has to say what was given
    /// already and can be left out, or something newer that takes its place.
    fn on_snapshot(&mut self, snapshot: Snapshot<C>) -> Result<(), Error> {
        let Snapshot { topic, pieces, .. } = snapshot;
        let given = self.given.iter().filter(|((of, ..), _)| *of == topic);
        let (count, last) = given.fold((0, None), |(count, last), (_, cursor)| {
            (count + 1, last.max(Some(*cursor)))
        });
        if count == 0 {
            self.ready.extend(pieces);
            return Ok(());
        }
        let newest = pieces.iter().map(|piece| piece.cursor).max();
        let is_given = |piece: &Message<C>| self.given.get(&author(piece)) == Some(&piece.cursor);
        let topics = &C::spec().topics;
        let keep = topics.iter().find(|spec| spec.name == topic);
        match keep.map(|spec| &spec.keep) {
            Some(Keep::Latest) if newest >= last => {
                let newer = pieces.into_iter().filter(|piece| Some(piece.cursor) > last);
                self.ready.extend(newer);
                Ok(())
            }
            Some(_) if pieces.len() == count && pieces.iter().all(is_given) => Ok(()),
            Some(_) | None => Err(fell_behind(&topic)),
        }
    }

    /// What was never given need not be taken back.
    fn on_rollback(&mut self, rollback: Rollback<C>) -> Result<(), Error> {
        let Rollback {
            topic,
            after,
            run,
            step,
            attempt,
            ..
        } = rollback;
        let author = (topic, run, step, attempt);
        match self.given.get(&author) {
            Some(given) if *given > after => Err(rolled_back(&author)),
            Some(_) | None => Ok(()),
        }
    }
}

fn author<C>(message: &Message<C>) -> Author {
    let Message {
        topic,
        run,
        step,
        attempt,
        ..
    } = message;
    (topic.clone(), *run, step.clone(), *attempt)
}

fn fell_behind(topic: &TopicName) -> Error {
    let text = format!(
        "this reader has fallen behind on topic `{topic}`, which is given as a snapshot now; read the subscription's updates instead of its messages"
    );
    Error::coded(ErrorCode::Gap, text)
}

fn rolled_back((topic, _, step, attempt): &Author) -> Error {
    let who = step.as_ref().map_or_else(
        || "the function".to_owned(),
        |step| format!("step `{step}`"),
    );
    let text = format!(
        "attempt {} of {who} failed, and messages it had published on topic `{topic}` are void; read the subscription's updates instead of its messages",
        attempt.unwrap_or_default()
    );
    Error::coded(ErrorCode::RolledBack, text)
}

impl<C: Channel> Stream for Messages<C> {
    type Item = Result<Message<C>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(message) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(this.give(message))));
            }
            if this.is_over {
                return Poll::Ready(None);
            }
            let update = match Pin::new(&mut this.updates).poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(update))) => update,
            };
            let outcome = match update {
                Update::Message(message) => {
                    this.ready.push_back(message);
                    Ok(())
                }
                Update::Snapshot(snapshot) => this.on_snapshot(snapshot),
                Update::Rollback(rollback) => this.on_rollback(rollback),
                Update::Gap(gap) => {
                    let text = format!(
                        "messages on topic `{}` after {} are gone ({}); read the subscription's updates instead of its messages",
                        gap.topic,
                        gap.keep_to,
                        gap.reason.as_str()
                    );
                    Err(Error::coded(ErrorCode::Gap, text))
                }
                Update::Run(_) => Ok(()),
            };
            if let Err(error) = outcome {
                this.is_over = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

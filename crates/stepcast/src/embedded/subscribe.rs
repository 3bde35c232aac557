//! Reading a channel in this process.

use std::{
    fmt,
    future::{Future, poll_fn},
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use stepcast_engine::{
    Engine,
    hub::{self, TopicFilter},
};
use stepcast_protocol::{ChannelName, Cursor, RunId, RunView, StepId, Timestamp, TopicName};

use super::{
    Run,
    token::{all, chosen},
};
use crate::{
    channel::{Channel, ChannelAt},
    channels::{Channels, name_of},
    error::Error,
};

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Position {
    /// At the first message that is kept.
    #[default]
    Start,
    /// At what comes next.
    Now,
    /// After this message.
    After(Cursor),
}

/// One message of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<C> {
    /// Topic and payload.
    pub data: C,
    /// The topic's name.
    pub topic: TopicName,
    /// Its place in the channel.
    pub cursor: Cursor,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The run that published it, if one did.
    pub run: Option<RunId>,
    /// The step that published it; nothing for a function's body.
    pub step: Option<StepId>,
    /// Which attempt published it, from 1.
    pub attempt: Option<u32>,
}

/// What a reader is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Update<C> {
    /// A message.
    Message(Message<C>),
    /// The run it was to follow has ended; all its messages came before. The last update.
    Run(Box<RunView>),
}

/// A reader of one channel: a `Stream` of `Result<Update<C>, Error>`.
///
/// Without [`until_run_ends`](Self::until_run_ends) it never ends by itself. A payload that does not decode is one `Err`; the stream goes on.
pub struct Subscription<C> {
    engine: Engine,
    /// Taken when it is opened.
    channel: Option<Result<ChannelName, Error>>,
    topics: TopicFilter,
    position: Position,
    until: Option<Run>,
    state: State,
    payload: PhantomData<fn() -> C>,
}

type Opening = Pin<Box<dyn Future<Output = Result<hub::Subscription, Error>> + Send>>;
type Ending = Pin<Box<dyn Future<Output = Result<RunView, Error>> + Send>>;

enum State {
    New,
    Opening(Opening),
    Open {
        reader: Box<hub::Subscription>,
        ending: Option<Ending>,
        ended: Option<Box<RunView>>,
    },
    Done,
}

impl<C: Channel> Subscription<C> {
    pub(super) fn new(engine: Engine, channels: &Channels, channel: &ChannelAt<C>) -> Self {
        let channel = channels
            .declare::<C>()
            .and_then(|_| name_of(channel).cloned());
        Self {
            engine,
            channel: Some(channel),
            topics: TopicFilter::Only(all(C::spec()).into()),
            position: Position::Start,
            until: None,
            state: State::New,
            payload: PhantomData,
        }
    }

    /// Begins somewhere else than at the start.
    #[must_use]
    pub fn from(self, position: Position) -> Self {
        Self { position, ..self }
    }

    /// Reads only these topics.
    #[must_use]
    pub fn topics<T: AsRef<str>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        match chosen(&all(C::spec()), topics) {
            Ok(topics) => self.topics = TopicFilter::Only(topics.into()),
            Err(error) => self.channel = self.channel.map(|channel| channel.and(Err(error))),
        }
        self
    }

    /// Ends after the last message that was published before the run ended, with [`Update::Run`].
    #[must_use]
    pub fn until_run_ends(self, run: Run) -> Self {
        Self {
            until: Some(run),
            ..self
        }
    }

    /// Only the messages: a `Stream` of `Result<Message<C>, Error>`.
    #[must_use]
    pub fn messages(self) -> Messages<C> {
        Messages(self)
    }

    /// The next update; nothing at the end.
    ///
    /// # Errors
    /// `bad_channel`, `bad_topic` and `bad_cursor` from the beginning, and a payload that does not decode.
    pub async fn try_next(&mut self) -> Result<Option<Update<C>>, Error> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context))
            .await
            .transpose()
    }

    fn open(&mut self) -> Result<Opening, Error> {
        let name = self
            .channel
            .take()
            .expect("a subscription is opened once")?;
        let (engine, topics, position) = (self.engine.clone(), self.topics.clone(), self.position);
        Ok(Box::pin(async move {
            let hub = engine.hub();
            let channel = hub
                .channel(&name)
                .await
                .map_err(|error| Error::coded(error.code(), error))?;
            let after = match position {
                Position::Start => Cursor::START,
                Position::Now => channel.visible(),
                Position::After(cursor) => cursor,
            };
            hub.subscribe(&channel, topics, after)
                .map_err(|error| Error::coded(error.code(), error))
        }))
    }

    fn ending(&mut self) -> Option<Ending> {
        let run = self.until.take()?;
        Some(Box::pin(async move { run.end().await }))
    }
}

fn decode<C: Channel>(posted: &hub::Posted) -> Result<Message<C>, Error> {
    let message = posted.message();
    let data = C::decode(&message.topic, &message.payload)
        .map_err(|error| Error::coded(error.code(), error))?;
    let origin = message.origin.as_deref();
    Ok(Message {
        data,
        topic: message.topic.clone(),
        cursor: message.cursor,
        created_at: message.created_at,
        run: origin.map(|origin| origin.run),
        step: origin.and_then(|origin| origin.step.clone()),
        attempt: origin.map(|origin| origin.attempt),
    })
}

impl<C: Channel> Stream for Subscription<C> {
    type Item = Result<Update<C>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::New => match this.open() {
                    Ok(opening) => this.state = State::Opening(opening),
                    Err(error) => {
                        this.state = State::Done;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                State::Opening(opening) => {
                    let Poll::Ready(opened) = opening.as_mut().poll(context) else {
                        return Poll::Pending;
                    };
                    match opened {
                        Ok(reader) => {
                            let ending = this.ending();
                            this.state = State::Open {
                                reader: Box::new(reader),
                                ending,
                                ended: None,
                            };
                        }
                        Err(error) => {
                            this.state = State::Done;
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                }
                State::Open {
                    reader,
                    ending,
                    ended,
                } => {
                    if let Some(end) = ending
                        && let Poll::Ready(end) = end.as_mut().poll(context)
                    {
                        *ending = None;
                        match end {
                            Ok(view) => {
                                // Whatever the run published has a number by now.
                                let last = reader.channel().head();
                                reader.end_at(last);
                                *ended = Some(Box::new(view));
                            }
                            Err(error) => {
                                this.state = State::Done;
                                return Poll::Ready(Some(Err(error)));
                            }
                        }
                        continue;
                    }
                    return match Pin::new(&mut **reader).poll_next(context) {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready(Some(Ok(posted))) => {
                            Poll::Ready(Some(decode(&posted).map(Update::Message)))
                        }
                        Poll::Ready(Some(Err(error))) => {
                            let error = Error::coded(error.code(), error);
                            this.state = State::Done;
                            Poll::Ready(Some(Err(error)))
                        }
                        Poll::Ready(None) => {
                            let last = ended.take().map(|view| Ok(Update::Run(view)));
                            this.state = State::Done;
                            Poll::Ready(last)
                        }
                    };
                }
                State::Done => return Poll::Ready(None),
            }
        }
    }
}

impl<C> fmt::Debug for Subscription<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// The messages of a [`Subscription`]: a `Stream` of `Result<Message<C>, Error>`.
#[derive(Debug)]
pub struct Messages<C>(Subscription<C>);

impl<C: Channel> Messages<C> {
    /// The next message; nothing at the end.
    ///
    /// # Errors
    /// Those of [`Subscription::try_next`].
    pub async fn try_next(&mut self) -> Result<Option<Message<C>>, Error> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context))
            .await
            .transpose()
    }
}

impl<C: Channel> Stream for Messages<C> {
    type Item = Result<Message<C>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return match Pin::new(&mut self.0).poll_next(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(Update::Message(message)))) => Poll::Ready(Some(Ok(message))),
                Poll::Ready(Some(Ok(Update::Run(_)))) => continue,
            };
        }
    }
}

//! Reading a channel in this process.

mod messages;
mod update;

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
use stepcast_protocol::{ChannelName, RunView};

pub use stepcast_engine::hub::Position;

pub use self::{
    messages::Messages,
    update::{Gap, Message, Rollback, Snapshot, Update},
};
use super::{
    Run,
    token::{all, chosen},
};
use crate::{
    channel::{Channel, ChannelAt},
    channels::Channels,
    error::Error,
};

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

impl State {
    fn open(reader: hub::Subscription) -> Self {
        Self::Open {
            reader: Box::new(reader),
            ending: None,
            ended: None,
        }
    }
}

impl<C: Channel> Subscription<C> {
    pub(super) fn new(engine: Engine, channels: &Channels, channel: &ChannelAt<C>) -> Self {
        let channel = channels
            .declare::<C>()
            .and_then(|_| channel.name().cloned());
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

    /// Begins to read now rather than at the first poll, so that what is published from here on comes as it is published, not as part of
    /// a snapshot.
    ///
    /// # Errors
    /// `bad_channel`, `bad_topic` and `bad_cursor`.
    pub async fn opened(mut self) -> Result<Self, Error> {
        if let State::New = self.state {
            self.state = State::open(self.open()?.await?);
        }
        Ok(self)
    }

    /// Only the messages: a `Stream` of `Result<Message<C>, Error>`.
    #[must_use]
    pub fn messages(self) -> Messages<C> {
        Messages::new(self)
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
            hub.subscribe(&channel, topics, position)
                .await
                .map_err(|error| Error::coded(error.code(), error))
        }))
    }
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
                        Ok(reader) => this.state = State::open(reader),
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
                    if let Some(run) = this.until.take() {
                        *ending = Some(Box::pin(async move { run.end().await }));
                    }
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
                        Poll::Ready(Some(Ok(item))) => Poll::Ready(Some(Update::decode(item))),
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

//! Reading a channel.

mod messages;
mod update;

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use serde_json::value::RawValue;
use stepcast_protocol::{Beginning, ChannelName, RunView, TopicName};

use self::update::Decode;
pub(crate) use self::update::Item;
pub use self::{
    messages::Messages,
    update::{Gap, Message, Rollback, Snapshot, Update},
};
use super::{
    Answer, Reader, Reading, Run,
    topics::{all, chosen},
};
use crate::{
    channel::{Channel, untyped},
    error::Error,
};

/// A reader of one channel: a `Stream` of `Result<Update<C>, Error>`.
///
/// Without [`until_run_ends`](Self::until_run_ends) it never ends by itself. A payload that does not decode is one `Err`; the stream goes on.
pub struct Subscription<C> {
    /// Both are taken when it is opened.
    reading: Option<Result<Reading, Error>>,
    opener: Option<Opener>,
    until: Option<Run>,
    state: State,
    payload: Decode<C>,
}

type Opener = Box<dyn FnOnce(Reading) -> Answer<Box<dyn Reader>> + Send>;

enum State {
    New,
    Opening(Answer<Box<dyn Reader>>),
    Open {
        reader: Box<dyn Reader>,
        ending: Option<Answer<RunView>>,
        ended: Option<Box<RunView>>,
    },
    Done,
}

impl State {
    fn open(reader: Box<dyn Reader>) -> Self {
        Self::Open {
            reader,
            ending: None,
            ended: None,
        }
    }
}

impl<C: Channel> Subscription<C> {
    /// Reads all topics, from where the opener is told to begin.
    pub(crate) fn new(
        channel: Result<ChannelName, Error>,
        from: Option<Beginning>,
        opener: impl FnOnce(Reading) -> Answer<Box<dyn Reader>> + Send + 'static,
    ) -> Self {
        let named = channel.map(|channel| (channel, all(C::spec())));
        Self::of(named, from, Box::new(opener), C::decode)
    }

    /// Reads only these topics.
    #[must_use]
    pub fn topics<T: AsRef<str>>(self, topics: impl IntoIterator<Item = T>) -> Self {
        self.with(|reading| {
            let topics = chosen(&all(C::spec()), topics)?;
            Ok(Reading { topics, ..reading })
        })
    }

    /// Only the messages: a `Stream` of `Result<Message<C>, Error>`.
    #[must_use]
    pub fn messages(self) -> Messages<C> {
        Messages::new(self)
    }
}

impl Subscription<Box<RawValue>> {
    /// Reads these topics of a channel without a type.
    pub(crate) fn untyped(
        named: Result<(ChannelName, Vec<TopicName>), Error>,
        from: Option<Beginning>,
        opener: impl FnOnce(Reading) -> Answer<Box<dyn Reader>> + Send + 'static,
    ) -> Self {
        Self::of(named, from, Box::new(opener), untyped::decode)
    }
}

impl<C> Subscription<C> {
    fn of(
        named: Result<(ChannelName, Vec<TopicName>), Error>,
        from: Option<Beginning>,
        opener: Opener,
        payload: Decode<C>,
    ) -> Self {
        let reading = named.map(|(channel, topics)| Reading {
            channel,
            topics,
            from,
        });
        Self {
            reading: Some(reading),
            opener: Some(opener),
            until: None,
            state: State::New,
            payload,
        }
    }

    /// Begins somewhere else than by default.
    #[must_use]
    pub fn from(self, position: Beginning) -> Self {
        self.with(|reading| {
            Ok(Reading {
                from: Some(position),
                ..reading
            })
        })
    }

    fn with(mut self, change: impl FnOnce(Reading) -> Result<Reading, Error>) -> Self {
        self.reading = self.reading.map(|reading| reading.and_then(change));
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

    /// The next update; nothing at the end.
    ///
    /// # Errors
    /// `bad_channel`, `bad_topic` and `bad_cursor` from the beginning, and a payload that does not decode.
    pub async fn try_next(&mut self) -> Result<Option<Update<C>>, Error> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context))
            .await
            .transpose()
    }

    fn open(&mut self) -> Result<Answer<Box<dyn Reader>>, Error> {
        let (reading, opener) = (self.reading.take(), self.opener.take());
        let once = "a subscription is opened once";
        let reading = reading.expect(once)?;
        Ok(opener.expect(once)(reading))
    }
}

impl<C> Stream for Subscription<C> {
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
                                reader.end();
                                *ended = Some(Box::new(view));
                            }
                            Err(error) => {
                                this.state = State::Done;
                                return Poll::Ready(Some(Err(error)));
                            }
                        }
                        continue;
                    }
                    return match Pin::new(reader).poll_next(context) {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready(Some(Ok(item))) => {
                            Poll::Ready(Some(Update::decode(item, this.payload)))
                        }
                        Poll::Ready(Some(Err(error))) => {
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
            .field("reading", &self.reading)
            .finish_non_exhaustive()
    }
}

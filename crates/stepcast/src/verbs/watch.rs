//! Watching one run: where it and its steps are.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use serde::de::DeserializeOwned;
use stepcast_protocol::{
    Beginning, ChannelName, ErrorCode, Message, RunId, RunNews, StepNews, TopicName,
    run::{RUN_TOPIC, STEP_TOPIC},
};

use super::{Answer, Backend, Item, Reader, Reading};
use crate::error::Error;

/// What somebody who watches a run is told.
#[derive(Debug, Clone)]
pub enum RunUpdate {
    /// Where the run is.
    Run(Box<RunNews>),
    /// Where one of its steps is.
    Step(Box<StepNews>),
}

/// A run as it goes on: a `Stream` of `Result<RunUpdate, Error>`.
///
/// First where the run and its steps are now, then every change, and the end of the run last. A reader that is slow may be told of a
/// later state only.
pub struct WatchRun {
    ready: VecDeque<RunUpdate>,
    state: State,
}

enum State {
    Opening(Answer<Box<dyn Reader>>),
    Open(Box<dyn Reader>),
    Done,
}

impl WatchRun {
    pub(crate) fn new(backend: Arc<dyn Backend>, run: RunId) -> Self {
        let opening = async move {
            backend.run(run).await?;
            let (channel, topics) = channel_of(run);
            let reading = Reading {
                channel,
                topics,
                from: Some(Beginning::Start),
            };
            backend.open(reading).await
        };
        Self {
            ready: VecDeque::new(),
            state: State::Opening(Box::pin(opening)),
        }
    }

    /// The next update; nothing once the run has ended.
    ///
    /// # Errors
    /// `unknown_run`, and what the store says.
    pub async fn try_next(&mut self) -> Result<Option<RunUpdate>, Error> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context))
            .await
            .transpose()
    }

    fn take_over(&mut self, item: Item) -> Result<(), Error> {
        match item {
            Item::Posted { message, .. } => self.ready.push_back(decode(&message)?),
            Item::Snapshot(snapshot) => {
                for piece in &snapshot.pieces {
                    self.ready.push_back(decode(piece)?);
                }
            }
            // What is missing is in the snapshot that follows.
            Item::Gap(_) => {}
        }
        Ok(())
    }
}

/// The channel that says where a run is, and its topics. Steps come first, as the end of the run is the last thing that is told.
pub(super) fn channel_of(run: RunId) -> (ChannelName, Vec<TopicName>) {
    let channel = ChannelName::parse(run.to_string()).expect("a run's id is a name");
    let topic = |name| TopicName::parse(name).expect("the engine's topics have names");
    (channel, vec![topic(STEP_TOPIC), topic(RUN_TOPIC)])
}

fn decode(message: &Message) -> Result<RunUpdate, Error> {
    if message.topic.as_str() == RUN_TOPIC {
        payload(message).map(RunUpdate::Run)
    } else {
        payload(message).map(RunUpdate::Step)
    }
}

fn payload<T: DeserializeOwned>(message: &Message) -> Result<T, Error> {
    serde_json::from_slice(&message.payload).map_err(|error| {
        let text = format!("a message on `{}` cannot be read: {error}", message.topic);
        Error::coded(ErrorCode::Internal, text)
    })
}

impl Stream for WatchRun {
    type Item = Result<RunUpdate, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(update) = this.ready.pop_front() {
                if let RunUpdate::Run(news) = &update
                    && news.ended_at.is_some()
                {
                    this.state = State::Done;
                    this.ready.clear();
                }
                return Poll::Ready(Some(Ok(update)));
            }
            let next = match &mut this.state {
                State::Done => return Poll::Ready(None),
                State::Opening(opening) => {
                    let Poll::Ready(opened) = opening.as_mut().poll(context) else {
                        return Poll::Pending;
                    };
                    opened.map(|reader| this.state = State::Open(reader))
                }
                State::Open(reader) => {
                    let Poll::Ready(item) = Pin::new(reader).poll_next(context) else {
                        return Poll::Pending;
                    };
                    match item {
                        None => {
                            this.state = State::Done;
                            Ok(())
                        }
                        Some(Ok(item)) => this.take_over(item),
                        Some(Err(error)) => Err(error),
                    }
                }
            };
            if let Err(error) = next {
                this.state = State::Done;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl fmt::Debug for WatchRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchRun").finish_non_exhaustive()
    }
}

//! What carries out the verbs: the engine in this process, or a server.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_core::Stream;
use stepcast_protocol::{
    Beginning, ChannelName, Cursor, EventId, RunId, RunView, TopicName, event::CheckedEvent,
};

use super::Item;
use crate::error::Error;

/// What a backend comes to.
pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// Carries out the verbs. Its answers borrow nothing, so that they can be kept in handles.
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// Takes an event.
    fn send(&self, event: CheckedEvent) -> Answer<Accepted>;

    /// Takes a message, and says where it is.
    fn publish(&self, publication: Publication) -> Answer<Cursor>;

    /// Begins to read.
    fn open(&self, reading: Reading) -> Answer<Box<dyn Reader>>;

    /// Signs a token.
    fn mint(&self, grant: Grant) -> Answer<String>;

    /// Looks at a run; `unknown_run` when there is none.
    fn run(&self, run: RunId) -> Answer<RunView>;

    /// Waits for the end of a run.
    fn end_of(&self, run: RunId) -> Answer<RunView>;

    /// Ends a run.
    fn cancel(&self, run: RunId) -> Answer<()>;

    /// Starts a run's function again by the same event, and says which run that is.
    fn rerun(&self, run: RunId) -> Answer<RunId>;

    /// Lists runs, newest first.
    fn runs(&self, page: RunsPage) -> Answer<Vec<RunView>>;

    /// The topics that are known of a channel, in the order of their names.
    fn topics(&self, channel: ChannelName) -> Answer<Vec<TopicName>>;
}

/// Reads topics of a channel, without an end unless it is given one. An error is the last it gives.
pub(crate) trait Reader: Stream<Item = Result<Item, Error>> + Send + Unpin {
    /// Ends it after everything that has been published by now.
    fn end(&mut self);
}

/// What is to be read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) channel: ChannelName,
    pub(crate) topics: Vec<TopicName>,
    /// Where to begin; where its token was minted, when nothing is said.
    pub(crate) from: Option<Beginning>,
}

/// Which runs are to be listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunsPage {
    /// Only older ones.
    pub(crate) before: Option<RunId>,
    /// How many at most.
    pub(crate) limit: usize,
}

/// An event that was taken.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) event: EventId,
    pub(crate) runs: Vec<RunId>,
}

/// A message on its way in.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) channel: ChannelName,
    pub(crate) topic: TopicName,
    pub(crate) payload: Bytes,
    pub(crate) durable: bool,
    pub(crate) key: Option<String>,
}

/// What a token is to allow.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) channel: ChannelName,
    pub(crate) topics: Vec<TopicName>,
    pub(crate) history: bool,
    pub(crate) lifetime: Duration,
    /// How long a connection may go on with it; the server's default, when nothing is said.
    pub(crate) session: Option<Duration>,
}

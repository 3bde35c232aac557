//! The verbs, carried out by the engine in this process.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use stepcast_engine::{
    Engine, EngineError,
    hub::{self, TopicFilter},
};
use stepcast_http::{Gateway, History, Invitation};
use stepcast_protocol::{
    Beginning, ChannelName, Cursor, RunId, RunView, TopicName, event::CheckedEvent,
};

use crate::{
    error::Error,
    verbs::{Accepted, Answer, Backend, Grant, Item, Publication, Reader, Reading, RunsPage},
};

/// Engine and gateway.
#[derive(Debug)]
pub(super) struct Local {
    engine: Engine,
    gateway: Gateway,
}

impl Local {
    pub(super) fn new(engine: Engine, gateway: Gateway) -> Self {
        Self { engine, gateway }
    }
}

impl Backend for Local {
    fn send(&self, event: CheckedEvent) -> Answer<Accepted> {
        let engine = self.engine.clone();
        Box::pin(async move {
            let accepted = engine.send(vec![event], None).await;
            let accepted = accepted.map_err(Error::engine)?.into_iter().next();
            let accepted = accepted.expect("one event was sent, so one is accepted");
            Ok(Accepted {
                event: accepted.event,
                runs: accepted.runs,
            })
        })
    }

    fn publish(&self, publication: Publication) -> Answer<Cursor> {
        let engine = self.engine.clone();
        let Publication {
            channel,
            topic,
            payload,
            durable,
            key,
        } = publication;
        let publication = stepcast_engine::Publication {
            channel,
            topic,
            payload,
            run: None,
            durable,
            key,
        };
        Box::pin(async move { engine.publish(publication).await.map_err(Error::engine) })
    }

    fn open(&self, reading: Reading) -> Answer<Box<dyn Reader>> {
        let engine = self.engine.clone();
        let Reading {
            channel,
            topics,
            from,
        } = reading;
        Box::pin(async move {
            let hub = engine.hub();
            let opened = async {
                let channel = hub.channel(&channel).await?;
                let topics = TopicFilter::Only(topics.into());
                hub.subscribe(&channel, topics, from.unwrap_or(Beginning::Start))
                    .await
            };
            let reader = opened.await.map_err(read_error)?;
            Ok(Box::new(LocalReader(reader)) as Box<dyn Reader>)
        })
    }

    fn mint(&self, grant: Grant) -> Answer<String> {
        let gateway = self.gateway.clone();
        let Grant {
            channel,
            topics,
            history,
            lifetime,
            session,
        } = grant;
        let invitation = Invitation {
            channel,
            topics,
            history: if history {
                History::Allowed
            } else {
                History::Refused
            },
            lifetime,
            session,
        };
        Box::pin(async move {
            let minted = gateway.invite(invitation).await;
            minted.map_err(|error| Error::coded(error.code(), error))
        })
    }

    fn run(&self, run: RunId) -> Answer<RunView> {
        let engine = self.engine.clone();
        Box::pin(async move {
            let view = engine.run(run).await.map_err(Error::engine)?;
            view.ok_or_else(|| Error::engine(EngineError::UnknownRun(run)))
        })
    }

    fn end_of(&self, run: RunId) -> Answer<RunView> {
        let engine = self.engine.clone();
        Box::pin(async move { engine.end_of(run).await.map_err(Error::engine) })
    }

    fn cancel(&self, run: RunId) -> Answer<()> {
        let engine = self.engine.clone();
        Box::pin(async move { engine.cancel(run).await.map_err(Error::engine) })
    }

    fn rerun(&self, run: RunId) -> Answer<RunId> {
        let engine = self.engine.clone();
        Box::pin(async move { engine.rerun(run).await.map_err(Error::engine) })
    }

    fn runs(&self, page: RunsPage) -> Answer<Vec<RunView>> {
        let engine = self.engine.clone();
        let RunsPage { before, limit } = page;
        Box::pin(async move { engine.runs(before, limit).await.map_err(Error::engine) })
    }

    fn topics(&self, channel: ChannelName) -> Answer<Vec<TopicName>> {
        let engine = self.engine.clone();
        Box::pin(async move {
            let view = engine.channel(&channel).await.map_err(Error::engine)?;
            Ok(view.topics.into_iter().map(|topic| topic.topic).collect())
        })
    }
}

/// Reads what the hub has.
struct LocalReader(hub::Subscription);

impl Reader for LocalReader {
    fn end(&mut self) {
        let last = self.0.channel().head();
        self.0.end_at(last);
    }
}

impl Stream for LocalReader {
    type Item = Result<Item, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.0).poll_next(context));
        Poll::Ready(item.map(|item| item.map(Item::from).map_err(read_error)))
    }
}

impl From<hub::Item> for Item {
    fn from(item: hub::Item) -> Self {
        match item {
            hub::Item::Posted(posted) => Self::Posted {
                message: std::sync::Arc::clone(posted.message()),
                fold: posted.fold().cloned(),
            },
            hub::Item::Gap(gap) => Self::Gap(gap),
            hub::Item::Snapshot(snapshot) => Self::Snapshot(snapshot),
        }
    }
}

fn read_error(error: hub::ReadError) -> Error {
    Error::coded(error.code(), error)
}

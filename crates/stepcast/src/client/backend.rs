//! The verbs, carried out by a server.

use std::sync::Arc;

use hyper::header::HeaderName;
use serde::Deserialize;
use serde_json::value::RawValue;
use stepcast_protocol::{
    ChannelName, Cursor, ErrorCode, EventId, EventInput, RunId, RunView, TopicName,
    event::CheckedEvent, frame, limits, paths,
};

use super::{
    backoff::Backoff,
    reader::{RemoteReader, is_passing},
    remote::{Ask, Envelope, Remote},
    server::with_query,
    tokens::{Tokens, mint},
};
use crate::{
    error::Error,
    verbs::{Accepted, Answer, Backend, Grant, Publication, Reader, Reading, RunsPage, WatchRun},
};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The answer to events.
#[derive(Deserialize)]
struct Sent {
    ids: Vec<EventId>,
    #[serde(default)]
    runs: Vec<Vec<RunId>>,
}

/// The answer to a message.
#[derive(Deserialize)]
struct Published {
    ids: Vec<Cursor>,
}

/// The answer to a run that is run again.
#[derive(Deserialize)]
struct Started {
    run_id: RunId,
}

/// What is known of a channel.
#[derive(Deserialize)]
struct ShownChannel {
    topics: Vec<ShownTopic>,
}

#[derive(Deserialize)]
struct ShownTopic {
    topic: TopicName,
}

impl Backend for Remote {
    fn send(&self, event: CheckedEvent) -> Answer<Accepted> {
        let remote = self.clone();
        Box::pin(async move {
            let url = remote.server.url(paths::EVENTS, &[&remote.event_key]);
            let data = String::from_utf8(event.data.into())?;
            let input = EventInput {
                name: event.name.to_string(),
                data: Some(RawValue::from_string(data)?),
                id: event.key,
                ts: event.at.map(|at| at.as_millis()),
                ..EventInput::default()
            };
            // An event key stands in the address; a signing key would say nothing here.
            let ask = Ask::post(url, serde_json::to_vec(&input)?);
            let sent: Sent = remote.ask_plainly(ask).await?;
            let event = sent.ids.into_iter().next();
            let runs = sent.runs.into_iter().next().unwrap_or_default();
            event
                .map(|event| Accepted { event, runs })
                .ok_or_else(|| nothing("event"))
        })
    }

    fn publish(&self, publication: Publication) -> Answer<Cursor> {
        let remote = self.clone();
        Box::pin(async move {
            let Publication {
                channel,
                topic,
                payload,
                durable,
                key,
            } = publication;
            if payload.len() > limits::MESSAGE_BYTES {
                let text = format!(
                    "payload on topic `{topic}` has {} bytes, at most {} are allowed",
                    payload.len(),
                    limits::MESSAGE_BYTES
                );
                return Err(Error::coded(ErrorCode::TooLarge, text));
            }
            let durable = durable.to_string();
            let version = frame::VERSION.to_string();
            let query = [
                ("v", &*version),
                ("channel", channel.as_str()),
                ("topic", topic.as_str()),
                ("durable", &durable),
            ];
            let url = with_query(remote.server.url(paths::PUBLISH, &[]), &query);
            let ask = Ask::post(url, payload);
            let ask = match key {
                Some(key) => ask.with_header(KEY, key),
                None => ask,
            };
            let published: Published = remote.ask(ask).await?;
            let id = published.ids.into_iter().next();
            id.ok_or_else(|| nothing("message"))
        })
    }

    fn open(&self, reading: Reading) -> Answer<Box<dyn Reader>> {
        let grant = Grant {
            channel: reading.channel.clone(),
            topics: reading.topics.clone(),
            history: true,
            lifetime: limits::TOKEN_LIFETIME,
            session: None,
        };
        open(self.clone(), Tokens::minted(self.clone(), grant), reading)
    }

    fn mint(&self, grant: Grant) -> Answer<String> {
        let remote = self.clone();
        Box::pin(async move { mint(&remote, grant).await })
    }

    fn run(&self, run: RunId) -> Answer<RunView> {
        let remote = self.clone();
        Box::pin(async move {
            let url = remote.server.url(paths::RUN, &[&run.to_string()]);
            let shown: Envelope<RunView> = remote.ask(Ask::get(url)).await?;
            Ok(shown.data)
        })
    }

    /// Follows the run until it says that it has ended, whatever becomes of the server meanwhile.
    fn end_of(&self, run: RunId) -> Answer<RunView> {
        let remote = self.clone();
        Box::pin(async move {
            let mut updates = WatchRun::new(Arc::new(remote.clone()), run);
            while updates.try_next().await?.is_some() {}
            let mut backoff = Backoff::new(1);
            loop {
                match remote.run(run).await {
                    Err(error) if is_passing(&error) => tokio::time::sleep(backoff.wait()).await,
                    outcome => return outcome,
                }
            }
        })
    }

    fn cancel(&self, run: RunId) -> Answer<()> {
        let remote = self.clone();
        Box::pin(async move {
            let url = remote.server.url(paths::RUN, &[&run.to_string()]);
            remote.tell(Ask::delete(url)).await
        })
    }

    fn rerun(&self, run: RunId) -> Answer<RunId> {
        let remote = self.clone();
        Box::pin(async move {
            let url = remote.server.url(paths::RERUN, &[&run.to_string()]);
            let started: Envelope<Started> = remote.ask(Ask::post(url, "")).await?;
            Ok(started.data.run_id)
        })
    }

    fn runs(&self, page: RunsPage) -> Answer<Vec<RunView>> {
        let remote = self.clone();
        Box::pin(async move {
            let limit = page.limit.to_string();
            let before = page.before.map(|run| run.to_string());
            let mut query = vec![("limit", &*limit)];
            query.extend(before.as_deref().map(|before| ("cursor", before)));
            let url = with_query(remote.server.url(paths::RUNS, &[]), &query);
            let shown: Envelope<Vec<RunView>> = remote.ask(Ask::get(url)).await?;
            Ok(shown.data)
        })
    }

    fn topics(&self, channel: ChannelName) -> Answer<Vec<TopicName>> {
        let remote = self.clone();
        Box::pin(async move {
            let url = remote.server.url(paths::CHANNEL, &[&channel]);
            let shown: Envelope<ShownChannel> = remote.ask(Ask::get(url)).await?;
            let topics = shown.data.topics.into_iter();
            Ok(topics.map(|shown| shown.topic).collect())
        })
    }
}

/// Begins to read under somebody's tokens.
pub(super) fn open(remote: Remote, tokens: Tokens, reading: Reading) -> Answer<Box<dyn Reader>> {
    Box::pin(async move {
        let reader = RemoteReader::open(remote, tokens, reading).await?;
        Ok(Box::new(reader) as Box<dyn Reader>)
    })
}

fn nothing(what: &str) -> Error {
    let text = format!("the server has taken the {what} and not said where it is");
    Error::coded(ErrorCode::Internal, text)
}

//! Messages from outside a function.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use stepcast_protocol::{ChannelName, Cursor, Origin, RunId, TopicName, limits};

use super::Engine;
use crate::{
    error::EngineError,
    hub::{Channel, Draft, Outgoing},
    runs::StepAttempt,
    store::{Batch, CommitError, Expect, Refusal, Write},
};

/// A message from outside a function.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The channel.
    pub channel: ChannelName,
    /// The topic.
    pub topic: TopicName,
    /// One JSON text.
    pub payload: Bytes,
    /// The run it is said to belong to.
    pub run: Option<RunId>,
    /// Whether to wait for its commit. A message with a key always waits.
    pub durable: bool,
    /// A key under which it is published once within [`limits::IDEMPOTENCY_WINDOW`].
    pub key: Option<String>,
}

impl Engine {
    /// Publishes what an attempt of a step says, of a function that is served over HTTP: it is taken back when the attempt fails. Its key
    /// counts as long as the run is held, as whatever was said before and has no result is taken back with the next lease.
    ///
    /// When the run is not held, or the attempt is over, it is published as [`Self::publish`] does.
    ///
    /// # Errors
    /// Those of [`Self::publish`].
    pub async fn publish_in_step(
        &self,
        publication: Publication,
        attempt: &StepAttempt,
    ) -> Result<Cursor, EngineError> {
        if let Some(run) = publication.run {
            let (channel, draft) = self.draft(&publication).await?;
            let Publication { durable, key, .. } = &publication;
            let runs = &self.0.runs;
            let said = match key {
                None if !durable => runs.speak_in_step(run, attempt, &channel, draft).await?,
                key => {
                    let key = key.as_deref();
                    runs.speak_in_step_durably(run, attempt, &channel, draft, key)
                        .await?
                }
            };
            if let Some(cursor) = said {
                return Ok(cursor);
            }
        }
        self.publish(publication).await
    }

    /// Publishes a message from outside a function.
    ///
    /// # Errors
    /// [`EngineError`] when the payload is too large, not JSON or against its schema, when the topic is reserved or unknown, when too
    /// much waits to be written, or when it cannot be committed.
    pub async fn publish(&self, publication: Publication) -> Result<Cursor, EngineError> {
        let (channel, draft) = self.draft(&publication).await?;
        let Publication {
            run, durable, key, ..
        } = publication;
        let draft = match run {
            Some(run) if !durable && key.is_none() => {
                match self.0.runs.speak(run, &channel, draft).await? {
                    Ok(cursor) => return Ok(cursor),
                    Err(draft) => draft,
                }
            }
            Some(_) | None => draft,
        };
        let mark = match run {
            Some(run)
                if self
                    .0
                    .runs
                    .marks_from_outside(run, &channel, &draft)
                    .await? =>
            {
                Some(run)
            }
            Some(_) | None => None,
        };
        let outgoing = Outgoing {
            channel: Arc::clone(&channel),
            draft,
        };
        let hub = &self.0.hub;
        let cursor = match key {
            None if durable => {
                let mark = |batch: &mut Batch, cursors: &[Cursor]| {
                    batch.writes.extend(mark_of(mark, channel.name(), cursors));
                };
                hub.commit_one(Batch::default(), outgoing, mark).await?
            }
            None => {
                let of = channel.name().clone();
                let numbered = |batch: &mut Batch, cursor: Cursor| {
                    batch.writes.extend(mark_of(mark, &of, &[cursor]));
                };
                let (runs, of) = (self.0.runs.clone(), Arc::clone(&channel));
                let fated = move |is_written| {
                    if let Some(run) = mark.filter(|_| is_written) {
                        runs.on_marked_from_outside(run, &of);
                    }
                };
                let draft = outgoing.draft;
                let posted = hub.try_publish_with(&channel, draft, numbered, fated);
                return Ok(posted.await?);
            }
            Some(key) => match self.publish_once(outgoing, key, mark).await {
                Err(CommitError::Refused(Refusal::KeyUsed(cursor))) => return Ok(cursor),
                result => result?,
            },
        };
        if let Some(run) = mark {
            self.0.runs.on_marked_from_outside(run, &channel);
        }
        Ok(cursor)
    }

    /// The message, if it may be published.
    async fn draft(&self, publication: &Publication) -> Result<(Arc<Channel>, Draft), EngineError> {
        let Publication {
            channel,
            topic,
            payload,
            run,
            ..
        } = publication;
        if topic.is_reserved() {
            return Err(EngineError::ReservedTopic(topic.clone()));
        }
        if payload.len() > limits::MESSAGE_BYTES {
            return Err(EngineError::PayloadTooLarge {
                topic: topic.clone(),
                bytes: payload.len(),
            });
        }
        if let Err(error) = serde_json::from_slice::<&RawValue>(payload) {
            return Err(EngineError::PayloadNotJson {
                topic: topic.clone(),
                cause: error.to_string(),
            });
        }
        let keep = self.0.catalog.check(channel, topic, payload)?;
        let channel = self.0.hub.channel(channel).await?;
        let origin = run.map(|run| {
            Arc::new(Origin {
                run,
                step: None,
                attempt: 0,
            })
        });
        let draft = Draft::new(topic.clone(), keep, payload.clone(), origin);
        Ok((channel, draft))
    }

    async fn publish_once(
        &self,
        outgoing: Outgoing,
        key: String,
        mark: Option<RunId>,
    ) -> Result<Cursor, CommitError> {
        let now = self.0.clock.now();
        let channel = outgoing.channel.name().clone();
        let batch = Batch {
            expect: vec![Expect::PublishKeyIsFree(channel.clone(), key.clone(), now)],
            ..Batch::default()
        };
        let remember = move |batch: &mut Batch, cursors: &[Cursor]| {
            let until = now + limits::IDEMPOTENCY_WINDOW;
            let keys = cursors.iter().map(|cursor| Write::PublishKey {
                channel: channel.clone(),
                key: key.clone(),
                cursor: *cursor,
                until,
            });
            batch.writes.extend(keys);
            batch.writes.extend(mark_of(mark, &channel, cursors));
        };
        self.0.hub.commit_one(batch, outgoing, remember).await
    }
}

/// What the store is to know of a run that has published on a channel.
fn mark_of(run: Option<RunId>, channel: &ChannelName, cursors: &[Cursor]) -> Option<Write> {
    let (run, first) = (run?, cursors.first()?);
    Some(Write::RunChannel(run, channel.clone(), *first))
}

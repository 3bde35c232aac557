//! Messages from outside a function.

use std::{iter, sync::Arc};

use bytes::Bytes;
use serde_json::{json, value::RawValue};
use stepcast_protocol::{ChannelName, Cursor, Origin, RunId, TopicName, limits};

use super::Engine;
use crate::{
    error::EngineError,
    hub::{Channel, Draft, Keyed, Outgoing, Together},
    runs::StepAttempt,
    store::{Batch, Write},
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
    /// When the run is not held, or the step has ended, it is published as [`Self::publish`] does.
    ///
    /// # Errors
    /// [`EngineError::AttemptOver`] when the attempt has failed and the step goes on, and those of [`Self::publish`].
    pub async fn publish_in_step(
        &self,
        publication: Publication,
        attempt: &StepAttempt,
    ) -> Result<Cursor, EngineError> {
        if let Some(run) = publication.run {
            let (channel, draft) = self.draft(&publication).await?;
            let Publication { durable, key, .. } = &publication;
            let runs = &self.0.runs;
            let said = if !durable && key.is_none() {
                runs.speak_in_step(run, attempt, &channel, draft).await?
            } else {
                let one = one(draft, key.clone());
                let said = runs.speak_in_step_together(run, attempt, &channel, &one);
                said.await?.as_deref().map(only)
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
        if durable || key.is_some() {
            let published = self.commit_together(&channel, one(draft, key), run);
            return Ok(only(&published.await?));
        }
        self.publish_soon(&channel, draft, run).await
    }

    /// Whether a message fits a topic: its size, that it is JSON, its schema.
    ///
    /// # Errors
    /// Why not, as [`Self::publish`] would say it, which may have other reasons too: too little room, or a text that is too long.
    pub fn check(
        &self,
        channel: &ChannelName,
        topic: &TopicName,
        payload: &Bytes,
    ) -> Result<(), EngineError> {
        self.checked(channel, topic, payload, None).map(drop)
    }

    /// Passes text on to the readers of a channel who read `$stream`, as one message.
    ///
    /// # Errors
    /// Those of [`Self::publish`].
    pub async fn tee(&self, channel: &ChannelName, text: &str) -> Result<Cursor, EngineError> {
        let topic = TopicName::stream();
        let payload = Bytes::from(json!(text).to_string());
        check_size(&topic, &payload)?;
        let keep = self.0.catalog.keep(channel, &topic);
        let channel = self.0.hub.channel(channel).await?;
        let draft = Draft::new(topic, keep, payload, None);
        self.publish_soon(&channel, draft, None).await
    }

    /// Readers see it at once.
    async fn publish_soon(
        &self,
        channel: &Arc<Channel>,
        draft: Draft,
        run: Option<RunId>,
    ) -> Result<Cursor, EngineError> {
        let draft = match run {
            None => draft,
            Some(run) => match self.0.runs.speak(run, channel, draft).await? {
                Ok(cursor) => return Ok(cursor),
                Err(draft) => draft,
            },
        };
        let mark = self.mark(run, channel, iter::once(&draft)).await?;
        let of = channel.name().clone();
        let numbered = |batch: &mut Batch, cursor: Cursor| {
            batch.writes.extend(mark_of(mark, &of, &[cursor]));
        };
        let (runs, of) = (self.0.runs.clone(), Arc::clone(channel));
        let fated = move |is_written| {
            if let Some(run) = mark.filter(|_| is_written) {
                runs.on_marked_from_outside(run, &of);
            }
        };
        let posted = self.0.hub.try_publish_with(channel, draft, numbered, fated);
        Ok(posted.await?)
    }

    /// Readers see them after their commit.
    pub(super) async fn commit_together(
        &self,
        channel: &Arc<Channel>,
        mut messages: Together,
        run: Option<RunId>,
    ) -> Result<Vec<Cursor>, EngineError> {
        let mark = self.mark(run, channel, messages.drafts()).await?;
        let name = channel.name();
        self.0.hub.check_texts(channel, messages.unkeyed()).await?;
        loop {
            let now = self.0.clock.now();
            let batch = Batch {
                expect: messages.expects(name, now),
                ..Batch::default()
            };
            let outgoing = messages.drafts().map(|draft| Outgoing {
                channel: Arc::clone(channel),
                draft: draft.clone(),
            });
            let numbered = |batch: &mut Batch, cursors: &[Cursor]| {
                batch.writes.extend(messages.writes(name, cursors, now));
                batch.writes.extend(mark_of(mark, name, cursors));
            };
            let outgoing = outgoing.collect();
            let fate = self.0.hub.commit_all(batch, outgoing, numbered).await;
            if let (Some(run), Ok(_)) = (mark, &fate) {
                self.0.runs.on_marked_from_outside(run, channel);
            }
            if let Some(cursors) = messages.on_fate(fate)? {
                return Ok(cursors);
            }
        }
    }

    /// The run whose messages mark the channel, if they do.
    async fn mark<'a>(
        &self,
        run: Option<RunId>,
        channel: &Channel,
        drafts: impl Iterator<Item = &'a Draft>,
    ) -> Result<Option<RunId>, EngineError> {
        let Some(run) = run else {
            return Ok(None);
        };
        let marks = self.0.runs.marks_from_outside(run, channel, drafts).await?;
        Ok(marks.then_some(run))
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
        let draft = self.checked(channel, topic, payload, *run)?;
        Ok((self.0.hub.channel(channel).await?, draft))
    }

    /// A message for a topic, if it may be published.
    pub(super) fn checked(
        &self,
        channel: &ChannelName,
        topic: &TopicName,
        payload: &Bytes,
        run: Option<RunId>,
    ) -> Result<Draft, EngineError> {
        if topic.is_reserved() {
            return Err(EngineError::ReservedTopic(topic.clone()));
        }
        check_size(topic, payload)?;
        if let Err(error) = serde_json::from_slice::<&RawValue>(payload) {
            return Err(EngineError::PayloadNotJson {
                topic: topic.clone(),
                cause: error.to_string(),
            });
        }
        let keep = self.0.catalog.check(channel, topic, payload)?;
        let origin = run.map(|run| {
            Arc::new(Origin {
                run,
                step: None,
                attempt: 0,
            })
        });
        Ok(Draft::new(topic.clone(), keep, payload.clone(), origin))
    }
}

fn check_size(topic: &TopicName, payload: &Bytes) -> Result<(), EngineError> {
    if payload.len() > limits::MESSAGE_BYTES {
        return Err(EngineError::PayloadTooLarge {
            topic: topic.clone(),
            bytes: payload.len(),
        });
    }
    Ok(())
}

fn one(draft: Draft, key: Option<String>) -> Together {
    Together::new(vec![Keyed { draft, key }])
}

fn only(cursors: &[Cursor]) -> Cursor {
    *cursors
        .first()
        .expect("one message was given, so one cursor comes back")
}

/// What the store is to know of a run that has published on a channel.
fn mark_of(run: Option<RunId>, channel: &ChannelName, cursors: &[Cursor]) -> Option<Write> {
    let (run, first) = (run?, cursors.first()?);
    Some(Write::RunChannel(run, channel.clone(), *first))
}

//! What functions that are served over HTTP publish. Their messages come from outside and name a run; while it is held they are what its
//! body says: they stand with the next commit of the run, and are void when the call that said them fails. Those that name an attempt of a
//! step as well stand and fall with it.

use std::sync::Arc;

use stepcast_protocol::{Cursor, Origin, RunId, StepId, TopicName};

use super::{Runs, cell::RunCell};
use crate::{
    error::EngineError,
    hub::{Channel, Draft, Together},
    store::CommitError,
};

/// The attempt of a step in which somebody says that he publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepAttempt {
    /// The step.
    pub step: StepId,
    /// Its attempt, from 1. One that counts failures of the function as well may be ahead.
    pub attempt: u32,
}

impl Runs {
    /// Publishes what a run says, if it is held and says such things; else it is nobody's, and the draft comes back.
    pub(crate) async fn speak(
        &self,
        run: RunId,
        channel: &Arc<Channel>,
        draft: Draft,
    ) -> Result<Result<Cursor, Draft>, EngineError> {
        let Some((cell, lease)) = self.speaker(run) else {
            return Ok(Err(draft));
        };
        let origin = Origin {
            run,
            step: None,
            attempt: cell.lock().run.row.attempt,
        };
        if !cell
            .published()
            .has_room(&origin, channel.name(), &draft.topic)
        {
            return Ok(Err(draft));
        }
        let said = Draft {
            origin: Some(Arc::new(origin)),
            ..draft.clone()
        };
        self.0.hub.prepare(channel, &said.topic, &said.keep).await?;
        self.0.hub.has_room(channel)?;
        match cell.publish(self, lease, channel, said, false) {
            Ok(accepted) => Ok(Ok(accepted.published().await?)),
            // It ended meanwhile. The state of a run is no reason to lose a message.
            Err(EngineError::LeaseLost { .. } | EngineError::AttemptOver { .. }) => Ok(Err(draft)),
            Err(error) => Err(error),
        }
    }

    /// Publishes what an attempt of a step says; nothing when it is nobody's, as the run is not held or the step has ended.
    ///
    /// # Errors
    /// [`EngineError::AttemptOver`] when the attempt has failed, and those of publishing.
    pub(crate) async fn speak_in_step(
        &self,
        run: RunId,
        attempt: &StepAttempt,
        channel: &Arc<Channel>,
        draft: Draft,
    ) -> Result<Option<Cursor>, EngineError> {
        let Some((cell, lease)) = self.speaker(run) else {
            return Ok(None);
        };
        let Some(origin) = origin_in(&cell, attempt, channel, [&draft.topic])? else {
            return Ok(None);
        };
        let said = Draft {
            origin: Some(Arc::new(origin)),
            ..draft
        };
        self.0.hub.prepare(channel, &said.topic, &said.keep).await?;
        self.0.hub.has_room(channel)?;
        match cell.publish(self, lease, channel, said, false) {
            Ok(accepted) => Ok(Some(accepted.published().await?)),
            Err(error) => nobodys(error),
        }
    }

    /// Publishes what a run says in one commit, under the same conditions; nothing when it is nobody's.
    pub(crate) async fn speak_together(
        &self,
        run: RunId,
        channel: &Arc<Channel>,
        messages: &Together,
    ) -> Result<Option<Vec<Cursor>>, EngineError> {
        let Some((cell, lease)) = self.speaker(run) else {
            return Ok(None);
        };
        let origin = Origin {
            run,
            step: None,
            attempt: cell.lock().run.row.attempt,
        };
        self.say_together(&cell, lease, channel, messages, origin)
            .await
    }

    /// The same for what an attempt of a step says.
    pub(crate) async fn speak_in_step_together(
        &self,
        run: RunId,
        attempt: &StepAttempt,
        channel: &Arc<Channel>,
        messages: &Together,
    ) -> Result<Option<Vec<Cursor>>, EngineError> {
        let Some((cell, lease)) = self.speaker(run) else {
            return Ok(None);
        };
        let topics = messages.drafts().map(|draft| &draft.topic);
        let Some(origin) = origin_in(&cell, attempt, channel, topics)? else {
            return Ok(None);
        };
        self.say_together(&cell, lease, channel, messages, origin)
            .await
    }

    /// A key counts for this attempt under this lease: what one that failed has said is taken back, as is what was said under an earlier lease
    /// and has no result.
    async fn say_together(
        &self,
        cell: &Arc<RunCell>,
        lease: u32,
        channel: &Arc<Channel>,
        messages: &Together,
        origin: Origin,
    ) -> Result<Option<Vec<Cursor>>, EngineError> {
        let origin = Arc::new(origin);
        let mut messages = messages.clone().said_by(|keyed| {
            keyed.draft.origin = Some(Arc::clone(&origin));
            keyed.key = keyed.key.as_ref().map(|key| key_under(lease, &origin, key));
        });
        for draft in messages.drafts() {
            let prepared = self.0.hub.prepare(channel, &draft.topic, &draft.keep);
            prepared.await?;
        }
        self.0.hub.check_texts(channel, messages.unkeyed()).await?;
        loop {
            let fate = match cell.publish_together(self, lease, channel, &messages) {
                Ok(committed) => committed.await.unwrap_or(Err(CommitError::Closed)),
                Err(error) => return nobodys(error),
            };
            if let Some(cursors) = messages.on_fate(fate)? {
                return Ok(Some(cursors));
            }
        }
    }

    /// The run and its lease, if it is held and its messages come from outside.
    fn speaker(&self, run: RunId) -> Option<(Arc<RunCell>, u32)> {
        let cell = self.in_memory(run)?;
        let lease = cell.holder()?;
        let function = cell.lock().run.row.function.clone();
        let function = self.0.registry.get(&function)?;
        function.speaks_from_outside.then_some((cell, lease))
    }
}

/// Of which attempt on record that is; nothing when its step has ended, or it says more than it could.
fn origin_in<'a>(
    cell: &RunCell,
    attempt: &StepAttempt,
    channel: &Channel,
    topics: impl IntoIterator<Item = &'a TopicName>,
) -> Result<Option<Origin>, EngineError> {
    let StepAttempt { step, attempt } = attempt;
    let Some(number) = cell.lock().run.attempt_of(step) else {
        return Ok(None);
    };
    if *attempt < number {
        // What it had said is void, and another attempt says it anew.
        return Err(EngineError::AttemptOver {
            run: cell.id,
            step: Some(step.clone()),
            attempt: *attempt,
        });
    }
    let origin = Origin {
        run: cell.id,
        step: Some(step.clone()),
        attempt: number,
    };
    let published = cell.published();
    let has_room = |topic| published.has_room(&origin, channel.name(), topic);
    let is_its = topics.into_iter().all(has_room);
    drop(published);
    Ok(is_its.then_some(origin))
}

/// The key of an attempt's message: what another attempt has said with it does not stand any more.
fn key_under(lease: u32, origin: &Origin, key: &str) -> String {
    let step = origin.step.as_ref().map_or("", StepId::as_str);
    format!("{lease}.{}.{}:{step}{key}", origin.attempt, step.len())
}

/// It ended meanwhile. The state of a run is no reason to lose a message.
fn nobodys<T>(error: EngineError) -> Result<Option<T>, EngineError> {
    match error {
        EngineError::LeaseLost { .. } | EngineError::AttemptOver { .. } => Ok(None),
        error => Err(error),
    }
}

//! What functions that are served over HTTP publish. Their messages come from outside and name a run; while it is held they are what its
//! body says: they stand with the next commit of the run, and are void when the call that said them fails. Those that name an attempt of a
//! step as well stand and fall with it.

use std::sync::Arc;

use stepcast_protocol::{Cursor, Origin, RunId, StepId};

use super::{Runs, cell::RunCell};
use crate::{
    error::EngineError,
    hub::{Channel, Draft},
    store::{CommitError, Refusal},
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

    /// Publishes what an attempt of a step says; nothing when it is nobody's, as the run is not held or the attempt is over.
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
        let Some(said) = said_in(&cell, attempt, channel, draft) else {
            return Ok(None);
        };
        self.0.hub.prepare(channel, &said.topic, &said.keep).await?;
        self.0.hub.has_room(channel)?;
        match cell.publish(self, lease, channel, said, false) {
            Ok(accepted) => Ok(Some(accepted.published().await?)),
            Err(error) => nobodys(error),
        }
    }

    /// The same, but seen after its commit, and with a key once.
    pub(crate) async fn speak_in_step_durably(
        &self,
        run: RunId,
        attempt: &StepAttempt,
        channel: &Arc<Channel>,
        draft: Draft,
        key: Option<&str>,
    ) -> Result<Option<Cursor>, EngineError> {
        let Some((cell, lease)) = self.speaker(run) else {
            return Ok(None);
        };
        let Some(said) = said_in(&cell, attempt, channel, draft) else {
            return Ok(None);
        };
        self.0.hub.prepare(channel, &said.topic, &said.keep).await?;
        let committed = match cell.publish_durably(self, lease, channel, said, key) {
            Ok((cursor, committed)) => committed.await.map(|result| result.map(|_| cursor)),
            Err(error) => return nobodys(error),
        };
        match committed.unwrap_or(Err(CommitError::Closed)) {
            Err(CommitError::Refused(Refusal::KeyUsed(cursor))) => Ok(Some(cursor)),
            result => Ok(Some(result?)),
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

/// What an attempt says, under the number that it has on record; nothing when it is over, or more is said than could be.
fn said_in(
    cell: &RunCell,
    attempt: &StepAttempt,
    channel: &Channel,
    draft: Draft,
) -> Option<Draft> {
    let StepAttempt { step, attempt } = attempt;
    let number = cell.lock().run.attempt_of(step)?;
    let origin = Origin {
        run: cell.id,
        step: Some(step.clone()),
        attempt: number,
    };
    let has_room = cell
        .published()
        .has_room(&origin, channel.name(), &draft.topic);
    let is_its = *attempt >= number && has_room;
    is_its.then(|| Draft {
        origin: Some(Arc::new(origin)),
        ..draft
    })
}

/// It ended meanwhile. The state of a run is no reason to lose a message.
fn nobodys(error: EngineError) -> Result<Option<Cursor>, EngineError> {
    match error {
        EngineError::LeaseLost { .. } | EngineError::AttemptOver { .. } => Ok(None),
        error => Err(error),
    }
}

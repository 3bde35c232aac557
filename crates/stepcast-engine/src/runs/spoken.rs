//! What functions that are served over HTTP publish. Their messages come from outside and name a run; while it is held they are what its
//! body says: they stand with the next commit of the run, and are void when the call that said them fails.

use std::sync::Arc;

use stepcast_protocol::{Cursor, Origin, RunId};

use super::Runs;
use crate::{
    error::EngineError,
    hub::{Channel, Draft},
};

impl Runs {
    /// Publishes what a run says, if it is held and says such things; else it is nobody's, and the draft comes back.
    pub(crate) async fn speak(
        &self,
        run: RunId,
        channel: &Arc<Channel>,
        draft: Draft,
    ) -> Result<Result<Cursor, Draft>, EngineError> {
        let cell = self.in_memory(run);
        let Some((cell, lease)) = cell.and_then(|cell| cell.holder().map(|lease| (cell, lease)))
        else {
            return Ok(Err(draft));
        };
        let (function, attempt) = {
            let state = cell.lock();
            (state.run.row.function.clone(), state.run.row.attempt)
        };
        let speaks = self
            .0
            .registry
            .get(&function)
            .is_some_and(|function| function.speaks_from_outside);
        if !speaks {
            return Ok(Err(draft));
        }
        let origin = Origin {
            run,
            step: None,
            attempt,
        };
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
}

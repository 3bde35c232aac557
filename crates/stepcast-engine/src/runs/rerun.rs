//! A run that is run again: a new run of the same function by the same event, so that channels named after the event are its own as well.
//!
//! Nothing else of the earlier run counts: not the keys under which it started once, not the step that waited for it, not where it is.

use stepcast_protocol::RunId;

use super::{Runs, cell::Attached, events::NotCommitted};
use crate::{error::EngineError, store::Expect};

impl Runs {
    /// Runs a run again. What started it stays as long as the run itself is kept, which the commit looks at once more.
    pub(crate) async fn rerun(&self, id: RunId) -> Result<RunId, EngineError> {
        let unknown = EngineError::UnknownRun(id);
        let Some(row) = self.0.store.run_row(id).await? else {
            return Err(unknown);
        };
        let Some(stored) = self.0.store.event(row.event).await? else {
            return Err(unknown);
        };
        let Some(function) = self.0.registry.get(&row.function) else {
            return Err(EngineError::FunctionGone {
                run: id,
                function: row.function,
            });
        };
        let created = self.create(&function, &stored.event, None, self.0.clock.now());
        let again = created.id();
        let attached = Attached {
            created: vec![created],
            ..Attached::default()
        };
        match self
            .commit_attached(attached, vec![Expect::RunIsKept(id)])
            .await
        {
            Ok(()) => Ok(again),
            Err(NotCommitted::Error(error)) => Err(error.into()),
            Err(NotCommitted::Known(_)) => {
                unreachable!("it has no event and no key that could be known")
            }
        }
    }
}

//! The start of a life: what an earlier one left behind is taken up again, from the store alone.

use std::sync::{Arc, Weak, atomic::Ordering};

use stepcast_protocol::limits;

use super::{Dispatch, Inner, Runs, background, command::Command, waits};
use crate::{
    error::EngineError,
    store::{Batch, CommitError, Outcome, RunQuery, StoreExt, Void, Write},
};

impl Runs {
    /// Takes up every run of the store. All earlier leases are void; their runs are due at once, and count as crashed.
    pub(crate) async fn open(&self) -> Result<(), EngineError> {
        self.resume().await?;
        self.0
            .background
            .spawn(background::keep_time(Weak::clone(&self.0.myself)));
        self.0
            .background
            .spawn(background::keep_tidy(Weak::clone(&self.0.myself)));
        Ok(())
    }

    async fn resume(&self) -> Result<(), EngineError> {
        self.void_leases(Void::Crashed).await?;
        self.0.timers.clear();
        self.0.waits.clear();
        self.resume_event_waits().await?;
        self.resume_ended_children().await?;
        let dispatch: Weak<dyn Dispatch> = Weak::<Inner>::clone(&self.0.myself);
        self.0.lanes.open(dispatch);
        Ok(())
    }

    /// Every run that is held goes back to the queue.
    pub(crate) async fn void_leases(&self, void: Void) -> Result<(), EngineError> {
        self.0
            .store
            .commit(Batch::of(vec![Write::VoidLeases(void, self.0.clock.now())]))
            .await?;
        Ok(())
    }

    async fn resume_event_waits(&self) -> Result<(), EngineError> {
        let mut after = None;
        loop {
            let page = self.0.store.event_waits(after, limits::PAGE_ROWS).await?;
            let last = page.last().map(|wait| (wait.run, wait.step.clone()));
            let complete = page.len() < limits::PAGE_ROWS;
            for wait in page {
                self.0.waits.start(wait.clone());
                let mut seq = wait.after;
                // The process may have died between an event's commit and that of the wait it ends.
                while let Some(events) = self.missed_events(&wait.event, seq).await? {
                    seq = events.last().map_or(seq, |event| event.seq);
                    if let Some(found) = events
                        .iter()
                        .find(|stored| waits::matches(&wait, &stored.event))
                    {
                        self.0.waits.end(wait.run, &wait.step, &wait.event);
                        let outcome = Outcome::Ok(waits::to_result(&found.event));
                        self.command_soon(wait.run, Command::WaitEnded(wait.step.clone(), outcome));
                        break;
                    }
                }
            }
            if complete {
                return Ok(());
            }
            after = last;
        }
    }

    async fn missed_events(
        &self,
        name: &stepcast_protocol::EventName,
        seq: u64,
    ) -> Result<Option<Vec<crate::store::StoredEvent>>, EngineError> {
        let events = self
            .0
            .store
            .events_after(name.clone(), seq, limits::PAGE_ROWS)
            .await?;
        Ok((!events.is_empty()).then_some(events))
    }

    /// The process may have died between the end of an invoked run and the commit that brings it to the run that waits for it.
    async fn resume_ended_children(&self) -> Result<(), EngineError> {
        loop {
            let children = self
                .0
                .store
                .runs(RunQuery::EndedChildren(limits::PAGE_ROWS))
                .await?;
            let complete = children.len() < limits::PAGE_ROWS;
            for child in children {
                if let (Some(parent), Some(outcome)) = (child.parent, child.outcome) {
                    match self
                        .command(parent.run, Command::WaitEnded(parent.step, outcome))
                        .await
                    {
                        Ok(()) | Err(EngineError::Refused(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            if complete {
                return Ok(());
            }
        }
    }

    /// The disk failed in the middle of a commit: nothing in memory is believed any more, and all goes on from disk in a new epoch.
    pub(super) fn restart_soon(&self) {
        if self.0.restarting.swap(true, Ordering::AcqRel) {
            return;
        }
        let runs = self.clone();
        self.0.background.spawn(async move {
            runs.drop_all(&CommitError::OutcomeUnknown("the store is being reopened".to_owned()));
            match runs.restart().await {
                Ok(()) => tracing::warn!("the store was reopened after a failed commit; runs go on from disk"),
                Err(error) => tracing::error!(%error, "the store could not be reopened after a failed commit; restart the process"),
            }
            runs.0.restarting.store(false, Ordering::Release);
        });
    }

    async fn restart(&self) -> Result<(), EngineError> {
        self.0.lanes.close();
        self.0.store.reopen().await?;
        self.0.hub.restart().await?;
        self.resume().await
    }

    /// Ends every execution in memory. The runs stay as they are on disk.
    fn drop_all(&self, error: &CommitError) {
        let cells: Vec<_> = self
            .0
            .cells
            .lock()
            .drain()
            .filter_map(|(_, once)| once.get().map(Arc::clone))
            .collect();
        cells.iter().for_each(|cell| cell.detach(error));
    }

    /// Asks every run to come to rest, waits until they have or `patience` ends, and gives the leases back.
    pub(crate) async fn close(&self, patience: impl Future<Output = ()> + Send) {
        self.0.lanes.close();
        let cells: Vec<_> = self
            .0
            .cells
            .lock()
            .values()
            .filter_map(|once| once.get().map(Arc::clone))
            .collect();
        for cell in &cells {
            cell.lock().tell(super::Update::GiveBack);
        }
        drop(cells);
        tokio::select! {
            () = self.0.lanes.empty() => {}
            () = patience => {}
        }
        self.drop_all(&CommitError::Closed);
        if let Err(error) = self.void_leases(Void::Released).await {
            tracing::warn!(%error, "leases could not be given back; their runs count as crashed at the next start");
        }
        self.0.background.stop();
    }
}

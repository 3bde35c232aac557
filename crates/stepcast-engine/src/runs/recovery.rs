//! The start of a life: what an earlier one left behind is taken up again, from the store alone.

use std::sync::{Arc, Weak, atomic::Ordering};

use stepcast_protocol::{Event, Origin, RunId, limits};
use tokio::sync::oneshot;

use super::{
    Dispatch, Gate, Inner, Runs, background,
    cell::{Attached, Envelope},
    command::{CancelReason, Command},
    crons,
    lanes::Place,
    lifecycle::Lifecycle,
    seen::Seen,
    signals::is_signal,
    waits::Waiting,
};
use crate::{
    error::EngineError,
    hub::{Draft, Outgoing},
    store::{Batch, CommitError, EventWait, Phase, RunQuery, StoreExt, Unsettled, Void, Write},
};

impl Runs {
    /// Takes up every run of the store. All earlier leases are void; their runs are due at once, and count as crashed.
    pub(crate) async fn open(&self) -> Result<(), EngineError> {
        let myself = Weak::clone(&self.0.myself);
        self.0.hub.on_broken(move || {
            if let Some(runs) = myself.upgrade().map(Runs) {
                runs.restart_soon();
            }
        });
        let lifecycle = Lifecycle(Weak::clone(&self.0.myself));
        self.0.hub.derive_with(Arc::new(lifecycle));
        self.resume().await?;
        self.0
            .background
            .spawn(background::keep_time(Weak::clone(&self.0.myself)));
        self.0
            .background
            .spawn(crons::keep_crons(Weak::clone(&self.0.myself)));
        self.0
            .background
            .spawn(background::keep_tidy(Weak::clone(&self.0.myself)));
        self.0
            .background
            .spawn(background::keep_small(Weak::clone(&self.0.myself)));
        Ok(())
    }

    async fn resume(&self) -> Result<(), EngineError> {
        self.void_leases(Void::Crashed).await?;
        // Whatever came in between knew of leases that are void.
        self.drop_all(&reopened());
        self.set_gate(Gate::Open);
        self.0.timers.clear();
        self.0.waits.clear();
        self.resume_event_waits().await?;
        self.resume_ended_children().await?;
        let dispatch: Weak<dyn Dispatch> = Weak::<Inner>::clone(&self.0.myself);
        self.0.lanes.open(dispatch);
        Ok(())
    }

    /// Leases a run that waits in the queue. What an earlier execution has published without a commit behind it is void, from the same
    /// commit on.
    pub(super) async fn lease_anew(&self, id: RunId, place: Place) -> Result<(), EngineError> {
        let (_, outgoing) = self.taken_back(id, &Command::Lease).await?;
        let attached = Attached {
            outgoing,
            ..Attached::default()
        };
        let envelope = Envelope {
            attached,
            place: Some(place),
            ..Envelope::new(Command::Lease)
        };
        self.deliver(id, envelope).await
    }

    /// Ends a run. What steps of an earlier execution have published without a result is void, from the same commit on.
    pub(crate) async fn cancel(&self, id: RunId, reason: CancelReason) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        let cancel = Command::Cancel(reason);
        let mut envelope = Envelope {
            reply: Some(reply),
            ..Envelope::new(cancel.clone())
        };
        loop {
            let (lease, outgoing) = self.taken_back(id, &cancel).await?;
            envelope.attached.outgoing = outgoing;
            let cell = self.cell(id).await?.ok_or(EngineError::UnknownRun(id))?;
            match cell.push_under(lease, envelope) {
                None => {
                    self.pump(&cell);
                    break;
                }
                // It was executed meanwhile, or has left memory.
                Some(returned) => envelope = returned,
            }
        }
        Ok(answer.await.map_err(|_| EngineError::Closing)??)
    }

    /// Records that take back what no commit stands behind and nobody in memory knows of, as the command is about to decide; and the number
    /// of the last lease, under which they are right. The body's messages stay when the run is about to end, as they may say why.
    async fn taken_back(
        &self,
        id: RunId,
        command: &Command,
    ) -> Result<(u32, Vec<Outgoing>), EngineError> {
        let row = match self.cell(id).await? {
            Some(cell) => cell.lock().run.row.clone(),
            None => return Ok((0, Vec::new())),
        };
        if row.lease == 0 || row.phase == Phase::Leased || row.phase.is_final() {
            return Ok((row.lease, Vec::new()));
        }
        let ends = matches!(command, Command::Cancel(_))
            || row.crashes >= limits::CRASHES_WITHOUT_PROGRESS;
        let mut outgoing = Vec::new();
        for unsettled in self.0.store.unsettled(id).await? {
            let Unsettled {
                channel,
                topic,
                step,
                attempt,
                after,
            } = unsettled;
            if step.is_none() && ends {
                continue;
            }
            let keep = self.0.hub.keep(&channel, &topic);
            let channel = self.0.hub.channel(&channel).await?;
            self.0.hub.prepare(&channel, &topic, &keep).await?;
            let origin = Arc::new(Origin {
                run: id,
                step,
                attempt,
            });
            let draft = Draft::rollback(topic, keep, origin, after);
            outgoing.push(Outgoing { channel, draft });
        }
        Ok((row.lease, outgoing))
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
                let Some(trigger) = self.trigger_of(wait.run).await? else {
                    continue;
                };
                if self.0.waits.resume(wait.clone(), &trigger) {
                    self.end_wait_missed(&wait, &trigger).await?;
                }
            }
            if complete {
                self.0.waits.all_resumed();
                return Ok(());
            }
            after = last;
        }
    }

    /// What started a run; nothing for one that is not known any more.
    async fn trigger_of(&self, run: RunId) -> Result<Option<Arc<Event>>, EngineError> {
        let Some(row) = self.0.store.run_row(run).await? else {
            return Ok(None);
        };
        let event = self.0.store.event(row.event).await?;
        Ok(event.map(|stored| stored.event))
    }

    /// Begins to watch for an event, and looks back if the wait counts earlier ones.
    pub(super) fn start_event_wait(&self, wait: EventWait, trigger: &Arc<Event>) {
        if is_signal(&wait.event) {
            return self.0.waits.start_alone(wait, trigger);
        }
        self.0.waits.start(wait.clone(), trigger);
        if wait.after == EventWait::NOW {
            return;
        }
        let (runs, trigger) = (self.clone(), Arc::clone(trigger));
        self.0.background.spawn(async move {
            if let Err(error) = runs.end_wait_missed(&wait, &trigger).await {
                tracing::error!(run = %wait.run, step = %wait.step, %error, "earlier events could not be read; the wait sees later ones only");
            }
        });
    }

    /// Ends a wait whose event is in the store already: it came before the wait was watched, or the process died between the event's
    /// commit and the one that ends the wait.
    async fn end_wait_missed(&self, wait: &EventWait, trigger: &Event) -> Result<(), EngineError> {
        let waiting = Waiting::of(wait.clone(), trigger);
        let is_for = |event: &Event| waiting.is_for(event, &Seen::new(event));
        let mut seq = wait.after;
        loop {
            let page = self
                .0
                .store
                .events_after(wait.event.clone(), seq, limits::PAGE_ROWS)
                .await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            seq = last.seq;
            if let Some(found) = page.iter().find(|stored| is_for(&stored.event)) {
                self.0.waits.end(wait.run, &wait.step, &wait.event);
                self.end_wait(wait.clone(), &found.event);
                return Ok(());
            }
        }
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
            match runs.restart().await {
                Ok(()) => tracing::warn!("the store was reopened after a failed commit; runs go on from disk"),
                Err(error) => tracing::error!(%error, "the store could not be reopened after a failed commit; restart the process"),
            }
            runs.set_gate(Gate::Open);
            runs.0.restarting.store(false, Ordering::Release);
            runs.look_again();
        });
    }

    async fn restart(&self) -> Result<(), EngineError> {
        self.set_gate(Gate::Closed);
        self.0.lanes.close();
        self.drop_all(&reopened());
        self.0.store.reopen().await?;
        self.0.hub.restart().await?;
        self.resume().await
    }

    /// A gate that is shut stays so.
    fn set_gate(&self, to: Gate) {
        self.0.gate.send_if_modified(|gate| {
            let is_changed = *gate != Gate::Shut && *gate != to;
            if is_changed {
                *gate = to;
            }
            is_changed
        });
    }

    /// Ends every execution in memory. The runs stay as they are on disk.
    fn drop_all(&self, error: &CommitError) {
        let cells = std::mem::take(&mut *self.0.cells.lock());
        let cells: Vec<_> = cells
            .into_values()
            .filter_map(|once| once.get().map(Arc::clone))
            .collect();
        cells.iter().for_each(|cell| cell.detach(error));
    }

    /// Asks every run to come to rest, waits until they have or `patience` ends, and gives the leases back.
    pub(crate) async fn close(&self, patience: impl Future<Output = ()> + Send) {
        self.0.closing.store(true, Ordering::Release);
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
            biased;
            () = self.0.lanes.empty() => {}
            () = patience => {}
        }
        // From here on no lease may be taken that was about to be: it would outlive the end.
        self.set_gate(Gate::Shut);
        self.drop_all(&CommitError::Closed);
        if let Err(error) = self.void_leases(Void::Released).await {
            tracing::warn!(%error, "leases could not be given back; their runs count as crashed at the next start");
        }
        self.0.background.stop();
    }
}

fn reopened() -> CommitError {
    CommitError::OutcomeUnknown("the store is being reopened".to_owned())
}

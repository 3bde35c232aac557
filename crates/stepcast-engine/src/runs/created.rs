//! Runs that are being created: by an event, or by a step that invokes a function.

use std::sync::Arc;

use stepcast_protocol::{Event, FunctionId, RunId, Timestamp};

use tokio::sync::OnceCell;

use super::{
    Runs,
    cell::RunCell,
    command::{Command, Effect},
    lanes::Place,
    state::RunState,
    transition::apply,
};
use crate::store::{Parent, Refusal, RunRow, Timer, Write};

/// A run whose first commit is on its way. Dropping it gives its place back.
pub(super) struct CreatedRun {
    pub(super) row: RunRow,
    /// Where it begins at once.
    pub(super) start: Option<Start>,
}

/// What a run that is leased with its first commit begins with.
pub(super) struct Start {
    pub(super) cell: Reserved,
    pub(super) place: Place,
}

impl CreatedRun {
    pub(super) fn id(&self) -> RunId {
        self.row.id
    }
}

/// The run in memory, from before its first commit on: who finds it in the store before that is known here meets this cell, whose first
/// batch is in flight. Dropping it forgets the run: it was never committed.
pub(super) struct Reserved {
    runs: Runs,
    cell: Arc<RunCell>,
    is_kept: bool,
}

impl Reserved {
    /// The commit is on disk.
    pub(super) fn keep(mut self) -> Arc<RunCell> {
        self.is_kept = true;
        Arc::clone(&self.cell)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.is_kept {
            let id = self.cell.id;
            self.runs.forget(&self.cell);
            self.cell.detach(&Refusal::RunUnknown(id).into());
        }
    }
}

impl Runs {
    /// A new run and the writes that make it true. With a free place its first lease is part of them.
    pub(super) fn create(
        &self,
        function: &FunctionId,
        event: &Arc<Event>,
        parent: Option<Parent>,
        now: Timestamp,
    ) -> (CreatedRun, Vec<Write>) {
        let id = self.0.entropy.run_id(now);
        let due_at = event.at.max(now);
        let queued = RunState::queued(id, function.clone(), event.id, parent, now, due_at);
        let place = if due_at > now {
            None
        } else {
            self.0.lanes.admit(function, &queued.row.keys)
        };
        let event = Arc::clone(event);
        if let Some(place) = place
            && let Ok(leased) = apply(&queued, Command::Lease, now)
        {
            debug_assert_eq!(
                leased.effects,
                [Effect::Start],
                "a new run that is due is leased at once"
            );
            let row = leased.state.row.clone();
            let cell = self.reserve(leased.state, event);
            let start = Some(Start { cell, place });
            return (CreatedRun { row, start }, leased.writes);
        }
        let mut writes = vec![Write::Run(Box::new(queued.row.clone()))];
        if due_at > now {
            writes.push(Write::Timer(Timer {
                at: due_at,
                run: id,
                step: None,
            }));
        }
        let created = CreatedRun {
            row: queued.row,
            start: None,
        };
        (created, writes)
    }

    /// Removes the cell, unless another has taken its place.
    fn forget(&self, cell: &Arc<RunCell>) {
        let mut cells = self.0.cells.lock();
        let known = cells.get(&cell.id).and_then(|once| once.get());
        if known.is_some_and(|known| Arc::ptr_eq(known, cell)) {
            cells.remove(&cell.id);
        }
    }

    fn reserve(&self, state: RunState, event: Arc<Event>) -> Reserved {
        let cell = Arc::new(RunCell::new(state, event));
        cell.lock().committing = true;
        let once = Arc::new(OnceCell::new_with(Some(Arc::clone(&cell))));
        self.0.cells.lock().insert(cell.id, once);
        Reserved {
            runs: self.clone(),
            cell,
            is_kept: false,
        }
    }
}

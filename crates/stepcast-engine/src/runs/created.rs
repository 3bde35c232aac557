//! Runs that are being created: by an event, or by a step that invokes a function.

use std::sync::Arc;

use stepcast_protocol::{Event, RunId, Timestamp};

use tokio::sync::OnceCell;

use super::{
    Runs,
    cell::RunCell,
    command::{Command, Effect},
    function::FunctionConfig,
    guards::cancels,
    lanes::{Candidate, Place},
    once::Once,
    seen::Seen,
    state::RunState,
    transition::apply,
};
use crate::store::{EventWait, Guards, Parent, Refusal, RunRow, Timer, Write};

/// A run whose first commit is on its way. Dropping it gives its place back.
pub(super) struct CreatedRun {
    pub(super) row: RunRow,
    pub(super) event: Arc<Event>,
    /// Where it begins at once.
    pub(super) start: Option<Start>,
    timers: Vec<Timer>,
    cancels: Vec<EventWait>,
    /// What makes it true.
    pub(super) writes: Vec<Write>,
    /// The key under which it starts only once.
    pub(super) once: Option<Once>,
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
    /// A new run. With a free place its first lease is part of what makes it true.
    pub(super) fn create(
        &self,
        function: &FunctionConfig,
        event: &Arc<Event>,
        parent: Option<Parent>,
        now: Timestamp,
    ) -> CreatedRun {
        let seen = Seen::new(event);
        let id = self.0.entropy.run_id(now);
        let due_at = event.at.max(now);
        let mut queued = RunState::queued(id, function.id.clone(), event.id, parent, now, due_at);
        queued.row.keys = function.keys(&seen);
        queued.row.guards = function.guards();
        let cancels = cancels(function, id, &seen, now);
        let mut writes: Vec<_> = cancels
            .iter()
            .cloned()
            .map(Box::new)
            .map(Write::EventWait)
            .collect();
        let place = if due_at > now {
            None
        } else {
            self.0.lanes.admit(&function.id, &queued.row.keys)
        };
        if let Some(place) = place
            && let Ok(leased) = apply(&queued, Command::Lease, now)
        {
            let timers = leased
                .effects
                .into_iter()
                .filter_map(|effect| match effect {
                    Effect::SetTimer(timer) => Some(timer),
                    _ => None,
                });
            writes.extend(leased.writes);
            return CreatedRun {
                row: leased.state.row.clone(),
                event: Arc::clone(event),
                timers: timers.collect(),
                cancels,
                start: Some(Start {
                    cell: self.reserve(leased.state, Arc::clone(event)),
                    place,
                }),
                writes,
                once: None,
            };
        }
        let row = queued.row;
        let due = (due_at > now).then_some((due_at, None));
        let start = row
            .guards
            .starts_within
            .map(|within| (now + within, Some(Guards::start_id())));
        let timer = |(at, step)| Timer { at, run: id, step };
        let timers: Vec<_> = due.into_iter().chain(start).map(timer).collect();
        writes.push(Write::Run(Box::new(row.clone())));
        writes.extend(timers.iter().cloned().map(Write::Timer));
        CreatedRun {
            row,
            event: Arc::clone(event),
            start: None,
            timers,
            cancels,
            writes,
            once: None,
        }
    }

    /// A created run is on disk: it starts, or waits for its turn or its time.
    pub(super) fn begin(&self, created: CreatedRun) {
        let CreatedRun {
            row,
            event,
            start,
            timers,
            cancels,
            writes: _,
            once: _,
        } = created;
        self.tell_followers(&row, &event, Vec::new);
        for cancel in cancels {
            self.0.waits.start(cancel, &event);
        }
        timers
            .into_iter()
            .for_each(|timer| self.0.timers.set(timer));
        if let Some(Start { cell, place }) = start {
            let cell = cell.keep();
            cell.tally.on_started();
            self.start(&cell, place);
        } else if row.due_at <= self.0.clock.now() {
            self.0.lanes.ready(&row.function, Candidate::from(&row));
        }
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
        let tally = self.0.tallies.of(&state.row.function);
        let cell = Arc::new(RunCell::new(state, event, tally));
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

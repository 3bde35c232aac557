//! A run as the engine thinks of it.

use std::{collections::BTreeMap, sync::Arc};

use stepcast_protocol::{EventId, FunctionId, RunId, StepId, Timestamp};

use crate::store::{Guards, Parent, Phase, RunRow, StepRow, StepState, StoredRun};

/// A run's row, its steps, and the next place in the order of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    /// The run's row.
    pub row: RunRow,
    /// Its steps. Each command is applied to a copy of the run, which costs hardly anything like this.
    pub steps: Arc<BTreeMap<StepId, Arc<StepRow>>>,
    pub(super) next_seq: u64,
    pub(super) result_bytes: usize,
}

impl RunState {
    /// A run that its event has just created. It waits in the queue until `due_at`.
    #[must_use]
    pub fn queued(
        id: RunId,
        function: FunctionId,
        event: EventId,
        parent: Option<Parent>,
        now: Timestamp,
        due_at: Timestamp,
    ) -> Self {
        let row = RunRow {
            id,
            function,
            event,
            phase: Phase::Queued,
            lease: 0,
            attempt: 1,
            crashes: 0,
            due_at,
            created_at: now,
            started_at: None,
            ended_at: None,
            outcome: None,
            parent,
            keys: Vec::new(),
            guards: Guards::default(),
        };
        Self {
            row,
            steps: Arc::default(),
            next_seq: 1,
            result_bytes: 0,
        }
    }

    /// The run as the store has it.
    #[must_use]
    pub fn stored(run: StoredRun) -> Self {
        let (mut next_seq, mut result_bytes) = (1, 0);
        for step in &run.steps {
            if let StepState::Done { seq, outcome } = &step.state {
                next_seq = next_seq.max(seq + 1);
                result_bytes += outcome.bytes();
            }
        }
        let steps = run.steps.into_iter();
        let steps = steps.map(|step| (step.step.clone(), Arc::new(step)));
        Self {
            row: run.row,
            steps: Arc::new(steps.collect()),
            next_seq,
            result_bytes,
        }
    }

    /// Whether a worker holds it under this lease.
    #[must_use]
    pub fn is_held_by(&self, lease: u32) -> bool {
        self.row.phase == Phase::Leased && self.row.lease == lease
    }

    /// The number of a step's attempt that goes on or would begin; nothing when the step waits or has ended.
    pub(super) fn attempt_of(&self, step: &StepId) -> Option<u32> {
        match self.steps.get(step) {
            None => Some(1),
            Some(row) => match row.state {
                StepState::Open { .. } => Some(row.attempts + 1),
                StepState::Waiting { .. } | StepState::Done { .. } => None,
            },
        }
    }

    /// Its ended steps, in the order in which they ended.
    #[must_use]
    pub fn results(&self) -> Vec<StepRow> {
        let steps = self.steps.values();
        let mut results: Vec<_> = steps.map(|step| StepRow::clone(step)).collect();
        results.sort_by_key(|step| match step.state {
            StepState::Done { seq, .. } => seq,
            StepState::Open { .. } | StepState::Waiting { .. } => u64::MAX,
        });
        results
    }
}

//! A run as the engine thinks of it.

use std::collections::BTreeMap;

use stepcast_protocol::{EventId, FunctionId, RunId, StepId, Timestamp};

use crate::store::{Guards, Parent, Phase, RunRow, StepRow, StepState, StoredRun};

/// A run's row, its steps, and the next place in the order of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    /// The run's row.
    pub row: RunRow,
    /// Its steps.
    pub steps: BTreeMap<StepId, StepRow>,
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
            steps: BTreeMap::new(),
            next_seq: 1,
            result_bytes: 0,
        }
    }

    /// The run as the store has it.
    #[must_use]
    pub fn stored(run: StoredRun) -> Self {
        let mut state = Self {
            row: run.row,
            steps: BTreeMap::new(),
            next_seq: 1,
            result_bytes: 0,
        };
        for step in run.steps {
            if let StepState::Done { seq, outcome } = &step.state {
                state.next_seq = state.next_seq.max(seq + 1);
                state.result_bytes += outcome.bytes();
            }
            state.steps.insert(step.step.clone(), step);
        }
        state
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
        let mut results: Vec<_> = self.steps.values().cloned().collect();
        results.sort_by_key(|step| match step.state {
            StepState::Done { seq, .. } => seq,
            StepState::Open { .. } | StepState::Waiting { .. } => u64::MAX,
        });
        results
    }
}

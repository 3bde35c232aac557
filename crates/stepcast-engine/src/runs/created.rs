//! Runs that are being created: by an event, or by a step that invokes a function.

use std::sync::Arc;

use stepcast_protocol::{Event, FunctionId, RunId, Timestamp};

use super::{
    Runs,
    command::{Command, Effect},
    lanes::Place,
    state::RunState,
    transition::apply,
};
use crate::store::{Parent, Timer, Write};

/// A run whose first commit is on its way. Dropping it gives its place back.
pub(super) struct CreatedRun {
    pub(super) state: RunState,
    pub(super) event: Arc<Event>,
    pub(super) place: Option<Place>,
}

impl CreatedRun {
    pub(super) fn id(&self) -> RunId {
        self.state.row.id
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
            self.0.lanes.admit(function)
        };
        let event = Arc::clone(event);
        if place.is_some()
            && let Ok(leased) = apply(&queued, Command::Lease, now)
        {
            debug_assert_eq!(
                leased.effects,
                [Effect::Start],
                "a new run that is due is leased at once"
            );
            return (
                CreatedRun {
                    state: leased.state,
                    event,
                    place,
                },
                leased.writes,
            );
        }
        let mut writes = vec![Write::Run(Box::new(queued.row.clone()))];
        if due_at > now {
            writes.push(Write::Timer(Timer {
                at: due_at,
                run: id,
                step: None,
            }));
        }
        (
            CreatedRun {
                state: queued,
                event,
                place: None,
            },
            writes,
        )
    }
}

//! The end of a run as an event of its own, for functions that ask for it: how handlers of failures are started. The event is true from the
//! commit on that ends the run.

use std::sync::Arc;

use stepcast_protocol::{
    Event, Timestamp,
    event::{CheckedEvent, Extras},
    sdk::{
        Failure, Json, SdkEvent, StepHash,
        internal::{
            Caller, Ending, FUNCTION_CANCELLED, FUNCTION_FAILED, FUNCTION_FINISHED, InternalEvent,
            RunEnd,
        },
    },
};

use super::{
    Runs,
    cell::{Attached, RunCell},
    once::Taken,
};
use crate::store::{Outcome, Phase, RunRow};

/// What such an event starts ends without one, or it would go on for ever.
const ENDS: [&str; 3] = [FUNCTION_FINISHED, FUNCTION_FAILED, FUNCTION_CANCELLED];

impl Runs {
    /// What is committed with the end of a run, beside runs that start under these keys.
    pub(super) fn announce_end(
        &self,
        row: &RunRow,
        cell: &RunCell,
        mut taken: Taken,
        now: Timestamp,
    ) -> Attached {
        let event = &cell.event;
        let mut attached = Attached::default();
        if self.announces_end(row) && !ENDS.contains(&event.name.as_str()) {
            taken.extend(cell.lock().taken.iter().cloned());
            for ending in endings(row, event) {
                let ending = Arc::new(self.accept(ending, now));
                self.attach_event(&ending, now, &mut taken, &mut attached);
            }
        }
        attached
    }

    /// Runs that do not say it are older than what would: their function is asked, if there is one.
    fn announces_end(&self, row: &RunRow) -> bool {
        row.guards.announces_end.unwrap_or_else(|| {
            let function = self.0.registry.get(&row.function);
            function.is_some_and(|function| function.announces_end)
        })
    }
}

/// The events that say how a run has ended.
fn endings(row: &RunRow, event: &Event) -> Vec<CheckedEvent> {
    let Ok(trigger) = SdkEvent::try_from(event) else {
        return Vec::new();
    };
    let (result, failure);
    let ending = match (row.phase, &row.outcome) {
        (Phase::Cancelled, _) => Ending::Cancelled,
        (_, Some(Outcome::Err(error))) => {
            failure = Failure::from(error);
            Ending::Failed(&failure)
        }
        (_, Some(Outcome::Ok(json))) => {
            result = Json::try_from(json).unwrap_or_default();
            Ending::Completed(&result)
        }
        (_, None) => {
            result = Json::default();
            Ending::Completed(&result)
        }
    };
    let end = RunEnd {
        run: row.id,
        function: &row.function,
        events: &[trigger],
        caller: row.parent.as_ref().map(|parent| Caller {
            run: parent.run,
            step: StepHash::of_step(&parent.step),
        }),
        ending,
    };
    end.events().into_iter().map(checked).collect()
}

fn checked(event: InternalEvent) -> CheckedEvent {
    let InternalEvent { name, data, key } = event;
    CheckedEvent {
        name,
        data: data.into(),
        key,
        at: None,
        extras: Extras::default(),
    }
}

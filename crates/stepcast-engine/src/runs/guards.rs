//! What ends a run from outside, as its function asks: an event, or a time by which it has to have begun or ended. They lie in the store
//! like waits and timers of steps, under ids that no step has, and are taken up like those after a restart.

use stepcast_protocol::{RunId, StepId, Timestamp};

use super::{
    Runs,
    command::{CancelReason, Command},
    function::{CancelOn, FunctionConfig},
    seen::Seen,
};
use crate::{
    error::EngineError,
    expression::Bound,
    store::{EventWait, Guards, Timer},
};

impl Runs {
    /// Ends a run, if it has not ended, for callers that cannot wait.
    pub(super) fn cancel_soon(&self, id: RunId, reason: CancelReason) {
        let runs = self.clone();
        self.0.background.spawn(async move {
            match runs.cancel(id, reason).await {
                Ok(()) | Err(EngineError::Refused(_)) => {}
                Err(error) => {
                    tracing::warn!(run = %id, %error, "a run could not be cancelled; it is tried again at the next start");
                }
            }
        });
    }

    /// A timer has fired: a step's or a run's, or one that says that time is up for a run.
    pub(super) fn on_timer(&self, timer: Timer) {
        let is = |id: StepId| timer.step.as_ref() == Some(&id);
        if is(Guards::start_id()) || is(Guards::end_id()) {
            let (runs, is_start) = (self.clone(), is(Guards::start_id()));
            self.0
                .background
                .spawn(async move { runs.on_time_up(timer.run, is_start).await });
        } else {
            self.command_soon(timer.run, Command::TimerFired(timer));
        }
    }

    async fn on_time_up(&self, id: RunId, is_start: bool) {
        let guards = match self.0.store.run_row(id).await {
            Ok(row) => row.map_or_else(Guards::default, |row| row.guards),
            Err(error) => {
                tracing::warn!(run = %id, %error, "a run that is late could not be read; it is cancelled at the next start");
                return;
            }
        };
        let reason = if is_start {
            guards.starts_within.map(CancelReason::NotBegun)
        } else {
            guards.ends_within.map(CancelReason::NotEnded)
        };
        if let Some(reason) = reason {
            self.cancel_soon(id, reason);
        }
    }
}

/// The waits for events that cancel a new run.
pub(super) fn cancels(
    function: &FunctionConfig,
    run: RunId,
    seen: &Seen<'_>,
    now: Timestamp,
) -> Vec<EventWait> {
    let wait = |(n, cancel): (usize, &CancelOn)| {
        let Bound { matching, rest } = cancel.bound(seen);
        EventWait {
            run,
            step: Guards::cancel_id(n),
            event: cancel.event.clone(),
            matching,
            condition: rest.map(|rest| rest.to_string()),
            after: EventWait::NOW,
            until: cancel.within.map(|within| now + within),
        }
    };
    function.cancel_on.iter().enumerate().map(wait).collect()
}

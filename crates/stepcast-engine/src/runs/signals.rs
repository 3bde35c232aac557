//! Signals: a run waits for one by its name, and whoever sends it reaches that run. They lie among the waits for events, under names that no
//! event has.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use stepcast_protocol::{EventName, RunId, Timestamp, sdk::Conflict};

use super::{
    RunLease, Runs,
    cell::Attached,
    command::{Command, StepKey, Work},
};
use crate::{
    error::EngineError,
    store::{EventWait, Outcome, Write},
};

/// How often a signal looks for a run that still waits for it.
const TRIES: usize = 8;

/// The name under which waits for a signal lie. Senders may not use names that begin so.
pub(super) fn signal_event(signal: &str) -> String {
    format!("inngest/signal:{signal}")
}

impl RunLease {
    /// A step waits for the signal that is its target, at most until a time.
    ///
    /// # Errors
    /// [`EngineError::BadSignal`] and, when another step waits for the signal and is not to be replaced, [`EngineError::SignalTaken`].
    pub fn step_waits_for_signal(
        &self,
        step: StepKey,
        conflict: Conflict,
        until: Option<Timestamp>,
    ) -> Result<(), EngineError> {
        let event = EventName::parse(signal_event(&step.target)).map_err(EngineError::BadSignal)?;
        let mut attached = Attached::default();
        let taken = |run| EngineError::SignalTaken {
            signal: step.target.clone(),
            run,
        };
        // Two that come together are not both on record yet.
        let replaces = conflict == Conflict::Replace;
        let waits = &self.runs.0.waits;
        if let Some(run) = waits.claim(&event, (self.cell.id, &step.id), self.now(), replaces) {
            return Err(taken(run));
        }
        if let Some(other) = self.runs.0.waits.first(&event)
            && (other.run, &other.step) != (self.cell.id, &step.id)
        {
            match conflict {
                Conflict::Fail => {
                    return Err(taken(other.run));
                }
                Conflict::Replace => {
                    self.runs.0.waits.end(other.run, &other.step, &event);
                    attached
                        .writes
                        .push(Write::ClearEventWait(other.run, other.step));
                }
            }
        }
        let wait = EventWait {
            run: self.cell.id,
            step: step.id.clone(),
            event,
            matching: Vec::new(),
            condition: None,
            after: EventWait::NOW,
            until: None,
        };
        let event = Some(Box::new(wait));
        self.report(Work::WaitStarted { step, until, event }, attached);
        Ok(())
    }
}

#[derive(Serialize)]
struct Received<'a> {
    signal: &'a str,
    data: &'a RawValue,
}

impl Runs {
    /// Gives a signal with its data to the run that waits for it, and says which one that is.
    pub(crate) async fn signal(
        &self,
        signal: &str,
        data: &RawValue,
    ) -> Result<Option<RunId>, EngineError> {
        let event = EventName::parse(signal_event(signal)).map_err(EngineError::BadSignal)?;
        let received = serde_json::to_vec(&Received { signal, data })
            .expect("a text and JSON can always be written as JSON");
        let outcome = Outcome::Ok(Bytes::from(received));
        for _ in 0..TRIES {
            let Some(wait) = self.0.waits.first(&event) else {
                return Ok(None);
            };
            let ended = Command::WaitEnded(wait.step, outcome.clone());
            match self.command(wait.run, ended).await {
                Ok(()) => return Ok(Some(wait.run)),
                // Its time was up, or another signal was faster.
                Err(EngineError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

//! Signals: a run waits for one by its name, and whoever sends it reaches that run. They lie among the waits for events, under names that no
//! event has.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use stepcast_protocol::{EventName, RunId, Timestamp, sdk::Conflict};

use super::{
    RunLease, Runs,
    cell::{Attached, Envelope},
    claims::Waiter,
    command::{Command, StepKey, Work},
};
use crate::{
    error::EngineError,
    store::{EventWait, Outcome, Write},
};

/// How often a signal looks for a run that still waits for it.
const TRIES: usize = 8;

const SIGNAL: &str = "inngest/signal:";

/// The name under which waits for a signal lie. Senders may not use names that begin so.
pub(super) fn signal_event(signal: &str) -> String {
    format!("{SIGNAL}{signal}")
}

/// Whether waits for the event are waits for a signal, of which there is one.
pub(super) fn is_signal(event: &EventName) -> bool {
    event.as_str().starts_with(SIGNAL)
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
        let me = (self.cell.id, step.id.clone());
        let taken = |(run, _): Waiter| EngineError::SignalTaken {
            signal: step.target.clone(),
            run,
        };
        let waits = &self.runs.0.waits;
        // Two that come together are not both on record yet. The claim is taken first: it is let go of after the wait is on record.
        let (claim, claimed) = waits
            .claims
            .take(&event, me.clone(), conflict)
            .map_err(taken)?;
        let mut others = waits.of(&event);
        others.retain(|other| *other != me);
        if conflict == Conflict::Fail
            && let Some(other) = others.first()
        {
            return Err(taken(other.clone()));
        }
        others.extend(claimed);
        let clear = |(run, step): &Waiter| Write::ClearEventWait(*run, step.clone());
        let attached = Attached {
            writes: others.iter().map(clear).collect(),
            claim: Some(claim),
            ..Attached::default()
        };
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

impl Envelope {
    /// A wait for a signal that was replaced before its own turn came is on record as one that nothing but its time ends.
    pub(super) fn forget_replaced(&mut self) {
        let claim = self.attached.claim.as_ref();
        if claim.is_some_and(|claim| !claim.is_current())
            && let Command::Work(_, Work::WaitStarted { event, .. }) = &mut self.command
        {
            *event = None;
            self.attached = Attached::default();
        }
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

//! Says to the engine what became of a step.

use bytes::Bytes;
use stepcast_engine::{
    EngineError,
    expression::Expression,
    runs::{Awaited, Failure, LeasedRun, Retry, RunLease, StepKey},
    store::Outcome,
};
use stepcast_protocol::{
    ErrorCode, EventName, FunctionId, RunError, RunId, Timestamp,
    event::{CheckedEvent, EventError, Extras},
    limits,
    sdk::{Caller, Conflict, Invocation, Json, StepHash},
};

use super::report::{News, Report};

/// Whose steps they are.
#[derive(Debug)]
pub(super) struct Reporting {
    run: RunId,
    function: FunctionId,
    lease: RunLease,
    retry: Retry,
}

impl Reporting {
    pub(super) fn new(run: &LeasedRun, retry: Retry) -> Self {
        Self {
            run: run.id,
            function: run.function.clone(),
            lease: run.lease.clone(),
            retry,
        }
    }

    /// # Errors
    /// What the whole run fails of, for good.
    pub(super) fn deliver(&self, report: Report) -> Result<(), Failure> {
        let Report { key, news } = report;
        match news {
            News::Ended(outcome) => self.lease.step_ended(key, outcome),
            News::Failed(failure) => self.lease.step_failed(key, failure, self.retry),
            News::Sleeps(until) => self.lease.step_sleeps(key, until),
            News::Waits {
                event,
                expression,
                until,
            } => self.wait(key, event, expression.as_deref(), until),
            News::WaitsForSignal { conflict, until } => {
                return self.wait_for_signal(key, conflict, until);
            }
            News::Invokes {
                function,
                name,
                data,
                until,
            } => self.invoke(key, &function, &name, &data, until),
        }
        Ok(())
    }

    fn fail(&self, key: StepKey, error: RunError) {
        self.lease.step_ended(key, Outcome::Err(error));
    }

    fn wait(&self, key: StepKey, event: EventName, expression: Option<&str>, until: Timestamp) {
        match expression.map(Expression::parse).transpose() {
            Ok(condition) => {
                let awaited = Awaited {
                    condition,
                    ..Awaited::next(event)
                };
                self.lease.step_waits_for_event(key, awaited, Some(until));
            }
            Err(error) => self.fail(key, RunError::new(error.code(), error)),
        }
    }

    /// That another run waits for the signal is no fault of the step: its run cannot go on, and handlers of failures are to hear of it.
    fn wait_for_signal(
        &self,
        key: StepKey,
        conflict: Conflict,
        until: Timestamp,
    ) -> Result<(), Failure> {
        let waiting = self
            .lease
            .step_waits_for_signal(key.clone(), conflict, Some(until));
        match waiting {
            Ok(()) => {}
            Err(error @ EngineError::SignalTaken { .. }) => {
                return Err(Failure::terminal(error.code(), error));
            }
            Err(error) => self.fail(key, RunError::new(error.code(), error)),
        }
        Ok(())
    }

    fn invoke(
        &self,
        key: StepKey,
        function: &FunctionId,
        name: &str,
        data: &Json,
        until: Timestamp,
    ) {
        if self.lease.knows(function).is_err() {
            let text = format!(
                "no function `{function}` is served here, so it cannot be invoked; start the app that has it, or correct the id"
            );
            return self.fail(key, RunError::new(ErrorCode::UnknownFunction, text));
        }
        let step = StepHash::of_step(&key.id);
        let run = self.run;
        let event = Invocation {
            caller: Caller { run, step },
            calling: &self.function,
            name,
            called: function,
            data,
            expires: until,
        }
        .event();
        let (name, data) = (event.name, Bytes::from(event.data));
        if data.len() > limits::EVENT_BYTES {
            let bytes = data.len();
            let error = EventError::TooLarge { name, bytes };
            return self.fail(key, RunError::new(error.code(), error));
        }
        let (key_of_event, at) = (event.key, None);
        let input = CheckedEvent {
            name,
            data,
            key: key_of_event,
            at,
            extras: Extras::default(),
        };
        self.lease.step_invokes(key, function, input, Some(until));
    }
}

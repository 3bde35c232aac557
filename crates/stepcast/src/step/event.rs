//! `send_event` and `wait_for_event`.

use std::{
    future::{Future, IntoFuture},
    marker::PhantomData,
    pin::Pin,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stepcast_engine::{
    runs::Awaited,
    store::{Verb, rows::Matching},
};
use stepcast_protocol::{ErrorCode, EventId, EventName};

use super::{Step, decode};
use crate::{
    error::Error,
    event::{Event, checked},
    execution::Next,
};

impl Step {
    /// Sends an event once: the event, the runs it starts and the step's record are one commit.
    ///
    /// # Errors
    /// `bad_event` and `too_large`.
    pub async fn send_event(self, event: impl Event) -> Result<EventId, Error> {
        let event = checked(&event)?;
        let mut claim = self.claim(Verb::SendEvent, event.name.as_str())?;
        loop {
            match claim.next().await {
                Next::Result(result) => {
                    let ids: Vec<EventId> = decode(&claim, &result?)?;
                    let missing = || {
                        Error::coded(ErrorCode::BadResult, "a sent event has no recorded id")
                            .terminal()
                    };
                    return ids.first().copied().ok_or_else(missing);
                }
                Next::Execute => {
                    claim.begin().await;
                    let event = event.clone();
                    claim.report(|execution, key| execution.lease.step_sends(key, vec![event]));
                }
            }
        }
    }

    /// Waits for an event that is accepted from now on. Await it as it is, or narrow it first:
    /// `.wait_for_event::<Approved>().matching("job", &job)`. With the step's `timeout` it gives `None` when the event does not come in time.
    pub fn wait_for_event<E: Event>(self) -> WaitForEvent<E> {
        WaitForEvent {
            step: self,
            matching: Vec::new(),
            problem: None,
            since_run_start: false,
            event: PhantomData,
        }
    }
}

/// A wait for an event, about to begin. See [`Step::wait_for_event`].
#[derive(Debug)]
#[must_use = "nothing waits until this is awaited"]
pub struct WaitForEvent<E> {
    step: Step,
    matching: Vec<Matching>,
    problem: Option<Error>,
    since_run_start: bool,
    event: PhantomData<fn() -> E>,
}

impl<E: Event> WaitForEvent<E> {
    /// Only events whose data has this value in this field; `.` stands between levels, e.g. `"order.id"`.
    pub fn matching(mut self, field: impl Into<String>, value: impl Serialize) -> Self {
        let field = field.into();
        match serde_json::to_value(value) {
            Ok(value) => self.matching.push(Matching { field, value }),
            Err(error) => {
                let text =
                    format!("the value to match `{field}` with cannot be written as JSON: {error}");
                self.problem = Some(Error::coded(ErrorCode::BadRequest, text).terminal());
            }
        }
        self
    }

    /// Events that were accepted since the run was created count as well.
    pub fn since_run_start(self) -> Self {
        Self {
            since_run_start: true,
            ..self
        }
    }

    async fn wait(self) -> Result<Option<E>, Error> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let name = EventName::parse(E::NAME)
            .map_err(|error| Error::coded(error.code(), error).terminal())?;
        let mut claim = self.step.claim(Verb::WaitForEvent, name.as_str())?;
        loop {
            match claim.next().await {
                Next::Result(result) => {
                    let arrived: Option<Arrived> = decode(&claim, &result?)?;
                    return arrived
                        .map(|arrived| decode(&claim, arrived.data.get().as_bytes()))
                        .transpose();
                }
                Next::Execute => {
                    claim.begin().await;
                    let awaited = Awaited {
                        matching: self.matching.clone(),
                        since_run_start: self.since_run_start,
                        ..Awaited::next(name.clone())
                    };
                    let until = self.step.deadline();
                    claim.report(|execution, key| {
                        execution.lease.step_waits_for_event(key, awaited, until);
                    });
                }
            }
        }
    }
}

/// The event as the engine records it.
#[derive(Deserialize)]
struct Arrived {
    data: Box<RawValue>,
}

impl<E: Event> IntoFuture for WaitForEvent<E> {
    type Output = Result<Option<E>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}

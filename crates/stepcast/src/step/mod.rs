//! `ctx.step(id)`: a builder whose verbs are remembered. Settings sit on the builder; each verb has a file of its own.

mod event;
mod invoke;
mod publish;
mod run;
mod sleep;

use std::{sync::Arc, time::Duration};

use serde::de::DeserializeOwned;
use stepcast_engine::{
    runs::{Retry, StepKey},
    store::Verb,
};
use stepcast_protocol::{ErrorCode, NameError, StepId, Timestamp};

pub use self::{event::WaitForEvent, invoke::Invoke};
use crate::{
    error::Error,
    execution::{Claim, Execution},
};

/// A step that is about to be used. Choose a verb: [`run`](Self::run), [`publish`](Self::publish), [`sleep`](Self::sleep),
/// [`sleep_until`](Self::sleep_until), [`send_event`](Self::send_event), [`wait_for_event`](Self::wait_for_event) or
/// [`invoke`](Self::invoke).
#[derive(Debug)]
#[must_use = "a step does nothing until one of its verbs is awaited"]
pub struct Step {
    execution: Arc<Execution>,
    id: Result<StepId, NameError>,
    retry: Option<Retry>,
    timeout: Option<Duration>,
}

impl Step {
    pub(crate) fn new(execution: Arc<Execution>, id: &str) -> Self {
        Self {
            execution,
            id: StepId::parse(id),
            retry: None,
            timeout: None,
        }
    }

    /// How failed attempts are tried again; the function's setting by default.
    pub fn retry(self, retry: Retry) -> Self {
        Self {
            retry: Some(retry),
            ..self
        }
    }

    /// How long one attempt of `run` may take (the function's setting, 2 h by default), or how long `wait_for_event` and `invoke` wait
    /// (without end by default).
    pub fn timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self
        }
    }

    /// Takes the step's id into use.
    fn claim(&self, verb: Verb, target: impl Into<String>) -> Result<Claim, Error> {
        let id = self
            .id
            .clone()
            .map_err(|error| Error::coded(ErrorCode::BadRequest, error).terminal())?;
        if id.is_reserved() {
            let text = format!(
                "step id `{id}` begins with `$`, as the engine's own do; begin it with another character"
            );
            return Err(Error::coded(ErrorCode::BadRequest, text).terminal());
        }
        self.execution
            .claim(StepKey::new(id, verb).with_target(target))
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.timeout
            .map(|timeout| self.execution.lease.now() + timeout)
    }
}

/// A recorded result as the type the function expects.
fn decode<T: DeserializeOwned>(claim: &Claim, json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(|error| {
        let text = format!(
            "the recorded result of step `{}` is not a `{}`: {error}; give the step another id if its type has changed",
            claim.key().id,
            std::any::type_name::<T>()
        );
        Error::coded(ErrorCode::BadResult, text).terminal()
    })
}

//! Sending events from outside a function.

use std::{
    future::{Future, IntoFuture},
    sync::Arc,
};

use stepcast_protocol::{ErrorCode, EventId, RunId, event::CheckedEvent, limits};

use super::{Accepted, Answer, Backend, Run};
use crate::error::Error;

/// An event about to be sent. Await it.
#[derive(Debug)]
#[must_use = "nothing is sent until this is awaited"]
pub struct Send {
    backend: Arc<dyn Backend>,
    event: Result<CheckedEvent, Error>,
}

impl Send {
    pub(crate) fn new(backend: Arc<dyn Backend>, event: Result<CheckedEvent, Error>) -> Self {
        Self { backend, event }
    }

    /// A key of the sender's own, 1 to 256 bytes: the same event with the same key within 24 h starts nothing and gives the runs of
    /// the first one.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        let key = key.into();
        self.event = self.event.and_then(|event| {
            if !(1..=limits::NAME_BYTES).contains(&key.len()) {
                let text = format!(
                    "idempotency key has {} bytes, 1 to {} are allowed",
                    key.len(),
                    limits::NAME_BYTES
                );
                return Err(Error::coded(ErrorCode::BadEvent, text));
            }
            Ok(CheckedEvent {
                key: Some(key),
                ..event
            })
        });
        self
    }

    async fn send(self) -> Result<Sent, Error> {
        let Self { backend, event } = self;
        let Accepted { event, runs } = backend.send(event?).await?;
        Ok(Sent {
            backend,
            event,
            runs,
        })
    }
}

impl IntoFuture for Send {
    type Output = Result<Sent, Error>;
    type IntoFuture = Answer<Sent>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// An event that was accepted.
#[derive(Debug)]
pub struct Sent {
    backend: Arc<dyn Backend>,
    event: EventId,
    runs: Vec<RunId>,
}

impl Sent {
    /// The engine's id of the event.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        self.event
    }

    /// The runs it started.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        self.runs
            .iter()
            .map(|run| Run::new(Arc::clone(&self.backend), *run))
            .collect()
    }

    /// The one run it started.
    ///
    /// # Errors
    /// `unknown_function` when it started none, `bad_request` when it started several; [`Self::runs`] gives them all.
    pub fn run(&self) -> impl Future<Output = Result<Run, Error>> + use<> {
        let run = match self.runs.as_slice() {
            [run] => Ok(Run::new(Arc::clone(&self.backend), *run)),
            [] => {
                let text = format!(
                    "event {} started no run; add a function that its name triggers to the app",
                    self.event
                );
                Err(Error::coded(ErrorCode::UnknownFunction, text))
            }
            several => {
                let text = format!(
                    "event {} started {} runs; use `runs()`",
                    self.event,
                    several.len()
                );
                Err(Error::coded(ErrorCode::BadRequest, text))
            }
        };
        std::future::ready(run)
    }
}

//! `invoke`: another function's run, and its result.

use std::{
    future::{Future, IntoFuture},
    marker::PhantomData,
    pin::Pin,
};

use serde::de::DeserializeOwned;
use stepcast_engine::store::Verb;
use stepcast_protocol::{FunctionId, event::CheckedEvent};

use super::{Step, decode};
use crate::{
    error::Error,
    event::{Event, checked},
    execution::Next,
};

impl Step {
    /// Runs another function of this app with an input of its own and waits for its result. The wait and the new run are one commit; the
    /// run has an id, retries and steps of its own.
    pub fn invoke<T: DeserializeOwned + Send>(
        self,
        function: impl AsRef<str>,
        input: impl Event,
    ) -> Invoke<T> {
        Invoke {
            step: self,
            function: function.as_ref().to_owned(),
            input: checked(&input),
            result: PhantomData,
        }
    }
}

/// An invoked function, about to begin. Await it.
#[derive(Debug)]
#[must_use = "nothing is invoked until this is awaited"]
pub struct Invoke<T> {
    step: Step,
    function: String,
    input: Result<CheckedEvent, Error>,
    result: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + Send> Invoke<T> {
    async fn wait(self) -> Result<T, Error> {
        let input = self.input?;
        let function = FunctionId::parse(&self.function)
            .map_err(|error| Error::coded(error.code(), error).terminal())?;
        let mut claim = self.step.claim(Verb::Invoke, function.as_str())?;
        loop {
            match claim.next().await {
                Next::Result(result) => return decode(&claim, &result?),
                Next::Execute => {
                    let lease = &self.step.execution.lease;
                    lease
                        .knows(&function)
                        .map_err(|error| Error::engine(error).terminal())?;
                    claim.begin().await;
                    let (input, until) = (input.clone(), self.step.deadline());
                    claim.report(|execution, key| {
                        execution.lease.step_invokes(key, &function, input, until)
                    });
                }
            }
        }
    }
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for Invoke<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}

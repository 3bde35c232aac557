//! `run`: user code whose result is recorded.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use stepcast_engine::{
    runs::{Failure, Retry},
    store::{Outcome, Verb},
};
use stepcast_protocol::ErrorCode;
use tracing::Instrument;

use super::{Step, decode};
use crate::{
    error::Error,
    execution::{AttemptScope, Claim, Next, in_attempt, panicked},
};

impl Step {
    /// Runs the closure until it succeeds, and records its result: a later execution of the function gets the result and does not call
    /// the closure.
    ///
    /// A failed attempt is tried again in place after a pause; what runs beside it goes on. A crash between the closure's effect and
    /// the commit of its result makes the step run twice, so let its effect be one that can be repeated. The result is handed over as
    /// JSON, in the first execution as in later ones.
    ///
    /// # Errors
    /// The error of the last attempt, once no retry is left or it was [terminal](crate::ResultExt::terminal). `step_reused`,
    /// `step_changed`, `step_nested`, `too_large` and `bad_result` are mistakes of the function and end the run.
    pub async fn run<T, F, Fut>(self, mut attempt: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + Send,
        F: FnMut() -> Fut + Send,
        Fut: Future<Output = Result<T, Error>> + Send,
    {
        let mut claim = self.claim(Verb::Run, "")?;
        let retry = self.retry.unwrap_or(self.execution.defaults.retry);
        let timeout = self.timeout.unwrap_or(self.execution.defaults.timeout);
        loop {
            match claim.next().await {
                Next::Result(result) => return decode(&claim, &result?),
                Next::Execute => {
                    let number = claim.begin().await;
                    let result = execute(&claim, number, timeout, &mut attempt).await;
                    report(&mut claim, result, retry);
                }
            }
        }
    }
}

/// One attempt, with its publishes attributed, its panics caught and its time bounded.
async fn execute<T, F, Fut>(
    claim: &Claim,
    number: u32,
    timeout: Duration,
    attempt: &mut F,
) -> Result<Bytes, Error>
where
    T: Serialize,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    let id = &claim.key().id;
    let scope = Arc::new(AttemptScope::new(claim.execution().run, id.clone(), number));
    // The closure itself may publish or panic before it gives its future, so it is called inside the future.
    let span = tracing::info_span!("step", step = %id, attempt = number);
    let attempt = in_attempt(scope, async move { attempt().await }.instrument(span));
    let caught = CatchPanic(attempt);
    let value = match tokio::time::timeout(timeout, caught).await {
        Ok(Ok(result)) => result?,
        Ok(Err(panic)) => return Err(panicked(&format!("step `{id}`"), &*panic)),
        Err(_) => {
            let text = format!(
                "attempt {number} of step `{id}` took longer than its timeout of {timeout:?}"
            );
            return Err(Error::coded(ErrorCode::TimedOut, text));
        }
    };
    serde_json::to_vec(&value)
        .map(Bytes::from)
        .map_err(|error| {
            let text = format!("the result of step `{id}` cannot be written as JSON: {error}");
            Error::coded(ErrorCode::BadResult, text).terminal()
        })
}

fn report(claim: &mut Claim, result: Result<Bytes, Error>, retry: Retry) {
    claim.report(|execution, key| match result {
        Ok(json) => execution.lease.step_ended(key, Outcome::Ok(json)),
        Err(error) => {
            let failure = Failure {
                terminal: error.is_terminal(),
                ..Failure::of(error.into_run_error())
            };
            execution.lease.step_failed(key, failure, retry);
        }
    });
}

type Panic = Box<dyn std::any::Any + Send>;

/// Turns a panic of a poll into a value.
struct CatchPanic<F>(F);

impl<F: Future + Unpin> Future for CatchPanic<F> {
    type Output = Result<F::Output, Panic>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = Pin::new(&mut self.0);
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

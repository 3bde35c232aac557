//! One run, seen from outside.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use stepcast_protocol::{ErrorCode, RunId, RunStatus, RunView};

use super::{Backend, WatchRun};
use crate::error::Error;

/// A run. A cheap handle.
#[derive(Debug, Clone)]
pub struct Run {
    backend: Arc<dyn Backend>,
    id: RunId,
}

impl Run {
    pub(crate) fn new(backend: Arc<dyn Backend>, id: RunId) -> Self {
        Self { backend, id }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.id
    }

    /// What is known of it now.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn view(&self) -> Result<RunView, Error> {
        self.backend.run(self.id).await
    }

    /// Where it is in its life.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn status(&self) -> Result<RunStatus, Error> {
        Ok(self.view().await?.status)
    }

    /// Watches it: where it and its steps are now, every change, and its end.
    ///
    /// ```no_run
    /// # use stepcast::{Error, Run, RunUpdate};
    /// # async fn watch(run: Run) -> Result<(), Error> {
    /// let mut updates = run.watch();
    /// while let Some(update) = updates.try_next().await? {
    ///     match update {
    ///         RunUpdate::Run(run) => println!("{:?}, attempt {}", run.status, run.attempt),
    ///         RunUpdate::Step(step) => println!("{}: {:?}", step.step_id, step.status),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn watch(&self) -> WatchRun {
        WatchRun::new(Arc::clone(&self.backend), self.id)
    }

    /// Waits until it has ended, however it ends.
    ///
    /// # Errors
    /// `unknown_run`, and `closing` when the engine is shut down first.
    pub async fn end(&self) -> Result<RunView, Error> {
        self.backend.end_of(self.id).await
    }

    /// Waits for its result.
    ///
    /// # Errors
    /// The run's own error when it failed, `run_cancelled`, and `bad_result` when what it returned is not a `T`.
    pub async fn result<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let view = self.end().await?;
        if let Some(error) = view.error {
            return Err(Error::recorded(error));
        }
        let json = view.output.as_ref().map_or("null", |output| output.get());
        serde_json::from_str(json).map_err(|error| {
            let text = format!(
                "the result of run {} is not a `{}`: {error}",
                self.id,
                std::any::type_name::<T>()
            );
            Error::coded(ErrorCode::BadResult, text)
        })
    }

    /// Ends it. Its function is dropped at its next await; what it has done stays.
    ///
    /// # Errors
    /// `unknown_run`, and `run_ended` when it had ended before.
    pub async fn cancel(&self) -> Result<(), Error> {
        self.backend.cancel(self.id).await
    }

    /// Runs it again, whatever became of it: its function starts from its beginning, by the same event. Gives the new run.
    ///
    /// Keys under which its event starts a function only once do not stand in the way, and whoever invoked it hears nothing of the new
    /// one. Channels that are named after the event are the new run's as well.
    ///
    /// ```no_run
    /// # use stepcast::{Client, Error, RunId};
    /// # async fn mend(client: Client, failed: RunId) -> Result<(), Error> {
    /// let again = client.run(failed).rerun().await?;
    /// println!("run {}: {}", again.id(), again.end().await?.status);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `unknown_run`, and `unknown_function` when its function is not there any more.
    pub async fn rerun(&self) -> Result<Self, Error> {
        let again = self.backend.rerun(self.id).await?;
        Ok(Self::new(Arc::clone(&self.backend), again))
    }
}

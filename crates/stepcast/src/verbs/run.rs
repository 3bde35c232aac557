//! One run, seen from outside.

use serde::de::DeserializeOwned;
use stepcast_engine::{Engine, EngineError};
use stepcast_protocol::{ErrorCode, RunId, RunStatus, RunView};

use super::watch::WatchRun;
use crate::error::Error;

/// A run. A cheap handle.
#[derive(Debug, Clone)]
pub struct Run {
    engine: Engine,
    id: RunId,
}

impl Run {
    pub(super) fn new(engine: Engine, id: RunId) -> Self {
        Self { engine, id }
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
        let view = self.engine.run(self.id).await.map_err(Error::engine)?;
        view.ok_or_else(|| Error::engine(EngineError::UnknownRun(self.id)))
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
        WatchRun::new(self.engine.clone(), self.id)
    }

    /// Waits until it has ended, however it ends.
    ///
    /// # Errors
    /// `unknown_run`, and `closing` when the engine is shut down first.
    pub async fn end(&self) -> Result<RunView, Error> {
        self.engine.end_of(self.id).await.map_err(Error::engine)
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
        self.engine.cancel(self.id).await.map_err(Error::engine)
    }
}

//! The engine as one handle: what an embedding program and the gateway call. `options` says with what it is opened, `publish` how messages
//! from outside come in, `broadcast` those for several topics, `channels` what operators see of channels.

mod broadcast;
mod channels;
mod options;
mod publish;

use std::{fmt, future::Future, path::PathBuf, sync::Arc};

use bytes::Bytes;
use serde_json::value::RawValue;
use stepcast_protocol::{EventId, FunctionId, RunId, RunView, event::CheckedEvent, limits};

pub use self::{
    broadcast::{Addressed, Broadcast},
    channels::{ChannelView, TopicView},
    options::EngineOptions,
    publish::Publication,
};
use crate::{
    catalog::Catalog,
    clock::{Clock, Entropy},
    error::EngineError,
    hub::Hub,
    readiness::{self, NotReady},
    runs::{Accepted, CancelReason, FunctionConfig, IdSeed, Runs, Settings, Worker},
    stats::EngineStats,
    store::{Batch, EventQuery, Outcome, RunQuery, RunRow, Store, StoreExt, StoredEvent, Write},
};

/// The app of the functions that an engine is opened with.
const OF_THE_PROGRAM: &str = "";

/// Store, hub and runs of one process. A cheap handle; [`Engine::close`] ends it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    hub: Hub,
    runs: Runs,
    catalog: Catalog,
    clock: Clock,
    entropy: Entropy,
}

impl Engine {
    /// Starts an engine over a store that nobody else uses, and takes up every run in it.
    ///
    /// # Errors
    /// [`EngineError`] when two functions have one id or the store cannot be read.
    pub async fn open(
        store: Arc<dyn Store>,
        functions: Vec<FunctionConfig>,
        worker: Arc<dyn Worker>,
        options: EngineOptions,
    ) -> Result<Self, EngineError> {
        let EngineOptions {
            clock,
            entropy,
            catalog,
            topic_bounds,
            runs_in_memory,
            retention,
            run_frames,
            home,
            apps,
        } = options;
        catalog.set_default_bounds(topic_bounds);
        let hub = Hub::new(Arc::clone(&store), clock.clone(), catalog.clone());
        let runs = Runs::new(
            Arc::clone(&store),
            hub.clone(),
            worker,
            Settings {
                clock: clock.clone(),
                entropy: entropy.clone(),
                runs_in_memory,
                retention,
                frames: run_frames,
                home,
            },
        );
        runs.register(OF_THE_PROGRAM, functions)?;
        for (app, functions) in apps {
            runs.register(&app, functions)?;
        }
        runs.open().await?;
        Ok(Self(Arc::new(Inner {
            store,
            hub,
            runs,
            catalog,
            clock,
            entropy,
        })))
    }

    /// The functions of an app are these from now on, beside those the engine was opened with. Runs of a function that is gone wait until
    /// it comes back.
    ///
    /// # Errors
    /// [`EngineError::FunctionTwice`] when two functions, of this app or of another one, have one id; then nothing has changed.
    pub fn register(&self, app: &str, functions: Vec<FunctionConfig>) -> Result<(), EngineError> {
        self.0.runs.register(app, functions)
    }

    /// The channels.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// What is known of channels.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Random numbers.
    #[must_use]
    pub fn entropy(&self) -> &Entropy {
        &self.0.entropy
    }

    /// How many runs have their function in memory.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.runs.running()
    }

    /// What it has done since the process started, and holds at the moment.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let Inner {
            store, hub, runs, ..
        } = &*self.0;
        EngineStats {
            functions: runs.function_stats(),
            steps: runs.step_stats(),
            runs_in_memory: runs.count_in_memory(),
            timers: runs.timers(),
            event_waits: runs.event_waits(),
            channels: hub.channels_in_memory(),
            tail_bytes: hub.tail_bytes(),
            unwritten_bytes: hub.unwritten_bytes(),
            store: store.stats(),
        }
    }

    /// Whether it takes new work now. Asks the store, which answers in the order of its queue and writes nothing.
    ///
    /// # Errors
    /// [`NotReady`] says what stands in the way, and what to do.
    pub async fn readiness(&self) -> Result<(), NotReady> {
        let Inner {
            store,
            hub,
            runs,
            clock,
            ..
        } = &*self.0;
        runs.readiness()?;
        let answer = tokio::time::timeout(readiness::PATIENCE, store.probe()).await;
        let answer = answer.ok();
        if let Some(answer) = &answer {
            hub.on_probe(answer);
        }
        readiness::judge(answer)?;
        hub.readiness(clock.now())
    }

    /// Accepts events: all of them in one commit, or none. `seed` makes a repeated request give them the same ids.
    ///
    /// # Errors
    /// [`EngineError`] when there are too many or they cannot be committed.
    pub async fn send(
        &self,
        events: Vec<CheckedEvent>,
        seed: Option<IdSeed>,
    ) -> Result<Vec<Accepted>, EngineError> {
        self.0.runs.send(events, seed).await
    }

    /// Starts one function with this data, one JSON object, whatever events start it otherwise.
    ///
    /// # Errors
    /// [`EngineError::UnknownFunction`], and what the store says.
    pub async fn invoke(
        &self,
        function: &FunctionId,
        data: Bytes,
    ) -> Result<Accepted, EngineError> {
        self.0.runs.invoke(function, data).await
    }

    /// A run as the outside sees it; nothing when there is none of that id.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot be read.
    pub async fn run(&self, id: RunId) -> Result<Option<RunView>, EngineError> {
        Ok(self.0.store.run_row(id).await?.map(view))
    }

    /// A page of runs, newest first, older than `before`.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot be read.
    pub async fn runs(
        &self,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunView>, EngineError> {
        let rows = self
            .0
            .store
            .runs(RunQuery::Newest(before, limit.clamp(1, limits::PAGE_ROWS)))
            .await?;
        Ok(rows.into_iter().map(view).collect())
    }

    /// The runs an event started, oldest first.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot be read.
    pub async fn runs_of(&self, event: EventId) -> Result<Vec<RunView>, EngineError> {
        let rows = self
            .0
            .store
            .runs(RunQuery::OfEvent(event, limits::PAGE_ROWS))
            .await?;
        Ok(rows.into_iter().map(view).collect())
    }

    /// An event, with its place in the order of commits; nothing when there is none of that id.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot be read.
    pub async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, EngineError> {
        Ok(self.0.store.event(id).await?)
    }

    /// A page of events, newest first.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot be read.
    pub async fn events(&self, query: EventQuery) -> Result<Vec<StoredEvent>, EngineError> {
        Ok(self.0.store.events(query).await?)
    }

    /// Waits until a run has ended.
    ///
    /// # Errors
    /// [`EngineError::UnknownRun`], and what the store says.
    pub async fn end_of(&self, id: RunId) -> Result<RunView, EngineError> {
        loop {
            let end = self.0.runs.end_of(id);
            let run = self.run(id).await?.ok_or(EngineError::UnknownRun(id))?;
            if run.status.is_final() {
                return Ok(run);
            }
            if end.await.is_err() {
                return Err(EngineError::Closing);
            }
        }
    }

    /// Ends a run. Its function is dropped at its next await; what it has done stays.
    ///
    /// # Errors
    /// [`EngineError::UnknownRun`], and `run_ended` when it had ended before.
    pub async fn cancel(&self, id: RunId) -> Result<(), EngineError> {
        self.0.runs.cancel(id, CancelReason::Asked).await
    }

    /// Starts a run's function again by the event that started it, whatever became of the run, and says which run that is. A run that
    /// an event lets wait for its time waits for it again.
    ///
    /// # Errors
    /// [`EngineError::UnknownRun`], [`EngineError::FunctionGone`], and what the store says.
    pub async fn rerun(&self, id: RunId) -> Result<RunId, EngineError> {
        self.0.runs.rerun(id).await
    }

    /// Gives a signal with its data, one JSON text, to the run that waits for it, and says which one that is.
    ///
    /// # Errors
    /// [`EngineError::BadSignal`], [`EngineError::SignalNotJson`], and what the store says.
    pub async fn signal(&self, signal: &str, data: Bytes) -> Result<Option<RunId>, EngineError> {
        let data = serde_json::from_slice(&data)
            .map_err(|error| EngineError::SignalNotJson(error.to_string()))?;
        self.0.runs.signal(signal, data).await
    }

    /// A setting of the installation.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot be read.
    pub async fn setting(&self, key: &'static str) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.0.store.setting(key).await?)
    }

    /// Changes a setting of the installation.
    ///
    /// # Errors
    /// [`EngineError`] when it cannot be committed.
    pub async fn set_setting(&self, key: &'static str, value: Vec<u8>) -> Result<(), EngineError> {
        self.0
            .store
            .commit(Batch::of(vec![Write::Setting(key, value)]))
            .await?;
        Ok(())
    }

    /// Copies everything into a new file while the engine goes on.
    ///
    /// # Errors
    /// [`EngineError`] when the file exists or cannot be written.
    pub async fn backup(&self, file: PathBuf) -> Result<(), EngineError> {
        Ok(self.0.store.backup(file).await?)
    }

    /// Starts no more runs, lets those that execute come to rest until `patience` ends, gives every lease back and closes the store.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot be closed cleanly.
    pub async fn close(
        &self,
        patience: impl Future<Output = ()> + Send,
    ) -> Result<(), EngineError> {
        self.0.runs.close(patience).await;
        self.0.hub.close().await;
        let closed = self.0.store.close().await;
        self.0.runs.forget_ends();
        Ok(closed?)
    }
}

fn view(row: RunRow) -> RunView {
    let status = row.phase.status();
    let (output, error) = match row.outcome {
        Some(Outcome::Ok(json)) => (
            RawValue::from_string(String::from_utf8_lossy(&json).into_owned()).ok(),
            None,
        ),
        Some(Outcome::Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    RunView {
        run_id: row.id,
        function_id: row.function,
        event_id: row.event,
        status,
        attempt: row.attempt,
        created_at: row.created_at.to_string(),
        run_started_at: row.started_at.map(|at| at.to_string()),
        ended_at: row.ended_at.map(|at| at.to_string()),
        output,
        error,
        ignored: Vec::new(),
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("hub", &self.0.hub)
            .field("runs", &self.0.runs)
            .finish_non_exhaustive()
    }
}

//! The engine as one handle: what an embedding program and the gateway call.

use std::{collections::BTreeMap, fmt, future::Future, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::value::RawValue;
use stepcast_protocol::{
    Bounds, ChannelName, Cursor, EventId, FunctionId, Keep, Origin, RunId, RunView, TopicName,
    event::CheckedEvent, limits,
};
use tokio::runtime::Handle;

use crate::{
    catalog::Catalog,
    clock::{Clock, Entropy},
    error::EngineError,
    hub::{Draft, Hub, Outgoing},
    readiness::{self, NotReady},
    runs::{
        Accepted, CancelReason, FunctionConfig, Home, IdSeed, RunFrames, Runs, Settings, Worker,
    },
    stats::EngineStats,
    store::{
        Batch, CommitError, EventQuery, Expect, Outcome, Refusal, RunQuery, RunRow, Store,
        StoreExt, StoredEvent, Write,
    },
};

/// Time, chance and bounds of an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    clock: Clock,
    entropy: Entropy,
    catalog: Catalog,
    topic_bounds: Bounds,
    runs_in_memory: usize,
    retention: Duration,
    run_frames: RunFrames,
    home: Home,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            entropy: Entropy::system(),
            catalog: Catalog::default(),
            topic_bounds: Bounds::default(),
            runs_in_memory: limits::RUNS_IN_MEMORY,
            retention: limits::RETENTION,
            run_frames: RunFrames::default(),
            home: Home::OwnThread,
        }
    }
}

impl EngineOptions {
    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Another clock than the machine's.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Other random numbers than the system's.
    #[must_use]
    pub fn with_entropy(self, entropy: Entropy) -> Self {
        Self { entropy, ..self }
    }

    /// What is known of channels already; shared with whoever declares more.
    #[must_use]
    pub fn with_catalog(self, catalog: Catalog) -> Self {
        Self { catalog, ..self }
    }

    /// How long runs that have ended are kept, with their steps and events (7 days).
    #[must_use]
    pub fn with_retention(self, retention: Duration) -> Self {
        Self { retention, ..self }
    }

    /// Which channels tell pages of npm `inngest` that a run has ended ([`RunFrames::Own`]).
    #[must_use]
    pub fn with_run_frames(self, run_frames: RunFrames) -> Self {
        Self { run_frames, ..self }
    }

    /// How much is kept of topics that do not say it themselves ([`limits::LOG_MESSAGES`], [`limits::LOG_BYTES`],
    /// [`limits::LOG_AGE`]).
    #[must_use]
    pub fn with_topic_bounds(self, topic_bounds: Bounds) -> Self {
        Self {
            topic_bounds,
            ..self
        }
    }

    /// Runs what the engine does beside its functions (timers, loading, tidying) on this runtime instead of a thread of its own. Whoever
    /// blocks the runtime then blocks these, too. For tests and simulations that want everything on one thread.
    #[must_use]
    pub fn with_runtime(self, runtime: Handle) -> Self {
        Self {
            home: Home::Runtime(runtime),
            ..self
        }
    }

    /// How many runs may have their function in memory ([`limits::RUNS_IN_MEMORY`]).
    #[must_use]
    pub fn with_runs_in_memory(self, runs_in_memory: usize) -> Self {
        Self {
            runs_in_memory,
            ..self
        }
    }
}

/// The app of the functions that an engine is opened with.
const OF_THE_PROGRAM: &str = "";

/// A message from outside a function.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The channel.
    pub channel: ChannelName,
    /// The topic.
    pub topic: TopicName,
    /// One JSON text.
    pub payload: Bytes,
    /// The run it is said to belong to.
    pub run: Option<RunId>,
    /// Whether to wait for its commit. A message with a key always waits.
    pub durable: bool,
    /// A key under which it is published once within [`limits::IDEMPOTENCY_WINDOW`].
    pub key: Option<String>,
}

/// A channel as its operator sees it.
#[derive(Debug, Clone)]
pub struct ChannelView {
    /// The last number given out.
    pub head: Cursor,
    /// How far readers can see.
    pub visible: Cursor,
    /// The topics that are declared or kept, in the order of their names.
    pub topics: Vec<TopicView>,
}

/// One topic as its operator sees it.
#[derive(Debug, Clone)]
pub struct TopicView {
    /// Its name.
    pub topic: TopicName,
    /// How it is kept.
    pub keep: Keep,
    /// How much of it is kept.
    pub bounds: stepcast_protocol::Bounds,
    /// How many messages the store has.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Up to and with this cursor they had to go.
    pub trimmed_to: Option<Cursor>,
}

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

    /// Publishes a message from outside a function.
    ///
    /// # Errors
    /// [`EngineError`] when the payload is too large, not JSON or against its schema, when the topic is reserved or unknown, when too
    /// much waits to be written, or when it cannot be committed.
    pub async fn publish(&self, publication: Publication) -> Result<Cursor, EngineError> {
        let Publication {
            channel,
            topic,
            payload,
            run,
            durable,
            key,
        } = publication;
        if topic.is_reserved() {
            return Err(EngineError::ReservedTopic(topic));
        }
        if payload.len() > limits::MESSAGE_BYTES {
            return Err(EngineError::PayloadTooLarge {
                topic,
                bytes: payload.len(),
            });
        }
        if let Err(error) = serde_json::from_slice::<&RawValue>(&payload) {
            return Err(EngineError::PayloadNotJson {
                topic,
                cause: error.to_string(),
            });
        }
        let keep = self.0.catalog.check(&channel, &topic, &payload)?;
        let channel = self.0.hub.channel(&channel).await?;
        let origin = run.map(|run| {
            Arc::new(Origin {
                run,
                step: None,
                attempt: 0,
            })
        });
        let draft = Draft::new(topic, keep, payload, origin);
        let draft = match run {
            Some(run) if !durable && key.is_none() => {
                match self.0.runs.speak(run, &channel, draft).await? {
                    Ok(cursor) => return Ok(cursor),
                    Err(draft) => draft,
                }
            }
            Some(_) | None => draft,
        };
        let mark = match run {
            Some(run)
                if self
                    .0
                    .runs
                    .marks_from_outside(run, &channel, &draft)
                    .await? =>
            {
                Some(run)
            }
            Some(_) | None => None,
        };
        let outgoing = Outgoing {
            channel: Arc::clone(&channel),
            draft,
        };
        let hub = &self.0.hub;
        let cursor = match key {
            None if durable => {
                let mark = |batch: &mut Batch, cursors: &[Cursor]| {
                    batch.writes.extend(mark_of(mark, channel.name(), cursors));
                };
                hub.commit_one(Batch::default(), outgoing, mark).await?
            }
            None => {
                let of = channel.name().clone();
                let numbered = |batch: &mut Batch, cursor: Cursor| {
                    batch.writes.extend(mark_of(mark, &of, &[cursor]));
                };
                let (runs, of) = (self.0.runs.clone(), Arc::clone(&channel));
                let fated = move |is_written| {
                    if let Some(run) = mark.filter(|_| is_written) {
                        runs.on_marked_from_outside(run, &of);
                    }
                };
                let draft = outgoing.draft;
                let posted = hub.try_publish_with(&channel, draft, numbered, fated);
                return Ok(posted.await?);
            }
            Some(key) => match self.publish_once(outgoing, key, mark).await {
                Err(CommitError::Refused(Refusal::KeyUsed(cursor))) => return Ok(cursor),
                result => result?,
            },
        };
        if let Some(run) = mark {
            self.0.runs.on_marked_from_outside(run, &channel);
        }
        Ok(cursor)
    }

    async fn publish_once(
        &self,
        outgoing: Outgoing,
        key: String,
        mark: Option<RunId>,
    ) -> Result<Cursor, CommitError> {
        let now = self.0.clock.now();
        let channel = outgoing.channel.name().clone();
        let batch = Batch {
            expect: vec![Expect::PublishKeyIsFree(channel.clone(), key.clone(), now)],
            ..Batch::default()
        };
        let remember = move |batch: &mut Batch, cursors: &[Cursor]| {
            let until = now + limits::IDEMPOTENCY_WINDOW;
            let keys = cursors.iter().map(|cursor| Write::PublishKey {
                channel: channel.clone(),
                key: key.clone(),
                cursor: *cursor,
                until,
            });
            batch.writes.extend(keys);
            batch.writes.extend(mark_of(mark, &channel, cursors));
        };
        self.0.hub.commit_one(batch, outgoing, remember).await
    }

    /// What is kept of a channel. One that was never written is empty.
    ///
    /// # Errors
    /// [`EngineError`] when the store cannot be read.
    pub async fn channel(&self, name: &ChannelName) -> Result<ChannelView, EngineError> {
        let channel = self.0.hub.channel(name).await?;
        let row = self.0.store.channel(name.clone()).await?;
        let kept = self.0.store.topics(name.clone()).await?;
        let trimmed = row.map_or_else(Vec::new, |row| row.trimmed);
        let mut topics: BTreeMap<_, _> = self
            .0
            .catalog
            .topics(name)
            .into_iter()
            .chain(trimmed.iter().map(|(topic, _)| topic.clone()))
            .map(|topic| (topic, (0, 0)))
            .collect();
        topics.extend(
            kept.into_iter()
                .map(|row| (row.topic, (row.messages, row.bytes))),
        );
        let trimmed: BTreeMap<_, _> = trimmed.into_iter().collect();
        let view = |(topic, (messages, bytes))| TopicView {
            keep: self.0.catalog.keep(name, &topic),
            bounds: self.0.catalog.bounds(name, &topic),
            trimmed_to: trimmed.get(&topic).copied(),
            topic,
            messages,
            bytes,
        };
        Ok(ChannelView {
            head: channel.head(),
            visible: channel.visible(),
            topics: topics.into_iter().map(view).collect(),
        })
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

/// What the store is to know of a run that has published on a channel.
fn mark_of(run: Option<RunId>, channel: &ChannelName, cursors: &[Cursor]) -> Option<Write> {
    let (run, first) = (run?, cursors.first()?);
    Some(Write::RunChannel(run, channel.clone(), *first))
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

//! Engine, storage and gateway in this process, on one SQLite file.

mod backend;
mod options;
mod worker;

use std::{collections::HashMap, fmt, path::Path, sync::Arc, time::Duration};

use serde::Serialize;
use stepcast_engine::{Engine, store::sqlite::SqliteStore};
use stepcast_http::{Gateway, GatewayError, Keys, Stats as ConnectionStats};
use stepcast_protocol::{Beginning, ChannelName, ErrorCode, Manifest, RunId};
use tokio::runtime::Handle;

pub use self::options::Options;
use self::{backend::Local, worker::LocalWorker};
use crate::{
    app::App,
    channel::{Channel, ChannelAt},
    channels::Channels,
    error::Error,
    event::Event,
    verbs::{
        Backend, JsonChannel, ListRuns, MintToken, Publication, Publish, Run, Send, Subscription,
    },
};

/// How long [`Stepcast::shutdown`] waits for steps that execute.
const PATIENCE: Duration = Duration::from_secs(10);

/// An engine in this process. A cheap handle; [`Stepcast::shutdown`] ends it.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use stepcast::prelude::*;
///
/// #[derive(Event, Serialize, Deserialize)]
/// #[event("app/greet")]
/// struct Greet {
///     name: String,
/// }
///
/// async fn greet(ctx: Ctx<Greet>) -> Result<String, Error> {
///     ctx.step("greet").run(|| async { Ok(format!("Hello {}", ctx.event.name)) }).await
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Error> {
/// # let dir = tempfile::tempdir()?;
/// # let file = dir.path().join("greeter.db");
/// let app = App::new("greeter").function(function("greet", greet));
/// let stepcast = Stepcast::open(file, app).await?;
/// let run = stepcast.send(Greet { name: "world".into() }).await?.run().await?;
/// let greeting: String = run.result().await?;
/// assert_eq!(greeting, "Hello world");
/// stepcast.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Stepcast {
    engine: Engine,
    gateway: Gateway,
    channels: Channels,
    /// Engine and gateway, as the verbs see them.
    backend: Arc<dyn Backend>,
}

impl Stepcast {
    /// Opens the database (made where there is none), starts the engine and takes up every run that an earlier process left. The app's
    /// functions execute on the tokio runtime this is called on.
    ///
    /// # Errors
    /// `in_use` when another process owns the file (after 10 s), `foreign_file` and `newer_file` when it is not ours to read, and mistakes
    /// of the app: two functions of one id, two channels that can have the same name.
    pub async fn open(file: impl AsRef<Path>, app: App) -> Result<Self, Error> {
        Self::options().open(file, app).await
    }

    /// Settings, to open the engine with.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    async fn open_with(file: &Path, app: App, options: Options) -> Result<Self, Error> {
        let Options {
            engine,
            store,
            gateway,
        } = options;
        let App {
            functions,
            channels,
            problem,
            ..
        } = app;
        if let Some(problem) = problem {
            return Err(problem);
        }
        let mut configs = Vec::new();
        let mut by_id = HashMap::new();
        for function in functions {
            let config = function
                .config()
                .map_err(|error| Error::coded(error.code(), error))?;
            by_id.insert(config.id.clone(), function);
            configs.push(config);
        }
        let engine = engine.with_catalog(channels.catalog().clone());
        let clock = engine.clock().clone();
        let file = file.to_owned();
        let store = tokio::task::spawn_blocking(move || SqliteStore::open(file, store, clock))
            .await?
            .map_err(|error| Error::coded(error.code(), error))?;
        let worker = Arc::new(LocalWorker::new(by_id, channels.clone(), Handle::current()));
        let engine = Engine::open(
            Arc::new(store),
            configs,
            Arc::<LocalWorker>::clone(&worker),
            engine,
        )
        .await
        .map_err(Error::engine)?;
        worker.begin(engine.hub().clone());
        let gateway = Gateway::new(engine.clone(), gateway)
            .await
            .map_err(gateway_error)?;
        let backend = Arc::new(Local::new(engine.clone(), gateway.clone()));
        Ok(Self {
            engine,
            gateway,
            channels,
            backend,
        })
    }

    /// Sends an event. The event, its runs and their first leases are one commit.
    ///
    /// Await it as it is, or with `.idempotency_key(..)` first.
    pub fn send(&self, event: impl Event) -> Send {
        Send::new(self.backend(), crate::event::checked(&event))
    }

    /// Sends an event by its name, for programs that have no type for it; `data` is what serializes as one JSON object.
    ///
    /// ```no_run
    /// # use stepcast::{Stepcast, Error};
    /// # async fn start(stepcast: Stepcast) -> Result<(), Error> {
    /// let data = serde_json::json!({ "job": "j1" });
    /// let sent = stepcast.send_json("app/generate", &data).await?;
    /// println!("{} has started {} runs", sent.event_id(), sent.runs().len());
    /// # Ok(()) }
    /// ```
    pub fn send_json(&self, name: &str, data: &(impl Serialize + ?Sized)) -> Send {
        Send::new(self.backend(), crate::event::named(name, data))
    }

    /// Publishes a message from outside a function. Await it as it is, or choose `.durable()` or `.idempotency_key(..)` first.
    pub fn publish<C: Channel>(&self, channel: &ChannelAt<C>, message: C) -> Publish {
        let publication = channel.name().and_then(|name| {
            let encoded = self.channels.encode(name, &message)?;
            Ok(Publication {
                channel: name.clone(),
                topic: encoded.topic,
                payload: encoded.payload,
                durable: false,
                key: None,
            })
        });
        Publish::new(self.backend(), publication)
    }

    /// Reads a channel from its start, first what is kept, then what comes. A `Stream` of [`Update`](crate::Update)s; narrow it with
    /// [`from`](Subscription::from), [`topics`](Subscription::topics), [`until_run_ends`](Subscription::until_run_ends) and
    /// [`messages`](Subscription::messages).
    pub fn subscribe<C: Channel>(&self, channel: &ChannelAt<C>) -> Subscription<C> {
        let backend = self.backend();
        let from = Some(Beginning::Start);
        Subscription::new(self.declared(channel), from, move |reading| {
            backend.open(reading)
        })
    }

    /// A channel by its name, for programs that have no type for it: its payloads are JSON of any form.
    ///
    /// ```no_run
    /// # use stepcast::{Stepcast, Error, Update};
    /// # async fn copy(stepcast: Stepcast) -> Result<(), Error> {
    /// let channel = stepcast.json_channel("pipeline:j1");
    /// channel.publish("status", &serde_json::json!({ "message": "by hand" })).durable().await?;
    ///
    /// let mut updates = channel.subscribe(["status", "tokens"]);
    /// while let Some(update) = updates.try_next().await? {
    ///     if let Update::Message(message) = update {
    ///         println!("{}: {}", message.topic, message.data);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn json_channel(&self, name: &str) -> JsonChannel {
        JsonChannel::new(self.backend(), name)
    }

    /// Lists runs, newest first; at most 20 unless another [`limit`](ListRuns::limit) is set.
    ///
    /// ```no_run
    /// # use stepcast::{Stepcast, Error};
    /// # async fn list(stepcast: Stepcast) -> Result<(), Error> {
    /// let newest = stepcast.list_runs().limit(50).await?;
    /// if let Some(last) = newest.last() {
    ///     let older = stepcast.list_runs().before(last.run_id).await?;
    ///     println!("and {} older ones", older.len());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn list_runs(&self) -> ListRuns {
        ListRuns::new(self.backend())
    }

    /// Mints a token with which a browser may read all topics of a channel, from now on. Await it as it is, or narrow it first:
    /// `.topics(["status"])`, `.lifetime(..)`, `.without_history()`.
    pub fn token<C: Channel>(&self, channel: &ChannelAt<C>) -> MintToken {
        MintToken::new::<C>(self.backend(), self.declared(channel))
    }

    /// Mints a token for a browser that shows where a run and its steps are: topics `$run` and `$step` of the channel that is named by
    /// the run's id. Settings and errors are those of [`Self::token`].
    pub fn run_token(&self, run: RunId) -> MintToken {
        MintToken::for_run(self.backend(), run)
    }

    /// A run by its id; whether there is one shows when it is asked something.
    #[must_use]
    pub fn run(&self, id: RunId) -> Run {
        Run::new(self.backend(), id)
    }

    /// The routes that a token guards, and `/health`: safe to serve to the world.
    pub fn router(&self) -> axum::Router {
        self.gateway.router()
    }

    /// The other routes: sending events, minting tokens, reading and cancelling runs. `Keys::Dev` answers this machine only.
    pub fn operator_router(&self, keys: Keys) -> axum::Router {
        self.gateway.operator_router(keys)
    }

    /// The channels that are known, for code generators: those that the app declares, and those that were used since. The route
    /// `/v1/manifest` of [`Self::operator_router`] gives the same; [`App::manifest`] gives it without a database.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        self.channels.manifest()
    }

    /// The engine, for what has no verb here.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Copies the database into a new file while everything goes on.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub async fn backup(&self, file: impl AsRef<Path>) -> Result<(), Error> {
        self.engine
            .backup(file.as_ref().to_owned())
            .await
            .map_err(Error::engine)
    }

    /// What the WebSockets of [`Self::router`] hold at the moment.
    pub async fn connections(&self) -> ConnectionStats {
        self.gateway.stats().await
    }

    /// Closes every reader's connection, and takes no new ones. For a server that waits for its connections before it ends.
    pub async fn close_connections(&self) {
        self.gateway.shutdown().await;
    }

    /// Ends cleanly: no run starts any more, steps that execute have 10 s to end, connections are closed, everything is on disk.
    /// Runs that have not ended go on when the file is opened again.
    ///
    /// # Errors
    /// When the store cannot be closed; what was acknowledged is safe all the same.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.gateway.shutdown().await;
        self.engine
            .close(tokio::time::sleep(PATIENCE))
            .await
            .map_err(Error::engine)
    }
}

impl Stepcast {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.backend)
    }

    /// The channel's name, once the engine knows its type.
    fn declared<C: Channel>(&self, channel: &ChannelAt<C>) -> Result<ChannelName, Error> {
        self.channels.declare::<C>()?;
        channel.name().cloned()
    }
}

fn gateway_error(error: GatewayError) -> Error {
    match error {
        GatewayError::Engine(error) => Error::engine(error),
        error => Error::coded(ErrorCode::Internal, error),
    }
}

impl fmt::Debug for Stepcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stepcast")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

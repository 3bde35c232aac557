//! The gateway: an engine's surface as axum routers.
//!
//! Owns the tokens, the fan-out and what the routes share. An application mounts [`Gateway::router`] where browsers reach it, and
//! [`Gateway::operator_router`] where only its operators do; the server of `stepcast dev` serves both.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, extract::ConnectInfo, http::request::Parts};
use parking_lot::{Mutex, RwLock};
use stepcast_engine::{Engine, EngineError, NotReady};
use stepcast_protocol::limits;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    api,
    fanout::{self, AddressBook, Fanout, Permit, Stats, TooManyConnections},
    keys::{Keyring, Keys},
    origins::{Origin, Origins},
    readers::Readers,
    readiness::Readiness,
    tokens::{SECRET_BYTES, Tokens},
    worker::{Apps, ServedWorker},
};

/// What kind of server SDKs are told they talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerKind {
    /// A server for development.
    #[default]
    Dev,
    /// A server in production.
    Cloud,
}

impl ServerKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Cloud => "cloud",
        }
    }
}

/// How a gateway behaves.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    kind: ServerKind,
    connections_per_address: usize,
    token_secret: Option<Secret>,
    origins: Origins,
    public_url: Option<Origin>,
    fanout: fanout::Options,
    worker: Option<ServedWorker>,
    apps: Option<Apps>,
}

#[derive(Clone)]
struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            kind: ServerKind::default(),
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS,
            token_secret: None,
            origins: Origins::Any,
            public_url: None,
            fanout: fanout::Options::default(),
            worker: None,
            apps: None,
        }
    }
}

impl GatewayOptions {
    /// What SDKs are told in `X-Inngest-Server-Kind`; [`ServerKind::Dev`].
    #[must_use]
    pub fn with_kind(self, kind: ServerKind) -> Self {
        Self { kind, ..self }
    }

    /// Connections from one address; [`limits::CONNECTIONS_PER_ADDRESS`]. Behind a proxy all of them have the proxy's.
    #[must_use]
    pub fn with_connections_per_address(self, connections_per_address: usize) -> Self {
        Self {
            connections_per_address,
            ..self
        }
    }

    /// The secret that signs tokens; one that was made at random and is kept in the store. Tokens of another secret do not count.
    #[must_use]
    pub fn with_token_secret(self, secret: impl Into<Vec<u8>>) -> Self {
        Self {
            token_secret: Some(Secret(secret.into())),
            ..self
        }
    }

    /// Pages that may read with a token; pages of any origin. Programs that are no browsers name no origin and are not limited.
    #[must_use]
    pub fn with_origins(self, origins: impl IntoIterator<Item = Origin>) -> Self {
        let origins = Origins::Listed(origins.into_iter().collect());
        Self { origins, ..self }
    }

    /// Where browsers reach this server, for tokens to say it; unknown, so that whoever hands a token on says it, or the page is of the
    /// same origin.
    #[must_use]
    pub fn with_public_url(self, url: Origin) -> Self {
        Self {
            public_url: Some(url),
            ..self
        }
    }

    /// Who executes the functions of apps, so that their SDKs can report to it; nobody.
    #[must_use]
    pub fn with_worker(self, worker: ServedWorker) -> Self {
        Self {
            worker: Some(worker),
            ..self
        }
    }

    /// The apps that may register their functions here; none.
    #[must_use]
    pub fn with_apps(self, apps: Apps) -> Self {
        Self {
            apps: Some(apps),
            ..self
        }
    }

    /// Threads that write to sockets; one per core, at most four.
    #[must_use]
    pub fn with_shards(mut self, shards: usize) -> Self {
        self.fanout.shards = shards;
        self
    }

    /// How often a connection is pinged; [`limits::KEEPALIVE`].
    #[must_use]
    pub fn with_keepalive(mut self, keepalive: Duration) -> Self {
        self.fanout.keepalive = keepalive;
        self
    }

    /// How long a socket may take nothing before it is closed; [`limits::STALLED_SOCKET`].
    #[must_use]
    pub fn with_stalled_after(mut self, stalled: Duration) -> Self {
        self.fanout.stalled = stalled;
        self
    }
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The tokens' secret cannot be read or stored.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A secret that is too short to sign with.
    #[error("token secret has {bytes} bytes, at least {SECRET_BYTES} are needed")]
    ShortSecret {
        /// Its length.
        bytes: usize,
    },
    /// A thread could not be started.
    #[error("a thread for connections cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// The surface of one engine. A cheap handle; [`Gateway::shutdown`] ends it.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    engine: Engine,
    tokens: Tokens,
    fanout: Fanout,
    addresses: AddressBook,
    /// What the operator router admits; `publish` admits it as well.
    keys: RwLock<Option<Arc<Keyring>>>,
    options: GatewayOptions,
    closing: watch::Sender<bool>,
    readiness: Readiness,
    event_streams: Readers,
    polls: Readers,
    /// Handshakes under way and streams that are copied to a socket.
    tasks: Mutex<JoinSet<()>>,
}

const SECRET_SETTING: &str = "token_secret";

impl Gateway {
    /// A gateway for an engine: reads or makes the tokens' secret and starts the shards.
    ///
    /// # Errors
    /// [`GatewayError`] when the store or the operating system refuses.
    pub async fn new(engine: Engine, options: GatewayOptions) -> Result<Self, GatewayError> {
        let tokens = tokens(&engine, &options).await?;
        let fanout = Fanout::start(&engine, &tokens, &options.fanout)?;
        Ok(Self(Arc::new(Inner {
            engine,
            tokens,
            fanout,
            addresses: AddressBook::new(options.connections_per_address),
            keys: RwLock::default(),
            options,
            closing: watch::Sender::new(false),
            readiness: Readiness::default(),
            event_streams: Readers::default(),
            polls: Readers::default(),
            tasks: Mutex::default(),
        })))
    }

    /// What tokens guard, and nothing else: connecting, server-sent events, publishing with a publish token, `/health`
    /// and `/ready`.
    pub fn router(&self) -> Router {
        api::token_routes(self)
    }

    /// Everything else: events, tokens, runs, `/metrics`; and publishing with a key on the route of [`Self::router`].
    pub fn operator_router(&self, keys: Keys) -> Router {
        let keys = Arc::new(Keyring::from(keys));
        *self.0.keys.write() = Some(Arc::clone(&keys));
        api::operator_routes(self, keys)
    }

    /// Both routers as a server of their own, which has a page for people at `/` and answers unknown routes too.
    pub fn app(&self, keys: Keys) -> Router {
        api::app(self, self.router().merge(self.operator_router(keys)))
    }

    /// Mints and verifies tokens.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    /// Signs tokens with a new secret. Those of the last one stay good until the next rotation.
    ///
    /// # Errors
    /// [`EngineError`] when it cannot be stored; then nothing changes.
    pub async fn rotate_token_secret(&self) -> Result<(), EngineError> {
        let next = self.engine().entropy().bytes::<SECRET_BYTES>();
        let mut stored = next.to_vec();
        stored.extend(self.0.tokens.current_secret());
        self.engine().set_setting(SECRET_SETTING, stored).await?;
        self.0.tokens.rotate(next.to_vec());
        Ok(())
    }

    /// What the sockets hold at the moment.
    pub async fn stats(&self) -> Stats {
        self.0.fanout.stats().await
    }

    /// Closes every connection with a reason and waits for it. The engine is left open.
    pub async fn shutdown(&self) {
        self.0.closing.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.0.tasks.lock());
        self.0.fanout.shutdown().await;
        // Those that copy still have the close frames to deliver.
        let copied = async { while tasks.join_next().await.is_some() {} };
        drop(tokio::time::timeout(self.0.options.fanout.close_wait, copied).await);
        tasks.shutdown().await;
    }

    /// Whether new work is taken.
    pub(crate) async fn readiness(&self) -> Result<(), NotReady> {
        if *self.0.closing.borrow() {
            return Err(NotReady::Closing);
        }
        self.0.readiness.of(&self.0.engine).await
    }

    /// Those who read server-sent events.
    pub(crate) fn event_streams(&self) -> &Readers {
        &self.0.event_streams
    }

    /// Those who wait in a long poll.
    pub(crate) fn polls(&self) -> &Readers {
        &self.0.polls
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn fanout(&self) -> &Fanout {
        &self.0.fanout
    }

    pub(crate) fn keys(&self) -> Option<Arc<Keyring>> {
        self.0.keys.read().clone()
    }

    pub(crate) fn kind(&self) -> ServerKind {
        self.0.options.kind
    }

    pub(crate) fn origins(&self) -> Origins {
        self.0.options.origins.clone()
    }

    pub(crate) fn worker(&self) -> Option<&ServedWorker> {
        self.0.options.worker.as_ref()
    }

    /// The apps that may register their functions here.
    #[must_use]
    pub fn apps(&self) -> Option<&Apps> {
        self.0.options.apps.as_ref()
    }

    pub(crate) fn keepalive(&self) -> Duration {
        self.0.options.fanout.keepalive
    }

    /// Becomes true at the shutdown.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.0.closing.subscribe()
    }

    /// Counts one more connection of the caller's address, if that is known.
    pub(crate) fn admit(&self, parts: &Parts) -> Result<Option<Permit>, TooManyConnections> {
        peer(parts)
            .map(|address| self.0.addresses.admit(address))
            .transpose()
    }

    /// Runs a task until its end or the shutdown.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.tasks.lock();
        while tasks.try_join_next().is_some() {}
        if !*self.0.closing.borrow() {
            tasks.spawn(task);
        }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

async fn tokens(engine: &Engine, options: &GatewayOptions) -> Result<Tokens, GatewayError> {
    let (current, previous) = match &options.token_secret {
        Some(Secret(secret)) if secret.len() < SECRET_BYTES => {
            let bytes = secret.len();
            return Err(GatewayError::ShortSecret { bytes });
        }
        Some(Secret(secret)) => (secret.clone(), None),
        None => stored_secrets(engine).await?,
    };
    let (clock, entropy) = (engine.clock().clone(), engine.entropy().clone());
    let url = options.public_url.clone();
    Ok(Tokens::new(clock, entropy, current, previous, url))
}

/// The setting holds the current secret, and after it the one before.
async fn stored_secrets(engine: &Engine) -> Result<(Vec<u8>, Option<Vec<u8>>), EngineError> {
    match engine.setting(SECRET_SETTING).await? {
        Some(mut stored) if stored.len() >= SECRET_BYTES => {
            let previous = stored.split_off(SECRET_BYTES);
            Ok((stored, Some(previous).filter(|secret| !secret.is_empty())))
        }
        _ => {
            let fresh = engine.entropy().bytes::<SECRET_BYTES>().to_vec();
            engine.set_setting(SECRET_SETTING, fresh.clone()).await?;
            Ok((fresh, None))
        }
    }
}

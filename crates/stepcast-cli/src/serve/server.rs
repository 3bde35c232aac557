//! A server, from its configuration to its end.

use std::{future::IntoFuture, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, serve::ListenerExt};
use stepcast_engine::{
    Engine, EngineOptions,
    clock::Clock,
    store::{
        Store,
        memory::MemoryStore,
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use stepcast_http::{Gateway, GatewayOptions, Keys, Origin, ServerKind};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    announcement::Announcement,
    apps::Calls,
    channels,
    config::{Config, Database, Mode, Production},
    signal::Signals,
    token_secret,
};
use crate::{exit::Failure, output::Output, traces::Traces};

/// Serves until a signal asks for the end.
pub(super) async fn run(config: Config, output: Output, traces: &Traces) -> Result<(), Failure> {
    // The port first: when it is taken, nothing else should have happened.
    let listener = listen(config.listen).await?;
    let bound = listener.local_addr().map_err(Failure::failed)?;
    let mut signals = Signals::listen()?;
    let announcement = Announcement::of(&config, bound);
    let Config {
        database,
        channels,
        retention,
        run_frames,
        connections_per_address,
        grace,
        mode,
        apps,
        ..
    } = config;
    let catalog = channels::declared_in(&channels)?;
    let calls = Calls::new(apps, kind(&mode), bound);
    let (keys, gateway) = guards(mode, &database, bound);
    let gateway = gateway.with_connections_per_address(connections_per_address);
    let store = open(database).await?;
    let options = EngineOptions::default()
        .with_catalog(catalog)
        .with_retention(retention)
        .with_run_frames(run_frames);
    let worker = calls.worker.clone();
    let (engine, served) = calls.open(store, options).await?;
    let gateway = gateway.with_worker(worker).with_apps(served.apps.clone());
    let gateway = Gateway::new(engine.clone(), gateway).await;
    let server = Server {
        engine,
        gateway: gateway.map_err(Failure::failed)?,
        grace,
    };
    announcement.log();
    // A server whose output nobody reads serves all the same.
    drop(output.fact(&announcement, &announcement));
    let _watch = served.watch();
    let app = traces.around(server.gateway.app(keys));
    server.serve(listener, app, &mut signals).await
}

/// Takes the port, or says what to do when somebody else has it.
async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::failed(format!(
            "address {address} cannot be listened on: {error}; give another one with --port or --host"
        ))
    })
}

/// What SDKs are told they talk to.
fn kind(mode: &Mode) -> ServerKind {
    match mode {
        Mode::Dev => ServerKind::Dev,
        Mode::Production(_) => ServerKind::Cloud,
    }
}

/// Who may use it, and what it tells whom.
fn guards(mode: Mode, database: &Database, bound: SocketAddr) -> (Keys, GatewayOptions) {
    let options = GatewayOptions::default();
    match mode {
        Mode::Dev => {
            let secret = match database {
                Database::Memory => token_secret::of_this_machine(),
                Database::File(_) => None,
            };
            let options = with_secret(options, secret);
            (Keys::Dev, with_public_url(options, own_url(bound)))
        }
        Mode::Production(production) => {
            let Production {
                keys,
                origins,
                public_url,
                token_secret,
            } = production;
            let options = with_secret(options, token_secret).with_kind(ServerKind::Cloud);
            let options = with_public_url(options, public_url);
            let options = match &*origins {
                [] => options,
                _ => options.with_origins(origins),
            };
            (keys, options)
        }
    }
}

/// Where a server that listens on one address is; one that listens on all is elsewhere for each of its readers.
fn own_url(bound: SocketAddr) -> Option<Origin> {
    let url = format!("http://{bound}").parse();
    url.ok().filter(|_| !bound.ip().is_unspecified())
}

fn with_public_url(options: GatewayOptions, url: Option<Origin>) -> GatewayOptions {
    match url {
        Some(url) => options.with_public_url(url),
        None => options,
    }
}

fn with_secret(options: GatewayOptions, secret: Option<impl Into<Vec<u8>>>) -> GatewayOptions {
    match secret {
        Some(secret) => options.with_token_secret(secret),
        None => options,
    }
}

async fn open(database: Database) -> Result<Arc<dyn Store>, Failure> {
    let clock = Clock::system();
    match database {
        Database::Memory => Ok(Arc::new(MemoryStore::new(clock))),
        Database::File(file) => open_file(file, clock).await,
    }
}

async fn open_file(file: PathBuf, clock: Clock) -> Result<Arc<dyn Store>, Failure> {
    let opening = move || SqliteStore::open(file, SqliteOptions::default(), clock);
    let opened = tokio::task::spawn_blocking(opening).await;
    let store = opened.map_err(Failure::failed)?.map_err(Failure::failed)?;
    Ok(Arc::new(store))
}

/// A server that is ready.
struct Server {
    engine: Engine,
    gateway: Gateway,
    grace: Duration,
}

impl Server {
    async fn serve(
        self,
        listener: TcpListener,
        app: Router,
        signals: &mut Signals,
    ) -> Result<(), Failure> {
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        // Answers are small: whoever waits for one should not wait for the next as well.
        let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
        let (end, ended) = oneshot::channel::<()>();
        let until = async { drop(ended.await) };
        let serving = axum::serve(listener, app).with_graceful_shutdown(until);
        let mut serving = tokio::spawn(serving.into_future());
        signals.next().await;
        drop(end);
        let closed = tokio::select! {
            closed = self.close(&mut serving) => closed,
            () = signals.next() => {
                Err(Failure::failed("asked to end twice; what was acknowledged is safe, the rest was not waited for"))
            }
        };
        serving.abort();
        closed
    }

    /// Lets readers go, gives requests and steps the grace time, and puts everything on disk.
    async fn close(&self, serving: &mut JoinHandle<io::Result<()>>) -> Result<(), Failure> {
        let deadline = Instant::now() + self.grace;
        tracing::info!(grace = ?self.grace, "closing");
        let connections = async {
            self.gateway.shutdown().await;
            drop(serving.await);
        };
        if timeout_at(deadline, connections).await.is_err() {
            tracing::warn!("connections that did not end in time are cut");
        }
        let closed = self.engine.close(sleep_until(deadline)).await;
        closed.map_err(Failure::failed)?;
        tracing::info!("closed");
        Ok(())
    }
}

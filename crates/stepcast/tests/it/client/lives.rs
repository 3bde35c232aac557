//! A server on one port and one file, through several lives: each has a runtime of its own, and with it go its engine, its sockets and
//! whatever it had in memory.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
};

use stepcast::{App, Client, Durability, Error, GatewayOptions, Keys, SqliteOptions, Stepcast};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::support::within;

/// The port is held through all lives, so that nobody else can have it in between.
pub(crate) struct Lives {
    directory: TempDir,
    listener: TcpListener,
    pub(crate) address: SocketAddr,
    app: Arc<dyn Fn() -> App + Send + Sync>,
    keys: Keys,
    life: Option<Life>,
}

struct Life {
    runtime: Runtime,
    stepcast: Stepcast,
}

impl Lives {
    pub(crate) async fn of(app: impl Fn() -> App + Send + Sync + 'static) -> Self {
        Self::with(Keys::Dev, app).await
    }

    pub(crate) async fn with(keys: Keys, app: impl Fn() -> App + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut lives = Self {
            address: listener.local_addr().unwrap(),
            directory: tempfile::tempdir().unwrap(),
            listener,
            app: Arc::new(app),
            keys,
            life: None,
        };
        lives.begin().await;
        lives
    }

    pub(crate) fn stepcast(&self) -> &Stepcast {
        &self.life.as_ref().expect("the server is there").stepcast
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.address)).unwrap()
    }

    /// Begins a life, on a thread that may wait.
    pub(crate) async fn begin(&mut self) {
        let file = self.directory.path().join("lives.db");
        let listener = self.listener.try_clone().unwrap();
        let (app, keys) = ((self.app)(), self.keys.clone());
        let begun = tokio::task::spawn_blocking(move || {
            let runtime = Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            let stepcast = runtime.block_on(serve(file, listener, app, keys)).unwrap();
            Life { runtime, stepcast }
        });
        self.life = Some(within(begun).await.unwrap());
    }

    /// Ends the server as its owner would.
    pub(crate) async fn end(&mut self) {
        let Life { runtime, stepcast } = self.life.take().expect("the server is there");
        let ended = tokio::task::spawn_blocking(move || {
            runtime.block_on(stepcast.shutdown()).unwrap();
            drop(stepcast);
            drop(runtime);
        });
        within(ended).await.unwrap();
    }

    /// Ends it as a crash would: from one moment to the next.
    pub(crate) async fn crash(&mut self) {
        let Life { runtime, stepcast } = self.life.take().expect("the server is there");
        let ended = tokio::task::spawn_blocking(move || {
            drop(stepcast);
            drop(runtime);
        });
        within(ended).await.unwrap();
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        if let Some(Life { runtime, stepcast }) = self.life.take() {
            drop(stepcast);
            runtime.shutdown_background();
        }
    }
}

async fn serve(
    file: PathBuf,
    listener: TcpListener,
    app: App,
    keys: Keys,
) -> Result<Stepcast, Error> {
    let store = SqliteOptions::new().with_durability(Durability::Process);
    let stepcast = Stepcast::options()
        .with_store(store)
        .with_gateway(GatewayOptions::default().with_shards(1))
        .open(file, app)
        .await?;
    let routes = stepcast.router().merge(stepcast.operator_router(keys));
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(stepcast)
}

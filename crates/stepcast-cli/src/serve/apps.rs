//! Functions that apps serve over HTTP: who calls them, and where they come from.

use std::{net::SocketAddr, sync::Arc};

use stepcast_engine::{Engine, EngineOptions, clock::Clock, store::Store};
use stepcast_http::{
    ServerKind,
    worker::{
        AppClient, Apps, AppsOptions, ClientOptions, Directory, Discovery, KnownApps, ServedWorker,
        apps::Watch,
    },
};
use tokio::runtime::Handle;

use super::{calling::AppUrl, config};
use crate::exit::Failure;

/// What an engine needs of apps, before there is an engine.
pub(super) struct Calls {
    pub(super) worker: ServedWorker,
    client: AppClient,
    directory: Directory,
    options: AppsOptions,
    urls: Vec<AppUrl>,
    discovery: bool,
}

impl Calls {
    /// Apps are never looked for where this server listens itself.
    pub(super) fn new(apps: config::Apps, kind: ServerKind, own: SocketAddr) -> Self {
        let config::Apps {
            urls,
            discovery,
            poll,
            retries,
            retry_interval,
            call_timeout,
            ignored,
            exposed,
            signing,
        } = apps;
        let mut client = ClientOptions::default()
            .with_kind(kind)
            .with_own_addresses(vec![own]);
        if let Some((main, fallback)) = signing {
            client = client.with_signing_keys(main, fallback);
        }
        if let Some(limit) = call_timeout {
            client = client.with_call_timeout(limit);
        }
        let mut options = AppsOptions::default()
            .with_kind(kind)
            .with_ignored(
                ignored
                    .into_iter()
                    .map(|option| option.0.as_str().to_owned()),
            )
            .with_exposed(exposed.into_iter().map(|function| function.0));
        if let Some(poll) = poll {
            options = options.with_poll(poll);
        }
        if let Some(retries) = retries {
            options = options.with_retries(retries);
        }
        let client = AppClient::new(Clock::system(), client);
        let directory = Directory::default();
        let (served, caller) = (Arc::new(directory.clone()), Arc::new(client.clone()));
        let worker = match retry_interval {
            Some(pause) => {
                ServedWorker::with_retry_interval(served, caller, Handle::current(), pause)
            }
            None => ServedWorker::new(served, caller, Handle::current()),
        };
        // In production an app that nobody has named is none of ours.
        let discovery = discovery && urls.is_empty() && kind == ServerKind::Dev;
        Self {
            worker,
            client,
            directory,
            options,
            urls,
            discovery,
        }
    }

    /// The engine of a store and its apps, of which those that were known before are there from the beginning.
    pub(super) async fn open(
        self,
        store: Arc<dyn Store>,
        options: EngineOptions,
    ) -> Result<(Engine, Served), Failure> {
        let Self {
            worker,
            client,
            directory,
            options: of_apps,
            urls,
            discovery,
        } = self;
        let known = KnownApps::load(&*store, client, directory, of_apps).await;
        let known = known.map_err(Failure::failed)?;
        let opened = Engine::open(store, Vec::new(), Arc::new(worker), known.with(options)).await;
        let engine = opened.map_err(Failure::failed)?;
        let served = Served {
            apps: known.open(engine.clone()),
            urls,
            discovery,
        };
        Ok((engine, served))
    }
}

/// The apps of a server.
pub(super) struct Served {
    pub(super) apps: Apps,
    urls: Vec<AppUrl>,
    discovery: bool,
}

impl Served {
    /// Asks those that are named from now on, or looks for some; until what comes back is dropped.
    pub(super) fn watch(&self) -> Watch {
        if !self.discovery {
            return self.apps.watch(self.urls.iter().map(ToString::to_string));
        }
        let port = std::env::var("PORT")
            .ok()
            .and_then(|port| port.parse().ok());
        let discovery = Discovery::default();
        self.apps.discover(match port {
            Some(port) => discovery.with_port(port),
            None => discovery,
        })
    }
}

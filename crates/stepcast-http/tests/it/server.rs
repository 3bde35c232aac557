//! A server for one test.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use stepcast_engine::{
    Engine, EngineOptions, Publication,
    catalog::Catalog,
    clock::Clock,
    hub::Draft,
    runs::{Failure, FunctionConfig, LeasedRun, Retry, StepKey, Worker},
    store::{
        Store, Verb,
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use stepcast_http::{
    Gateway, GatewayOptions, Keys,
    worker::{AppClient, Apps, AppsOptions, ClientOptions, Directory, KnownApps},
};
use stepcast_protocol::{
    ChannelGrant, ChannelName, ChannelSpec, Cursor, ErrorCode, EventName, FunctionId, Keep, Origin,
    Retention, RunError, StepId, TopicName, TopicSpec, limits,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::clients::{Answer, Events, Socket, ask, send_head, within};

/// A topic whose field `token` is joined.
pub(crate) fn text() -> Keep {
    Keep::Text {
        field: "token".to_owned(),
    }
}

/// Permission to read topics with history.
pub(crate) fn grant(channel: &str, topics: &[&str], cursor: Cursor) -> ChannelGrant {
    ChannelGrant {
        channel: ChannelName::parse(channel).unwrap(),
        topics: topics
            .iter()
            .map(|topic| TopicName::parse(topic).unwrap())
            .collect(),
        cursor,
        history: true,
        session: None,
    }
}

/// Keeps the runs it is given and does nothing with them.
#[derive(Default)]
struct Idle {
    runs: parking_lot::Mutex<Vec<LeasedRun>>,
    came: tokio::sync::Notify,
}

impl Worker for Idle {
    fn start(&self, run: LeasedRun) {
        self.runs.lock().push(run);
        self.came.notify_one();
    }
}

pub(crate) struct TestServer {
    pub(crate) gateway: Gateway,
    pub(crate) engine: Engine,
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<SqliteStore>,
    worker: Arc<Idle>,
    serving: JoinHandle<()>,
    directory: Arc<tempfile::TempDir>,
    apps: Option<(AppsOptions, ClientOptions)>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(GatewayOptions::default(), Keys::Dev).await
    }

    pub(crate) async fn with(options: GatewayOptions, keys: Keys) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let sqlite = SqliteOptions::new();
        Self::open(options, keys, directory, Catalog::default(), None, sqlite).await
    }

    pub(crate) async fn with_store(sqlite: SqliteOptions) -> Self {
        let (options, directory) = (GatewayOptions::default(), tempfile::tempdir().unwrap());
        let (keys, catalog) = (Keys::Dev, Catalog::default());
        Self::open(options, keys, Arc::new(directory), catalog, None, sqlite).await
    }

    /// A server that takes apps.
    pub(crate) async fn with_apps(apps: AppsOptions, client: ClientOptions, keys: Keys) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let apps = Some((apps, client));
        Self::open(
            GatewayOptions::default(),
            keys,
            directory,
            Catalog::default(),
            apps,
            SqliteOptions::new(),
        )
        .await
    }

    async fn open(
        options: GatewayOptions,
        keys: Keys,
        directory: Arc<tempfile::TempDir>,
        catalog: Catalog,
        apps: Option<(AppsOptions, ClientOptions)>,
        sqlite: SqliteOptions,
    ) -> Self {
        let clock = Clock::system();
        let file = directory.path().join("test.db");
        let (of_store, of_time) = (file, clock.clone());
        let open = move || SqliteStore::open(of_store, sqlite, of_time);
        let store = Arc::new(tokio::task::spawn_blocking(open).await.unwrap().unwrap());
        let engine_options = EngineOptions::default()
            .with_clock(clock)
            .with_catalog(catalog);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = match &apps {
            None => None,
            Some((apps, client)) => {
                let client = client.clone().with_own_addresses(vec![address]);
                let client = AppClient::new(engine_options.clock().clone(), client);
                let known = Directory::default();
                let loaded = KnownApps::load(&*store, client, known, apps.clone()).await;
                Some(loaded.unwrap())
            }
        };
        let engine_options = match &known {
            None => engine_options,
            Some(known) => known.with(engine_options),
        };
        let worker = Arc::new(Idle::default());
        let function = FunctionConfig::new(
            FunctionId::parse("f").unwrap(),
            vec![EventName::parse("go").unwrap()],
        );
        let engine = Engine::open(
            Arc::<SqliteStore>::clone(&store),
            vec![function],
            Arc::<Idle>::clone(&worker),
            engine_options,
        )
        .await
        .unwrap();
        let options = match known {
            None => options,
            Some(known) => options.with_apps(known.open(engine.clone())),
        };
        let gateway = Gateway::new(engine.clone(), options).await.unwrap();
        let app = gateway
            .app(keys)
            .into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            gateway,
            engine,
            address,
            store,
            worker,
            serving,
            directory,
            apps,
        }
    }

    /// Ends in order, and begins again with the same file and channels.
    pub(crate) async fn restart(self) -> Self {
        self.gateway.shutdown().await;
        self.engine.close(std::future::ready(())).await.unwrap();
        let (directory, catalog) = (Arc::clone(&self.directory), self.engine.catalog().clone());
        let apps = self.apps.clone();
        drop(self);
        Self::open(
            GatewayOptions::default(),
            Keys::Dev,
            directory,
            catalog,
            apps,
            SqliteOptions::new(),
        )
        .await
    }

    /// What happens when the disk has failed in the middle: a new life over the same file, in this process.
    pub(crate) async fn reopen(&self) {
        self.store.reopen().await.unwrap();
        self.engine.hub().restart().await.unwrap();
    }

    /// Declares a channel with these topics.
    pub(crate) fn declare(&self, template: &str, topics: Vec<(&str, Keep)>) {
        self.declare_bounded(template, topics, Retention::default());
    }

    pub(crate) fn declare_bounded(
        &self,
        template: &str,
        topics: Vec<(&str, Keep)>,
        retention: Retention,
    ) {
        let topic = |(name, keep)| TopicSpec {
            name: TopicName::parse(name).unwrap(),
            keep,
            retention,
            schema: None,
            doc: String::new(),
        };
        let spec = ChannelSpec {
            template: template.parse().unwrap(),
            topics: topics.into_iter().map(topic).collect(),
            rust_type: String::new(),
            doc: String::new(),
        };
        self.engine.catalog().declare(&spec).unwrap();
    }

    /// Starts a run, whose function is the test.
    pub(crate) async fn run(&self) -> LeasedRun {
        let answer = self.post("/e/dev", &[], r#"{"name":"go"}"#).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        within(async {
            loop {
                if let Some(run) = self.worker.runs.lock().pop() {
                    return run;
                }
                self.worker.came.notified().await;
            }
        })
        .await
    }

    /// Publishes from an attempt of the step `s`.
    pub(crate) async fn say(
        &self,
        run: &LeasedRun,
        attempt: u32,
        (channel, topic): (&str, &str),
        payload: impl Into<Bytes>,
    ) -> Cursor {
        let channel = ChannelName::parse(channel).unwrap();
        let topic = TopicName::parse(topic).unwrap();
        let keep = self.engine.catalog().keep(&channel, &topic);
        let origin = Origin {
            run: run.id,
            step: Some(StepId::parse("s").unwrap()),
            attempt,
        };
        let draft = Draft::new(topic, keep, payload.into(), Some(Arc::new(origin)));
        run.lease.publish(&channel, draft).await.unwrap()
    }

    /// Fails an attempt of the step `s`: what it said is void.
    pub(crate) fn fail(run: &LeasedRun) {
        let step = StepKey::new(StepId::parse("s").unwrap(), Verb::Run);
        let error = RunError::new(ErrorCode::FunctionFailed, "the test says so");
        run.lease
            .step_failed(step, Failure::of(error), Retry::times(9));
    }

    /// The apps of a server that takes them.
    pub(crate) fn apps(&self) -> &Apps {
        self.gateway.apps().unwrap()
    }

    /// What operators see of a channel.
    pub(crate) async fn shown(&self, channel: &str) -> Value {
        let path = format!("/v1/channels/{channel}");
        self.get(&path, &[]).await.json()["data"].clone()
    }

    /// How far one can see.
    pub(crate) async fn visible(&self, channel: &str) -> Cursor {
        let shown = self.shown(channel).await;
        shown["visible"].as_str().unwrap().parse().unwrap()
    }

    /// How many messages the store has of each topic of a channel.
    pub(crate) async fn kept(&self, channel: &str) -> Vec<u64> {
        let shown = self.shown(channel).await;
        let topics = shown["topics"].as_array().unwrap();
        let messages = topics.iter().map(|topic| topic["messages"].as_u64());
        messages.map(Option::unwrap).collect()
    }

    /// How many messages the store has of a topic.
    pub(crate) async fn kept_of(&self, channel: &str, topic: &str) -> u64 {
        let shown = self.shown(channel).await;
        let mut topics = shown["topics"].as_array().unwrap().iter();
        let found = topics.find(|shown| shown["topic"] == topic);
        found.map_or(0, |found| found["messages"].as_u64().unwrap())
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, mut holds: impl AsyncFnMut(&Self) -> bool) {
        within(async {
            while !holds(self).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// A token with everything a token can say.
    pub(crate) fn grant(&self, grant: ChannelGrant) -> String {
        let tokens = self.gateway.tokens();
        tokens.mint_grant(grant, limits::TOKEN_LIFETIME)
    }

    /// A native connection; `query` is what follows in the URL.
    pub(crate) async fn native(&self, token: &str, query: &str) -> Socket {
        self.connect(&format!("{token}&v=1{query}")).await
    }

    /// A token as npm `inngest` asks for it.
    pub(crate) async fn token(&self, channel: &str, topics: &[&str]) -> String {
        let topics: Vec<_> = topics
            .iter()
            .map(|name| json!({ "kind": "run", "channel": channel, "name": name }))
            .collect();
        let answer = self
            .post("/v1/realtime/token", &[], json!(topics).to_string())
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()["jwt"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn publish(
        &self,
        channel: &str,
        topic: &str,
        payload: impl Into<Bytes>,
    ) -> Cursor {
        let publication = Publication {
            channel: ChannelName::parse(channel).unwrap(),
            topic: TopicName::parse(topic).unwrap(),
            payload: payload.into(),
            run: None,
            durable: false,
            key: None,
        };
        loop {
            match self.engine.publish(publication.clone()).await {
                Err(error) if error.code().is_retryable() => tokio::task::yield_now().await,
                result => return result.unwrap(),
            }
        }
    }

    pub(crate) async fn connect(&self, token: &str) -> Socket {
        let stream = TcpStream::connect(self.address).await.unwrap();
        self.connect_on(stream, token).await
    }

    pub(crate) async fn connect_on(&self, stream: TcpStream, token: &str) -> Socket {
        let url = format!("ws://{}/v1/realtime/connect?token={token}", self.address);
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Socket(socket)
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.request("POST", path, headers, body).await
    }

    /// Posts a body of no announced length, piece by piece, and gives the whole answer.
    pub(crate) async fn post_pieces(
        &self,
        (path, headers): (&str, &[(&str, &str)]),
        body: &[u8],
        size: usize,
    ) -> String {
        let mut stream = self.send_head("POST", path, headers, None).await;
        for piece in body.chunks(size) {
            let head = format!("{:x}\r\n", piece.len());
            let chunk = [head.as_bytes(), piece, b"\r\n"].concat();
            stream.write_all(&chunk).await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        answer
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request("GET", path, headers, "").await
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        ask(self.address, method, path, headers, body).await
    }

    /// Begins a request; with no length its body goes until the stream is shut.
    pub(crate) async fn send_head(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: Option<usize>,
    ) -> TcpStream {
        send_head(self.address, method, path, headers, length).await
    }

    /// An event stream.
    pub(crate) async fn events(&self, token: &str, headers: &[(&str, &str)]) -> Events {
        let path = format!("/v1/realtime/sse?token={token}");
        let stream = self.send_head("GET", &path, headers, Some(0)).await;
        let mut events = Events::of(stream);
        let status = events.line().await;
        assert!(status.contains("200"), "{status}");
        loop {
            let line = events.line().await.to_ascii_lowercase();
            if line.is_empty() {
                return events;
            }
            events.1.push(line);
        }
    }

    /// Waits until the shards hold so many connections.
    pub(crate) async fn connections(&self, count: usize) {
        within(async {
            while self.gateway.stats().await.connections != count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

//! An engine whose functions one app serves, with a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::Value;
use stepcast_engine::{
    Engine, EngineOptions, Publication,
    clock::Clock,
    runs::FunctionConfig,
    store::memory::{AtOnce, Memory},
};
use stepcast_http::{
    Gateway, GatewayOptions, Keys,
    worker::{Served, ServedFunction, ServedWorker},
};
use stepcast_protocol::{
    ChannelName, EventName, FunctionId, RunId, RunStatus, RunView, Timestamp, TopicName,
    event::EventInput, sdk::config::StepUrl,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::JoinHandle,
};

use super::app::{App, Plain};
use crate::clients::within;

pub(super) const RETRIES: u32 = 3;

pub(super) struct Lab {
    pub(super) app: App,
    pub(super) engine: Engine,
    pub(super) clock: Clock,
    pub(super) address: SocketAddr,
    memory: Memory,
    serving: JoinHandle<()>,
}

/// Every function is served by the one app.
struct All(SocketAddr);

impl Served for All {
    fn function(&self, id: &FunctionId) -> Option<ServedFunction> {
        let url = format!("http://{}/api/inngest?fnId={id}&stepId=step", self.0);
        Some(ServedFunction {
            url: StepUrl::parse(&url).unwrap(),
            function: "1532da55-8854-54df-9738-757dd614b412".to_owned(),
            retries: RETRIES,
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Lab {
    pub(super) async fn start() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_795_462_334_963));
        Self::open(App::start().await, Memory::default(), clock).await
    }

    async fn open(app: App, memory: Memory, clock: Clock) -> Self {
        let store = memory.open(Arc::new(AtOnce::here()), clock.clone());
        let worker = ServedWorker::new(
            Arc::new(All(app.address)),
            Arc::new(Plain),
            Handle::current(),
        );
        let function = |id: &str, event: &str| {
            let (id, event) = (
                FunctionId::parse(id).unwrap(),
                EventName::parse(event).unwrap(),
            );
            FunctionConfig {
                speaks_from_outside: true,
                announces_end: true,
                ..FunctionConfig::new(id, vec![event])
            }
        };
        let engine = Engine::open(
            Arc::new(store),
            vec![function("lab-f", "go"), function("lab-child", "child")],
            Arc::new(worker.clone()),
            EngineOptions::default().with_clock(clock.clone()),
        )
        .await
        .unwrap();
        let options = GatewayOptions::default().with_worker(worker);
        let gateway = Gateway::new(engine.clone(), options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = gateway
            .app(Keys::Dev)
            .into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        app.report_to(address);
        Self {
            app,
            engine,
            clock,
            address,
            memory,
            serving,
        }
    }

    /// The process dies, and another one opens the same store.
    pub(super) async fn killed(mut self) -> Self {
        let app = std::mem::replace(&mut self.app, App::start().await);
        let (memory, clock) = (self.memory.clone(), self.clock.clone());
        drop(self);
        Self::open(app, memory, clock).await
    }

    /// The same engine with another app at the same address.
    pub(super) fn with_app(&mut self, listener: TcpListener) {
        self.app = App::on(listener);
        self.app.report_to(self.address);
    }

    /// Sends an event, and gives the runs that it started.
    pub(super) async fn send(&self, name: &str, data: &Value) -> Vec<RunId> {
        self.send_all_of(EventInput {
            name: name.to_owned(),
            data: serde_json::value::to_raw_value(data).ok(),
            ..EventInput::default()
        })
        .await
    }

    /// The same for one of which more is said.
    pub(super) async fn send_all_of(&self, input: EventInput) -> Vec<RunId> {
        let sent = self
            .engine
            .send(vec![input.check().unwrap()], None)
            .await
            .unwrap();
        sent[0].runs.clone()
    }

    /// What a run publishes while it is called.
    pub(super) async fn publish(&self, run: RunId, channel: &ChannelName) {
        let said = Publication {
            channel: channel.clone(),
            topic: TopicName::parse("status").unwrap(),
            payload: "1".into(),
            run: Some(run),
            durable: false,
            key: None,
        };
        self.engine.publish(said).await.unwrap();
    }

    /// How many messages of a channel are kept.
    pub(super) async fn kept(&self, channel: &ChannelName) -> u64 {
        let view = self.engine.channel(channel).await.unwrap();
        view.topics.iter().map(|topic| topic.messages).sum()
    }

    pub(super) async fn go(&self) -> RunId {
        self.send("go", &serde_json::json!({"user": 7})).await[0]
    }

    pub(super) async fn end_of(&self, run: RunId) -> RunView {
        within(self.engine.end_of(run)).await.unwrap()
    }

    /// What the function returned.
    pub(super) async fn output(&self, run: RunId) -> Value {
        let run = self.end_of(run).await;
        assert_eq!(run.status, RunStatus::Completed, "{:?}", run.error);
        serde_json::from_str(run.output.unwrap().get()).unwrap()
    }

    /// Why it failed.
    pub(super) async fn error(&self, run: RunId) -> String {
        let run = self.end_of(run).await;
        assert_eq!(run.status, RunStatus::Failed);
        run.error.unwrap().to_string()
    }

    /// Waits until no run executes: all wait for something recorded, or have ended.
    pub(super) async fn at_rest(&self) {
        self.until(|| self.engine.running() == 0).await;
    }

    /// Waits until a run is queued for its next attempt, and lets that time come.
    pub(super) async fn retried(&self, run: RunId, attempt: u32) {
        self.retried_after(run, attempt, |_| true).await;
        self.clock.advance(Duration::from_secs(3 * 60 * 60));
    }

    /// Waits until a run is queued for its next attempt, after an error like this.
    pub(super) async fn retried_after(
        &self,
        run: RunId,
        attempt: u32,
        is_right: impl Fn(&str) -> bool,
    ) {
        within(async {
            loop {
                let view = self.engine.run(run).await.unwrap().unwrap();
                assert!(!view.status.is_final(), "{:?}", view.error);
                if view.attempt == attempt && view.status == RunStatus::Queued {
                    let error = view.error.unwrap().to_string();
                    assert!(is_right(&error), "{error}");
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head[9..12].parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    pub(super) async fn until(&self, holds: impl Fn() -> bool) {
        within(async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

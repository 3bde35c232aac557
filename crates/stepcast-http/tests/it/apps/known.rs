//! Apps that were known before the process.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use stepcast_engine::{
    Engine, EngineOptions,
    clock::Clock,
    runs::{LeasedRun, Worker},
    store::memory::{AtOnce, Memory, Room, Work},
};
use stepcast_http::{
    ServerKind,
    worker::{
        AppClient, Apps, AppsOptions, ClientOptions, Directory, KnownApps,
        apps::{Registration, SyncError},
    },
};
use stepcast_protocol::{ErrorCode, RunStatus, Timestamp, event::EventInput};
use tokio::sync::mpsc;

use super::registering::{app, function};
use crate::clients::within;

/// Hands every run to the test.
struct Handing(mpsc::UnboundedSender<LeasedRun>);

impl Worker for Handing {
    fn start(&self, run: LeasedRun) {
        self.0.send(run).ok();
    }
}

/// A process over a store.
struct Life {
    engine: Engine,
    apps: Apps,
    directory: Directory,
    runs: mpsc::UnboundedReceiver<LeasedRun>,
    /// Of its store.
    work: Work,
}

impl Life {
    async fn open(memory: &Memory, clock: &Clock) -> Self {
        Self::open_with(memory, clock, AppsOptions::default()).await
    }

    async fn open_with(memory: &Memory, clock: &Clock, options: AppsOptions) -> Self {
        let store = Arc::new(memory.open(Arc::new(AtOnce::here()), clock.clone()));
        let work = store.work();
        let client = AppClient::new(clock.clone(), ClientOptions::default());
        let directory = Directory::default();
        let known = KnownApps::load(&*store, client, directory.clone(), options).await;
        let known = known.unwrap();
        let (handed, runs) = mpsc::unbounded_channel();
        let options = EngineOptions::default().with_clock(clock.clone());
        let worker = Arc::new(Handing(handed));
        let engine = Engine::open(store, Vec::new(), worker, known.with(options)).await;
        let engine = engine.unwrap();
        Self {
            apps: known.open(engine.clone()),
            engine,
            directory,
            runs,
            work,
        }
    }

    async fn register(&self, app: &Value) {
        self.try_register(app).await.unwrap();
    }

    async fn try_register(&self, app: &Value) -> Result<bool, SyncError> {
        let registration = Registration::read(app.to_string().as_bytes()).unwrap();
        self.apps.register(&registration).await
    }

    /// The ids of the apps that are known.
    fn known(&self) -> Vec<String> {
        let apps = self.directory.apps();
        apps.iter().map(|app| app.id.to_string()).collect()
    }

    async fn next(&mut self) -> LeasedRun {
        within(self.runs.recv()).await.unwrap()
    }
}

#[tokio::test]
async fn what_is_due_at_the_start_finds_the_functions_that_handle_it() {
    let (memory, clock) = (
        Memory::default(),
        Clock::manual(Timestamp::from_millis(1_795_462_334_963)),
    );
    let mut life = Life::open(&memory, &clock).await;
    let late = function("shop-late", json!({"timeouts": {"finish": "1m"}}));
    let on_end = json!({"triggers": [{"event": "inngest/function.cancelled"}]});
    life.register(&app(vec![late, function("shop-handler", on_end)]))
        .await;
    let event = EventInput {
        name: "shop-late/go".to_owned(),
        ..EventInput::default()
    };
    let event = event.check().unwrap();
    life.engine.send(vec![event], None).await.unwrap();
    let late = life.next().await.id;
    drop(life);
    clock.advance(Duration::from_secs(61));
    let mut life = Life::open(&memory, &clock).await;
    assert_eq!(life.directory.apps().len(), 1);
    let handler = loop {
        let run = life.next().await;
        if run.function == "shop-handler" {
            break run;
        }
    };
    let data: Value = serde_json::from_slice(&handler.event.data).unwrap();
    assert_eq!(data["run_id"], json!(late.to_string()));
    let ended = life.engine.run(late).await.unwrap().unwrap();
    assert_eq!(ended.status, RunStatus::Cancelled);
}

#[tokio::test]
async fn apps_that_contradict_each_other_keep_no_server_from_starting() {
    let (memory, clock) = (Memory::default(), Clock::system());
    let life = Life::open(&memory, &clock).await;
    let mut other = app(vec![function("shop-a", json!({}))]);
    other["appName"] = json!("store");
    let apps = [app(vec![function("shop-a", json!({}))]), other];
    let stored = json!({ "apps": apps }).to_string().into_bytes();
    life.engine.set_setting("apps", stored).await.unwrap();
    drop(life);
    let life = Life::open(&memory, &clock).await;
    let apps = life.directory.apps();
    assert_eq!(apps.len(), 1);
    assert_eq!(apps[0].id.as_str(), "shop");
}

/// An app of its own name and URL with one function.
fn named(name: &str, options: Value) -> Value {
    let mut named = app(vec![function(&format!("{name}-a"), options)]);
    named["appName"] = json!(name);
    named["url"] = json!(url_of(name));
    named
}

fn url_of(name: &str) -> String {
    format!("http://127.0.0.1:1/{name}")
}

#[tokio::test]
async fn a_change_that_could_not_be_stored_is_stored_when_it_is_asked_for_again() {
    let (memory, clock) = (Memory::default(), Clock::system());
    let (shop, url) = (named("shop", json!({})), url_of("shop"));
    let life = Life::open(&memory, &clock).await;
    life.work.set_room(Room::Nothing);
    let error = life.try_register(&shop).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoSpace);
    life.try_register(&shop).await.unwrap_err();
    life.work.set_room(Room::Enough);
    assert!(!life.try_register(&shop).await.unwrap());
    drop(life);

    let life = Life::open(&memory, &clock).await;
    assert_eq!(life.known(), ["shop"]);
    life.work.set_room(Room::Nothing);
    let error = life.apps.remove(&url).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoSpace);
    life.apps.remove(&url).await.unwrap_err();
    life.work.set_room(Room::Enough);
    assert!(!life.apps.remove(&url).await.unwrap());
    drop(life);

    let life = Life::open(&memory, &clock).await;
    assert!(life.known().is_empty());
}

#[tokio::test]
async fn an_app_that_is_left_out_at_the_start_is_kept_until_it_comes_or_is_removed() {
    let (memory, clock) = (Memory::default(), Clock::system());
    let throttled = json!({"throttle": {"limit": 1, "period": "1s"}});
    let wrong = AppsOptions::default().with_kind(ServerKind::Cloud);
    let right = wrong.clone().with_ignored(["throttle".to_owned()]);
    let life = Life::open_with(&memory, &clock, right.clone()).await;
    life.register(&named("shop", throttled.clone())).await;
    life.register(&named("store", throttled)).await;
    drop(life);

    let life = Life::open_with(&memory, &clock, wrong.clone()).await;
    assert!(life.known().is_empty());
    life.register(&named("third", json!({}))).await;
    drop(life);
    let life = Life::open_with(&memory, &clock, right.clone()).await;
    assert_eq!(life.known(), ["shop", "store", "third"]);
    drop(life);

    let life = Life::open_with(&memory, &clock, wrong.clone()).await;
    assert_eq!(life.known(), ["third"]);
    life.register(&named("shop", json!({}))).await;
    assert!(life.apps.remove(&url_of("store")).await.unwrap());
    assert!(!life.apps.remove(&url_of("store")).await.unwrap());
    drop(life);
    for options in [wrong, right] {
        let life = Life::open_with(&memory, &clock, options).await;
        assert_eq!(life.known(), ["shop", "third"]);
    }
}

//! `/ready`: 200 only while new work is taken, and what stands in the way otherwise.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use parking_lot::Mutex;
use stepcast_engine::{
    Engine, EngineOptions, Publication,
    clock::Clock,
    runs::{LeasedRun, Worker},
    store::{
        Batch, Store,
        memory::{Fault, Memory, Pace, Room, Work},
        sqlite::SqliteOptions,
    },
};
use stepcast_http::{Gateway, GatewayOptions, Keys};
use stepcast_protocol::{ChannelName, TopicName};
use tokio::{net::TcpListener, runtime::Handle};

use crate::{
    clients::{Answer, ask, within},
    server::TestServer,
};

/// A pace that commits at once, unless a test holds it.
struct Held {
    runtime: Handle,
    is_held: AtomicBool,
    work: Mutex<Option<Work>>,
}

impl Pace for Held {
    fn on_waiting(&self, work: Work) {
        *self.work.lock() = Some(work.clone());
        if !self.is_held.load(Ordering::SeqCst) {
            self.runtime.spawn(async move { work.finish() });
        }
    }
}

struct Nobody;

impl Worker for Nobody {
    fn start(&self, _: LeasedRun) {
        panic!("there are no functions");
    }
}

/// A server over a store that does what a test wants.
struct Willing {
    pace: Arc<Held>,
    engine: Engine,
    gateway: Gateway,
    address: SocketAddr,
}

impl Willing {
    async fn start() -> Self {
        let pace = Arc::new(Held {
            runtime: Handle::current(),
            is_held: AtomicBool::new(false),
            work: Mutex::default(),
        });
        let clock = Clock::system();
        let store = Memory::default().open(Arc::<Held>::clone(&pace), clock.clone());
        let options = EngineOptions::default().with_clock(clock);
        let engine = Engine::open(Arc::new(store), Vec::new(), Arc::new(Nobody), options).await;
        let engine = engine.unwrap();
        let gateway = Gateway::new(engine.clone(), GatewayOptions::default()).await;
        let gateway = gateway.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = gateway.app(Keys::Dev);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            pace,
            engine,
            gateway,
            address,
        }
    }

    fn work(&self) -> Work {
        self.pace.work.lock().clone().unwrap()
    }

    async fn ready(&self) -> Answer {
        ask(self.address, "GET", "/ready", &[], "").await
    }

    /// Waits until it says so.
    async fn until(&self, state: &str) -> Answer {
        within(async {
            loop {
                let answer = self.ready().await;
                if state_of(&answer) == state {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

fn state_of(answer: &Answer) -> String {
    answer.json()["data"]["state"].as_str().unwrap().to_owned()
}

/// What is said beside the state.
fn check_refusal(answer: &Answer, code: &str, next_step: &str) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    let body = answer.json();
    assert_eq!(
        (&body["code"], &body["status"]),
        (&code.into(), &503.into())
    );
    let sentence = body["error"].as_str().unwrap();
    assert!(sentence.contains(next_step), "{sentence}");
}

#[tokio::test]
async fn a_server_that_takes_work_says_so_to_everybody() {
    let signing = "00112233445566778899aabbccddeeff".to_owned();
    let keys = Keys::production(vec!["e".to_owned()], vec![signing]).unwrap();
    let server = TestServer::with(GatewayOptions::default(), keys).await;
    let answer = server.get("/ready", &[("host", "example.com")]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.head.contains("cache-control: no-store"));
    let data = &answer.json()["data"];
    assert_eq!(data["state"], "ready");
    assert_eq!(data["kind"], "dev");
    assert_eq!(data["version"], env!("CARGO_PKG_VERSION"));
    let rule = data["base_url"].as_str().unwrap();
    assert!(rule.contains("/v1, /e, /fn and /v0"), "{rule}");
    assert_eq!(server.get("/health", &[]).await.status, 200);
}

#[tokio::test]
async fn without_room_it_is_not_ready_until_there_is_some() {
    let server = Willing::start().await;
    server.until("ready").await;
    server.work().set_room(Room::Short);
    let refused = server.until("no_space").await;
    check_refusal(&refused, "no_space", "free space on the database's disk");
    server.work().set_room(Room::Enough);
    server.until("ready").await;
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_is_seen_though_nobody_publishes() {
    let short = SqliteOptions::new().with_min_free_bytes(u64::MAX);
    let server = TestServer::with_store(short).await;
    let refused = server.get("/ready", &[]).await;
    check_refusal(
        &refused,
        "no_space",
        "bytes are free, at least 18446744073709551615",
    );
    // It lives all the same.
    assert_eq!(server.get("/health", &[]).await.status, 200);
}

#[tokio::test]
async fn what_a_publisher_was_refused_counts_for_a_while() {
    let server = Willing::start().await;
    server.work().set_room(Room::Short);
    let publication = Publication {
        channel: ChannelName::parse("c").unwrap(),
        topic: TopicName::parse("t").unwrap(),
        payload: "1".into(),
        run: None,
        durable: true,
        key: None,
    };
    server
        .engine
        .publish(publication.clone())
        .await
        .unwrap_err();
    // The file is full and not the disk, so that only who writes can tell.
    server.work().set_room(Room::Enough);
    let refused = server.until("no_space").await;
    check_refusal(&refused, "no_space", "refused less than 10 s ago");
    server.engine.publish(publication).await.unwrap();
    server.until("ready").await;
}

#[tokio::test]
async fn while_the_store_is_reopened_it_is_not_ready() {
    let server = Willing::start().await;
    server.until("ready").await;
    server.pace.is_held.store(true, Ordering::SeqCst);
    let engine = server.engine.clone();
    let publication = Publication {
        channel: ChannelName::parse("c").unwrap(),
        topic: TopicName::parse("t").unwrap(),
        payload: "1".into(),
        run: None,
        durable: true,
        key: None,
    };
    let published = tokio::spawn(async move { engine.publish(publication).await });
    within(async {
        while server.work().waiting() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.work().fail(usize::MAX, Fault::Lost);
    while server.work().complete() {}
    published.await.unwrap().unwrap_err();
    let refused = server.until("reopening").await;
    check_refusal(&refused, "not_ready", "wait for it");

    server.pace.is_held.store(false, Ordering::SeqCst);
    let work = server.work();
    within(async {
        while state_of(&server.ready().await) != "ready" {
            work.finish();
        }
    })
    .await;
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_ready() {
    let server = TestServer::start().await;
    let (release, released) = mpsc::channel::<()>();
    let held = Box::new(move |_| released.recv().unwrap());
    server.store.submit(Batch::default(), held);
    let refused = server.get("/ready", &[]).await;
    check_refusal(&refused, "not_ready", "for 2 s; look at its disk");
    assert_eq!(state_of(&refused), "stuck");
    release.send(()).unwrap();
    server
        .until(async |server| server.get("/ready", &[]).await.status == 200)
        .await;
}

#[tokio::test]
async fn at_its_end_it_is_not_ready() {
    let server = TestServer::start().await;
    // Somebody executes, and keeps the engine from its end.
    let _run = server.run().await;
    let (_patience, never) = tokio::sync::oneshot::channel::<()>();
    let engine = server.engine.clone();
    let closing = tokio::spawn(async move { engine.close(async { drop(never.await) }).await });
    server
        .until(async |server| server.get("/ready", &[]).await.status == 503)
        .await;
    let refused = server.get("/ready", &[]).await;
    check_refusal(&refused, "closing", "its next start");
    closing.abort();

    let server = Willing::start().await;
    server.gateway.shutdown().await;
    check_refusal(&server.ready().await, "closing", "its next start");
    server.engine.close(std::future::ready(())).await.unwrap();
    check_refusal(&server.ready().await, "closing", "its next start");
}

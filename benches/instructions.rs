//! Paths of the product, each so often, for a tool that counts instructions: `cargo xtask verify instructions` runs this under callgrind.
//!
//! Everything that could differ from run to run is taken out: time stands still, commits happen when they are told to, the engine works on
//! this thread, and there is one shard. The stages compare two runs that differ only in how often something is done, so what it takes to set the
//! scene cancels out.
//!
//! `instructions <path> <times>`, with the paths of [`Path`].

use std::{
    future::Future,
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode, header},
};
use bytes::Bytes;
use stepcast_benches::AsyncClient;
use stepcast_engine::{
    Engine, EngineOptions, Publication,
    clock::{Clock, Entropy},
    runs::{FunctionConfig, LeasedRun, StepKey, Worker},
    store::{
        Batch, Outcome, StepRow, StepState, StoreExt, Verb, Write,
        memory::{Memory, Pace, Work},
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use stepcast_http::{Gateway, GatewayOptions, Keys};
use stepcast_protocol::{
    ChannelGrant, ChannelName, Cursor, EventInput, EventName, FunctionId, RunId, StepId, Timestamp,
    TopicName,
};
use tower_service::Service;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Readers of a delivery.
const READERS: usize = 100;
/// Messages that were published before readers come, so that every number after them has as many digits.
const EARLIER: u64 = 1_000;
/// Messages that a reader who comes late is given: no more than a socket takes at once. Of more, some are framed again when it takes the rest,
/// and how many depends on how the threads take turns.
const KEPT: u64 = 32;
const PAYLOAD_BYTES: usize = 200;

/// What is done, and how often each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    /// A message to each of [`READERS`] sockets.
    DeliveryAlone,
    /// 16 messages that become visible at once, to each of as many.
    DeliveryOfSixteen,
    /// A request to publish a message, without a socket, and its commit in memory.
    Publish,
    /// A step's end, from a worker's report to its commit in memory.
    Step,
    /// A step's row, on disk.
    Commit,
    /// [`KEPT`] messages to a reader that begins at the start.
    Replay,
}

impl Path {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "delivery-1" => Self::DeliveryAlone,
            "delivery-16" => Self::DeliveryOfSixteen,
            "publish" => Self::Publish,
            "step" => Self::Step,
            "commit" => Self::Commit,
            "replay" => Self::Replay,
            _ => return None,
        })
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, times) = match &arguments[..] {
        [path, times] => (Path::named(path), times.parse::<u64>().ok()),
        _ => (None, None),
    };
    let (Some(path), Some(times)) = (path, times) else {
        return Err("give a path (delivery-1, delivery-16, publish, step, commit, replay) and a number of times".into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match path {
            Path::DeliveryAlone => deliver(1, times).await,
            Path::DeliveryOfSixteen => deliver(16, times).await,
            Path::Publish => publish(times).await,
            Path::Step => end_steps(times).await,
            Path::Commit => commit(times).await,
            Path::Replay => replay(times).await,
        }
    })
}

/// Leaves commits to this program.
struct Told;

impl Pace for Told {
    fn on_waiting(&self, _work: Work) {}
}

/// Keeps the run it is given.
#[derive(Default)]
struct Keep(Mutex<Vec<LeasedRun>>);

impl Worker for Keep {
    fn start(&self, run: LeasedRun) {
        self.0.lock().expect("nobody panics").push(run);
    }
}

/// An engine in memory whose commits are told when to happen.
struct World {
    engine: Engine,
    work: Work,
    worker: Arc<Keep>,
}

impl World {
    async fn open() -> Result<Self, Failure> {
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_123));
        let store = Memory::default().open(Arc::new(Told), clock.clone());
        let work = store.work();
        let worker = Arc::<Keep>::default();
        let options = EngineOptions::default()
            .with_clock(clock)
            .with_entropy(Entropy::seeded(7))
            .with_runtime(tokio::runtime::Handle::current());
        let function = FunctionConfig::new(
            FunctionId::parse("count")?,
            vec![EventName::parse("app/count")?],
        );
        let opening = Engine::open(
            Arc::new(store),
            vec![function],
            Arc::<Keep>::clone(&worker),
            options,
        );
        let engine = settled(&work, opening).await?;
        Ok(Self {
            engine,
            work,
            worker,
        })
    }

    /// Commits what it needs to come to its end.
    async fn settle<T>(&self, what: impl Future<Output = T>) -> T {
        settled(&self.work, what).await
    }

    async fn gateway(&self) -> Result<Gateway, Failure> {
        let options = GatewayOptions::default()
            .with_shards(1)
            .with_connections_per_address(usize::MAX)
            .with_keepalive(Duration::from_secs(1_000_000));
        let opening = Gateway::new(self.engine.clone(), options);
        Ok(self.settle(opening).await?)
    }

    async fn publish(&self, durable: bool) -> Result<Cursor, Failure> {
        Ok(self.engine.publish(message(durable)?).await?)
    }

    /// Publishes messages, and sees to it that they are kept.
    async fn fill(&self, messages: u64) -> Result<Cursor, Failure> {
        let mut last = Cursor::START;
        for number in 0..messages {
            last = self.publish(false).await?;
            if number % 100 == 99 {
                self.work.finish();
            }
        }
        self.work.finish();
        Ok(last)
    }
}

async fn settled<T>(work: &Work, what: impl Future<Output = T>) -> T {
    let mut what = pin!(what);
    loop {
        tokio::select! {
            biased;
            done = &mut what => return done,
            () = tokio::task::yield_now() => work.finish(),
        }
    }
}

fn channel() -> Result<ChannelName, Failure> {
    Ok(ChannelName::parse("room:1")?)
}

fn message(durable: bool) -> Result<Publication, Failure> {
    Ok(Publication {
        channel: channel()?,
        topic: TopicName::parse("said")?,
        payload: payload(),
        run: None,
        durable,
        key: None,
    })
}

fn payload() -> Bytes {
    let text = "x".repeat(PAYLOAD_BYTES - r#"{"text":""}"#.len());
    Bytes::from(format!("{{\"text\":\"{text}\"}}"))
}

/// Serves a gateway's routes on this runtime.
async fn serve(gateway: &Gateway) -> io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let routes = gateway
        .router()
        .into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

fn token(gateway: &Gateway, cursor: Cursor) -> Result<String, Failure> {
    let grant = ChannelGrant {
        channel: channel()?,
        topics: vec![TopicName::parse("said")?],
        cursor,
        history: true,
        session: None,
    };
    Ok(gateway.tokens().mint_grant(grant, Duration::from_secs(600)))
}

/// Delivers messages to readers, which take them before the next ones are published.
async fn deliver(messages: u64, times: u64) -> Result<(), Failure> {
    let world = World::open().await?;
    let gateway = world.gateway().await?;
    let address = serve(&gateway).await?;
    let last = world.fill(EARLIER).await?;
    let token = token(&gateway, last)?;
    let mut clients = Vec::new();
    for _ in 0..READERS {
        let mut client = AsyncClient::connect(address, &token, "&v=1&from=now").await?;
        client.read().await?;
        clients.push(client);
    }
    // Behind the ping that each gets first.
    world.publish(false).await?;
    world.work.finish();
    let mut sockets = Vec::new();
    for mut client in clients {
        client.read().await?;
        sockets.push(client.into_socket()?);
    }
    let mut frame = first_frame(&world, &mut sockets, messages).await?;
    for _ in 0..times {
        make_visible(&world, messages).await?;
        for socket in &mut sockets {
            socket.read_exact(&mut frame)?;
        }
        world.work.finish();
    }
    drop(sockets);
    end(&gateway).await;
    Ok(())
}

/// What a shard does at its end it has done when the process ends, and is counted each time.
async fn end(gateway: &Gateway) {
    gateway.shutdown().await;
}

/// Publishes what becomes visible in one moment: the first message waits for its commit, and those behind it for the first.
async fn make_visible(world: &World, messages: u64) -> Result<(), Failure> {
    if messages == 1 {
        world.publish(false).await?;
        return Ok(());
    }
    let mut first = pin!(world.publish(true));
    // Takes its number.
    tokio::select! {
        biased;
        published = &mut first => drop(published?),
        () = std::future::ready(()) => {}
    }
    if world.work.waiting() != 1 {
        return Err("the first message is not waiting for its commit".into());
    }
    for _ in 1..messages {
        world.publish(false).await?;
    }
    world.work.finish();
    first.await?;
    Ok(())
}

/// As many bytes as each reader gets each time, seen when it happens for the first time.
async fn first_frame(
    world: &World,
    sockets: &mut [TcpStream],
    messages: u64,
) -> Result<Vec<u8>, Failure> {
    make_visible(world, messages).await?;
    let mut bytes = 0;
    for socket in &mut *sockets {
        bytes = 0;
        for _ in 0..messages {
            let mut head = [0; 4];
            socket.read_exact(&mut head)?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            socket.read_exact(&mut vec![0; length])?;
            bytes += head.len() + length;
        }
    }
    world.work.finish();
    Ok(vec![0; bytes])
}

/// Publishes over HTTP, without the sockets.
async fn publish(times: u64) -> Result<(), Failure> {
    let world = World::open().await?;
    let gateway = world.gateway().await?;
    let mut app = gateway.app(Keys::Dev);
    world.fill(EARLIER).await?;
    for number in 0..times {
        let answer = Service::call(&mut app, publish_request()?).await?;
        if answer.status() != StatusCode::OK {
            return Err(format!("a publish was answered {}", answer.status()).into());
        }
        if number % 16 == 15 {
            world.work.finish();
        }
    }
    end(&gateway).await;
    Ok(())
}

fn publish_request() -> Result<Request<Body>, Failure> {
    let caller = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_000));
    let request = Request::post("/v1/realtime/publish?channel=room%3A1&topic=said")
        .header(header::HOST, "127.0.0.1:8288")
        .header(header::CONTENT_TYPE, "application/json")
        .extension(ConnectInfo(caller));
    Ok(request.body(Body::from(payload()))?)
}

/// Ends steps of one run, one after the other.
async fn end_steps(times: u64) -> Result<(), Failure> {
    let world = World::open().await?;
    let event: EventInput = serde_json::from_str(r#"{"name":"app/count"}"#)?;
    let sending = world.engine.send(vec![event.check()?], None);
    world.settle(sending).await?;
    let mut run = loop {
        world.work.finish();
        let run = world.worker.0.lock().expect("nobody panics").pop();
        match run {
            Some(run) => break run,
            None => tokio::task::yield_now().await,
        }
    };
    for number in 0..times {
        let step = StepId::parse(format!("step {number:04}"))?;
        let outcome = Outcome::Ok(Bytes::from_static(br#"{"ok":true}"#));
        run.lease.step_ended(StepKey::new(step, Verb::Run), outcome);
        let heard = world.settle(run.updates.recv()).await;
        heard.ok_or("the run has ended before its steps")?;
    }
    Ok(())
}

/// Commits rows of steps to a file, one after the other.
async fn commit(times: u64) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("count.db");
    let store = SqliteStore::open(file, SqliteOptions::new(), Clock::system())?;
    for number in 0..times {
        let row = StepRow {
            run: RunId::from_parts(1, 1),
            step: StepId::parse(format!("step {number:04}"))?,
            verb: Verb::Run,
            target: String::new(),
            attempts: 1,
            state: StepState::Done {
                seq: number,
                outcome: Outcome::Ok(Bytes::from_static(br#"{"ok":true}"#)),
            },
            began_at: Timestamp::from_millis(1),
            changed_at: Timestamp::from_millis(1),
        };
        let batch = Batch::of(vec![Write::Step(Box::new(row))]);
        store.commit(batch).await?;
    }
    Ok(())
}

/// Replays a channel to readers that come one after the other.
async fn replay(times: u64) -> Result<(), Failure> {
    let world = World::open().await?;
    let gateway = world.gateway().await?;
    let address = serve(&gateway).await?;
    let last = world.fill(KEPT).await?;
    let token = token(&gateway, last)?;
    let newest = format!("\"id\":\"{last}\"");
    for _ in 0..times {
        let mut client = AsyncClient::connect(address, &token, "&v=1&from=start").await?;
        while !client.read().await?.contains(&newest) {}
    }
    end(&gateway).await;
    Ok(())
}

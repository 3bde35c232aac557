//! Many readers at once: what one that never reads does to the others, and how soon thousands that come back are where the rest is.
//!
//! The readers live in a process of their own, this program started again. Each checks that its numbers come in order, once, without a hole.
//!
//! `cargo bench --bench crowd [-- slow | resume]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    io::BufRead,
    net::SocketAddr,
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::{GatewayOptions, prelude::*};
use stepcast_benches::{AsyncClient, micros, quantile};
use tokio::task::JoinSet;

/// Set for the process that holds the readers.
const ORDER: &str = "STEPCAST_BENCH_CROWD";

#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("room:{n}")]
enum Room {
    #[topic(messages = 1_000_000, bytes = 1_000_000_000)]
    Said { n: u64, at: u64, text: String },
}

/// What the readers are to do. All of them come at once.
#[derive(Serialize, Deserialize)]
struct Order {
    address: SocketAddr,
    /// One per room.
    rooms: Vec<RoomOrder>,
    readers_per_room: usize,
    /// The last number of each room.
    last: u64,
    /// Readers beside them that never read.
    stalled: usize,
}

#[derive(Serialize, Deserialize)]
struct RoomOrder {
    token: String,
    from: String,
    /// The first number to come.
    first: u64,
    /// A reader that has this one is where the room was when it came.
    caught_up: u64,
}

/// What one reader saw.
#[derive(Default, Serialize, Deserialize)]
struct Seen {
    latencies: Vec<Duration>,
    caught_up: Vec<Duration>,
    wrong: u64,
    gaps: u64,
}

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match std::env::var(ORDER) {
        Ok(order) => runtime.block_on(readers(serde_json::from_str(&order)?)),
        Err(_) => runtime.block_on(server()),
    }
}

async fn server() -> Result<(), Error> {
    let which = std::env::args().find(|argument| argument == "slow" || argument == "resume");
    if which.as_deref() != Some("resume") {
        println!("1,000 readers of one channel, 20 messages/s of 4 KiB, publish to arrival:");
        slow(0).await?;
        slow(1).await?;
    }
    if which.as_deref() != Some("slow") {
        resume().await?;
    }
    Ok(())
}

async fn open(dir: &tempfile::TempDir) -> Result<(Stepcast, SocketAddr), Error> {
    let gateway = GatewayOptions::default().with_connections_per_address(usize::MAX);
    let app = App::new("crowd").channel::<Room>();
    let stepcast = Stepcast::options()
        .with_gateway(gateway)
        .open(dir.path().join("crowd.db"), app)
        .await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let routes = stepcast
        .router()
        .into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok((stepcast, address))
}

async fn slow(stalled: usize) -> Result<(), Error> {
    const MESSAGES: u64 = 200;
    let dir = tempfile::tempdir()?;
    let (stepcast, address) = open(&dir).await?;
    let room = Room::at(0);
    let order = Order {
        address,
        rooms: vec![RoomOrder {
            token: stepcast
                .token(&room)
                .lifetime(Duration::from_secs(600))
                .await?,
            from: "now".into(),
            first: 1,
            caught_up: 0,
        }],
        readers_per_room: 1_000,
        last: MESSAGES,
        stalled,
    };
    let mut crowd = Crowd::start(&order)?;
    crowd.wait_for("connected").await?;
    for n in 1..=MESSAGES {
        say(&stepcast, 0, n, 4_096).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut seen = crowd.end().await?;
    let (p50, p99) = (
        quantile(&mut seen.latencies, 0.5),
        quantile(&mut seen.latencies, 0.99),
    );
    println!(
        "  {stalled} that never read: p50 {:.0} µs, p99 {:.0} µs, max {:.0} µs, lost, double or out of order: {}, gaps: {}, kept for full sockets: {} bytes",
        micros(p50),
        micros(p99),
        micros(quantile(&mut seen.latencies, 1.0)),
        seen.wrong,
        seen.gaps,
        stepcast.connections().await.unsent_bytes,
    );
    stepcast.shutdown().await
}

async fn resume() -> Result<(), Error> {
    const ROOMS: u64 = 100;
    const BEFORE: u64 = 200;
    const WHILE: u64 = 100;
    let dir = tempfile::tempdir()?;
    let (stepcast, address) = open(&dir).await?;
    let mut rooms = Vec::new();
    for room in 0..ROOMS {
        let mut left = String::new();
        for n in 1..=BEFORE {
            let cursor = say(&stepcast, room, n, 200).await?;
            if n == BEFORE / 2 {
                left = cursor;
            }
        }
        rooms.push(RoomOrder {
            token: stepcast
                .token(&Room::at(room))
                .lifetime(Duration::from_secs(600))
                .await?,
            from: left,
            first: BEFORE / 2 + 1,
            caught_up: BEFORE,
        });
    }
    let order = Order {
        address,
        rooms,
        readers_per_room: 50,
        last: BEFORE + WHILE,
        stalled: 0,
    };
    let crowd = Crowd::start(&order)?;
    // 1,000 messages/s over all rooms.
    for n in BEFORE + 1..=BEFORE + WHILE {
        for room in 0..ROOMS {
            say(&stepcast, room, n, 200).await?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut seen = crowd.end().await?;
    println!(
        "5,000 readers of 100 channels come back at once, 100 messages behind, while 1,000 messages/s flow: caught up after p50 {:.0} ms, \
         p99 {:.0} ms, max {:.0} ms; lost, double or out of order: {}, gaps: {}",
        micros(quantile(&mut seen.caught_up, 0.5)) / 1e3,
        micros(quantile(&mut seen.caught_up, 0.99)) / 1e3,
        micros(quantile(&mut seen.caught_up, 1.0)) / 1e3,
        seen.wrong,
        seen.gaps,
    );
    stepcast.shutdown().await
}

async fn say(stepcast: &Stepcast, room: u64, n: u64, bytes: usize) -> Result<String, Error> {
    let message = Room::Said {
        n,
        at: now(),
        text: "x".repeat(bytes.saturating_sub(40)),
    };
    let cursor = stepcast.publish(&Room::at(room), message).await?;
    Ok(cursor.to_string())
}

/// Microseconds since 1970, the same for both processes.
fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The process with the readers.
struct Crowd {
    lines: tokio::sync::mpsc::UnboundedReceiver<String>,
}

impl Crowd {
    fn start(order: &Order) -> Result<Self, Error> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(ORDER, serde_json::to_string(order)?)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| Error::msg("no output"))?;
        let (said, lines) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
            {
                said.send(line).ok();
            }
            child.wait().ok();
        });
        Ok(Self { lines })
    }

    async fn wait_for(&mut self, line: &str) -> Result<(), Error> {
        match self.lines.recv().await {
            Some(said) if said == line => Ok(()),
            said => Err(Error::msg(format!("the readers said {said:?}"))),
        }
    }

    async fn end(mut self) -> Result<Seen, Error> {
        while let Some(line) = self.lines.recv().await {
            if line.starts_with('{') {
                return Ok(serde_json::from_str(&line)?);
            }
        }
        Err(Error::msg(
            "the readers ended without a word; a limit of open files may be too low",
        ))
    }
}

async fn readers(order: Order) -> Result<(), Error> {
    let Order {
        address,
        rooms,
        readers_per_room,
        last,
        stalled,
    } = order;
    let mut idle = Vec::new();
    for _ in 0..stalled {
        let query = format!("&v=1&from={}", rooms[0].from);
        idle.push(AsyncClient::connect(address, &rooms[0].token, &query).await?);
    }
    let (come, mut came) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for room in rooms {
        let room = std::sync::Arc::new(room);
        for _ in 0..readers_per_room {
            tasks.spawn(read(
                address,
                std::sync::Arc::clone(&room),
                last,
                come.clone(),
            ));
        }
    }
    for _ in 0..tasks.len() {
        came.recv().await;
    }
    println!("connected");
    let mut all = Seen::default();
    while let Some(seen) = tasks.join_next().await {
        let seen = seen??;
        all.latencies.extend(seen.latencies);
        all.caught_up.extend(seen.caught_up);
        all.wrong += seen.wrong;
        all.gaps += seen.gaps;
    }
    println!("{}", serde_json::to_string(&all)?);
    drop(idle);
    Ok(())
}

async fn read(
    address: SocketAddr,
    room: std::sync::Arc<RoomOrder>,
    last: u64,
    come: tokio::sync::mpsc::UnboundedSender<()>,
) -> Result<Seen, Error> {
    let begin = std::time::Instant::now();
    let query = format!("&v=1&from={}", room.from);
    let mut client = AsyncClient::connect(address, &room.token, &query).await?;
    let (mut seen, mut next) = (Seen::default(), room.first);
    let mut told = Some(come);
    while next <= last {
        let frame = client.read().await?;
        if let Some(told) = told.take() {
            told.send(()).ok();
        }
        if frame.starts_with("{\"kind\":\"gap\"") {
            seen.gaps += 1;
        }
        if !frame.starts_with("{\"kind\":\"data\"") {
            continue;
        }
        let (Some(n), Some(at)) = (number(&frame, "\"n\":"), number(&frame, "\"at\":")) else {
            return Err(Error::msg(format!("a reader got {frame}")));
        };
        if n != next {
            seen.wrong += 1;
        }
        next = n + 1;
        seen.latencies
            .push(Duration::from_micros(now().saturating_sub(at)));
        if n == room.caught_up {
            seen.caught_up.push(begin.elapsed());
        }
    }
    Ok(seen)
}

/// The number behind a key, without reading all of the frame.
fn number(frame: &str, key: &str) -> Option<u64> {
    let rest = &frame[frame.find(key)? + key.len()..];
    let end = rest.find(|digit: char| !digit.is_ascii_digit())?;
    rest[..end].parse().ok()
}

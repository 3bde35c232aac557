//! How soon a message is there, and what it costs to join late.
//!
//! - From publish to delivery, one reader, one message at a time: in the process, through a socket, and durable against the store's own
//!   commit of the same row.
//! - The floor of a socket: a thread's runtime is woken and writes as many bytes to one, which another thread reads. How long two wakes take
//!   is the machine's, and differs with what else it does: compare the ratio, not the time.
//! - Joining a run that has said 10,000 tokens on a `text` topic: bytes and time, with the channel in memory and after a restart.
//!
//! `cargo bench --bench readers [-- MESSAGES]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    io::Read,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::{Clock, Position, SqliteOptions, Subscription, prelude::*};
use stepcast_benches::{Client, micros, quantile};
use stepcast_engine::store::{Batch, StoreExt, Write, sqlite::SqliteStore};
use stepcast_protocol::{ChannelName, Cursor, Epoch, Kind, Message, Offset, Timestamp, TopicName};
use tokio::{io::AsyncWriteExt, sync::Notify};

const TOKENS: usize = 10_000;
/// What a message of 200 bytes is on a socket, with what the frame says of it.
const FRAME_BYTES: usize = 400;

#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("room:{name}")]
enum Room {
    #[topic(keep = "live")]
    Live {
        text: String,
    },
    Said {
        text: String,
    },
}

#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("story:{name}")]
enum Story {
    #[topic(keep = "text", text = "token")]
    Tokens { token: String },
}

#[derive(Event, Serialize, Deserialize)]
#[event("bench/tell")]
struct Tell {}

/// About 200 bytes, as most messages have.
fn text() -> String {
    "x".repeat(180)
}

fn app() -> App {
    App::new("readers")
        .channel::<Room>()
        .channel::<Story>()
        .function(function("tell", tell))
}

async fn tell(ctx: Ctx<Tell>) -> Result<(), Error> {
    ctx.step("tell")
        .run(|| async {
            for n in 0..TOKENS {
                let token = format!("word{n} ");
                ctx.publish(&Story::at("s"), Story::Tokens { token })
                    .await?;
            }
            Ok(())
        })
        .await
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let messages = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(3_000);
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("readers.db");
    let stepcast = Stepcast::open(&file, app()).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let routes = stepcast
        .router()
        .into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });

    println!("publish to delivery, one at a time, {messages} messages of 200 bytes, p50 / p99:");
    show(
        "in process, live",
        in_process(&stepcast, "a", messages, Speed::Live).await?,
    );
    show(
        "in process, log",
        in_process(&stepcast, "b", messages, Speed::Logged).await?,
    );
    let mut socket = through_socket(&stepcast, address, messages).await?;
    let mut woken = socket_alone(messages, Wake::Shard).await?;
    let over = quantile(&mut socket, 0.5).as_secs_f64() / quantile(&mut woken, 0.5).as_secs_f64();
    show("through a socket, live", socket);
    show(
        "floor: waking a runtime that writes as much to a socket",
        woken,
    );
    show(
        "of that, writing to a socket at once",
        socket_alone(messages, Wake::Nobody).await?,
    );
    println!("  through a socket over its floor, p50: {over:.2}");
    let mut durable = in_process(&stepcast, "c", messages / 10, Speed::Durable).await?;
    let mut floor = store_alone(&dir.path().join("floor.db"), messages / 10).await?;
    let over = quantile(&mut durable, 0.5).saturating_sub(quantile(&mut floor, 0.5));
    show("in process, durable", durable);
    show("floor: the store's commit of the same row", floor);
    println!("  durable over its commit, p50: {:.0} µs", micros(over));

    late_join(&stepcast, address, "in memory").await?;
    stepcast.shutdown().await?;
    serving.abort();
    let stepcast = Stepcast::open(&file, app()).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let routes = stepcast
        .router()
        .into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
    join(&stepcast, address, "after a restart").await?;
    stepcast.shutdown().await?;
    serving.abort();
    Ok(())
}

fn show(what: &str, mut measured: Vec<Duration>) {
    let (p50, p99) = (quantile(&mut measured, 0.5), quantile(&mut measured, 0.99));
    println!("  {what}: {:.1} / {:.1} µs", micros(p50), micros(p99));
}

#[derive(Clone, Copy)]
enum Speed {
    Live,
    Logged,
    Durable,
}

async fn in_process(
    stepcast: &Stepcast,
    name: &str,
    messages: usize,
    speed: Speed,
) -> Result<Vec<Duration>, Error> {
    let room = Room::at(name);
    let mut reader: Subscription<Room> = stepcast
        .subscribe(&room)
        .from(Position::Now)
        .opened()
        .await?;
    let mut measured = Vec::with_capacity(messages);
    for _ in 0..messages {
        let message = match speed {
            Speed::Live => Room::Live { text: text() },
            Speed::Logged | Speed::Durable => Room::Said { text: text() },
        };
        // The disk must keep up, or publishers are held back.
        if matches!(speed, Speed::Logged) && measured.len() % 100 == 99 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let begin = Instant::now();
        let publish = stepcast.publish(&room, message);
        match speed {
            Speed::Live | Speed::Logged => publish.await?,
            Speed::Durable => publish.durable().await?,
        };
        reader.try_next().await?;
        measured.push(begin.elapsed());
    }
    Ok(measured)
}

async fn through_socket(
    stepcast: &Stepcast,
    address: SocketAddr,
    messages: usize,
) -> Result<Vec<Duration>, Error> {
    let room = Room::at("socket");
    let token = stepcast.token(&room).await?;
    let (seen, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let (go, gone) = tokio::sync::oneshot::channel();
    let reader = std::thread::spawn(move || -> std::io::Result<()> {
        let mut client = Client::connect(address, &token, "")?;
        go.send(()).ok();
        for _ in 0..messages {
            client.read()?;
            seen.send(Instant::now()).ok();
        }
        Ok(())
    });
    gone.await
        .map_err(|_| Error::msg("the reader did not connect"))?;
    let mut measured = Vec::with_capacity(messages);
    for _ in 0..messages {
        let begin = Instant::now();
        stepcast.publish(&room, Room::Live { text: text() }).await?;
        let arrived = arrivals.recv().await;
        let arrived = arrived.ok_or_else(|| Error::msg("the reader has gone"))?;
        measured.push(arrived.duration_since(begin));
    }
    reader
        .join()
        .map_err(|_| Error::msg("the reader panicked"))??;
    Ok(measured)
}

/// Who writes to the socket.
#[derive(Clone, Copy)]
enum Wake {
    /// A thread with a runtime of its own, as a shard is.
    Shard,
    /// The publisher.
    Nobody,
}

/// Sends as many bytes as a message's frame has to a thread that reads them, and nothing more.
async fn socket_alone(messages: usize, wake: Wake) -> Result<Vec<Duration>, Error> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let mut client = std::net::TcpStream::connect(listener.local_addr()?)?;
    let (socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    let (seen, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let reader = std::thread::spawn(move || -> std::io::Result<()> {
        let mut frame = [0; FRAME_BYTES];
        for _ in 0..messages {
            client.read_exact(&mut frame)?;
            seen.send(Instant::now()).ok();
        }
        Ok(())
    });
    let some = Arc::new(Notify::new());
    let (mut socket, writer) = match wake {
        Wake::Nobody => (Some(socket), None),
        Wake::Shard => {
            let (some, socket) = (Arc::clone(&some), socket.into_std()?);
            let write = move || write_when_told(socket, &some, messages);
            (None, Some(std::thread::spawn(write)))
        }
    };
    let mut measured = Vec::with_capacity(messages);
    for _ in 0..messages {
        let begin = Instant::now();
        match &mut socket {
            Some(socket) => socket.write_all(&[0; FRAME_BYTES]).await?,
            None => some.notify_one(),
        }
        let arrived = arrivals.recv().await;
        let arrived = arrived.ok_or_else(|| Error::msg("the reader has gone"))?;
        measured.push(arrived.duration_since(begin));
    }
    for thread in [Some(reader), writer].into_iter().flatten() {
        thread
            .join()
            .map_err(|_| Error::msg("a thread of the floor panicked"))??;
    }
    Ok(measured)
}

fn write_when_told(
    socket: std::net::TcpStream,
    some: &Notify,
    messages: usize,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut socket = tokio::net::TcpStream::from_std(socket)?;
        for _ in 0..messages {
            some.notified().await;
            socket.write_all(&[0; FRAME_BYTES]).await?;
        }
        Ok(())
    })
}

/// Commits one message at a time, as a durable publish does.
async fn store_alone(file: &Path, messages: usize) -> Result<Vec<Duration>, Error> {
    let store = SqliteStore::open(file, SqliteOptions::new(), Clock::system())?;
    let channel = ChannelName::parse("room:c")?;
    let mut measured = Vec::with_capacity(messages);
    for n in 1..=messages {
        let message = Message {
            cursor: Cursor::new(Epoch(1), Offset(u64::try_from(n)?)),
            topic: TopicName::parse("said")?,
            kind: Kind::Data,
            payload: Bytes::from(format!("{{\"text\":\"{}\"}}", text())),
            created_at: Timestamp::from_millis(1),
            origin: None,
        };
        let begin = Instant::now();
        let write = Write::Message(channel.clone(), Arc::new(message));
        store.commit(Batch::of(vec![write])).await?;
        measured.push(begin.elapsed());
    }
    Ok(measured)
}

async fn late_join(stepcast: &Stepcast, address: SocketAddr, what: &str) -> Result<(), Error> {
    stepcast.send(Tell {}).await?.run().await?.end().await?;
    println!(
        "joining a run of {TOKENS} tokens on a `text` topic, through a socket, from the start:"
    );
    join(stepcast, address, what).await
}

async fn join(stepcast: &Stepcast, address: SocketAddr, what: &str) -> Result<(), Error> {
    let said: String = (0..TOKENS).map(|n| format!("word{n} ")).collect();
    let json = serde_json::to_string(&said)?.len();
    let token = stepcast.token(&Story::at("s")).await?;
    let joined = tokio::task::spawn_blocking(move || -> std::io::Result<(Duration, usize)> {
        let begin = Instant::now();
        let mut client = Client::connect(address, &token, "&v=1&from=start")?;
        loop {
            let (frame, bytes) = client.read()?;
            if frame.contains("\"kind\":\"snapshot\"") {
                return Ok((begin.elapsed(), bytes));
            }
        }
    });
    let (took, bytes) = joined.await??;
    #[expect(clippy::cast_precision_loss, reason = "a ratio to print")]
    let ratio = bytes as f64 / json as f64;
    println!(
        "  {what}: {:.1} ms, {bytes} bytes, {ratio:.2} of the text as JSON",
        took.as_secs_f64() * 1e3
    );
    Ok(())
}

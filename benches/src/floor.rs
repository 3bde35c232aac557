//! The least that a server could do for `stepcast bench`: floors, which no server of the protocol can go below on the same machine.
//!
//! They speak as much of the protocol as the load needs, keep nothing, and know nothing of topics, tokens or slow readers. Readers are spread
//! over as many threads as Stepcast has for them, and get as many bytes.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    num::NonZero,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
};

use axum::{
    Json, Router,
    body::Bytes,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::json;

/// Set for the process that is a floor.
const KIND: &str = "STEPCAST_BENCH_FLOOR";
const READ_BYTES: usize = 64 * 1024;
/// Threads with readers at most, and no more than the machine has cores: as Stepcast has it.
const THREADS: usize = 4;
/// Tasks that may wait for such a thread.
const TASKS: usize = 1_024;
/// As many bytes as the first frame has that Stepcast sends.
const HELLO: &str = r#"{"kind":"hello","protocol":1,"epoch":1795943406,"keepalive_ms":15000,"channel":"bench:653f4a1b2c3d4:0","topics":["said"],"cursor":"1795943406-0","session":3600}"#;
const PING: [u8; 2] = [0x89, 0];
/// What a reader's handshake is answered with.
const UPGRADED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// What is left of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    /// Writes each message to each socket by itself: `write(2)` in a loop.
    WriteEach,
    /// Writes all messages that have come at once to each socket, in one `write(2)`.
    WriteOnce,
    /// An axum handler that takes a message and answers 200.
    Answer,
}

impl Floor {
    const ALL: [Self; 3] = [Self::WriteEach, Self::WriteOnce, Self::Answer];

    /// What figures are compared with.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WriteEach => "write(2) of each message to each socket",
            Self::WriteOnce => "one write(2) of a burst to each socket",
            Self::Answer => "an axum handler that answers 200",
        }
    }
}

/// A floor in a process of its own, which ends with it.
#[derive(Debug)]
pub struct FloorServer {
    child: Child,
    /// Its address.
    pub url: String,
}

impl FloorServer {
    /// Starts this program again, as a floor.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn start(floor: Floor) -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(KIND, floor.name())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut lines = std::io::BufReader::new(stdout);
            std::io::BufRead::read_line(&mut lines, &mut line)?;
        }
        let url = format!("http://{}", line.trim());
        Ok(Self { child, url })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for FloorServer {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Is a floor until it is killed, when this process was started to be one. To be called first in `main`.
///
/// # Errors
/// What the operating system says.
pub fn be_one_if_asked() -> std::io::Result<()> {
    let Ok(asked) = std::env::var(KIND) else {
        return Ok(());
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    match Floor::ALL.into_iter().find(|floor| floor.name() == asked) {
        Some(Floor::Answer) => answer(listener),
        Some(floor) => write_to_all(&listener, floor),
        None => Err(std::io::Error::other(format!("no floor is called {asked}"))),
    }
}

fn answer(listener: TcpListener) -> std::io::Result<()> {
    let app = Router::new()
        .route("/ready", get(|| async { Json(json!({})) }))
        .route(
            "/v1/realtime/publish",
            post(|_message: Bytes| async { StatusCode::OK }),
        );
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(
            axum::serve::ListenerExt::tap_io(listener, |socket| drop(socket.set_nodelay(true))),
            app,
        )
        .await
    })
}

/// What a thread with readers is told.
enum Task {
    /// One more reader, which waits for the answer to its handshake.
    Adopt(TcpStream),
    /// These bytes go to every reader.
    Write(Arc<[u8]>),
}

/// The threads with readers.
#[derive(Clone)]
struct Threads(Vec<SyncSender<Task>>);

impl Threads {
    fn start() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let start = |_| {
            let (tasks, inbox) = mpsc::sync_channel(TASKS);
            thread::spawn(move || write_on(&inbox));
            tasks
        };
        Self((0..cores.min(THREADS)).map(start).collect())
    }

    fn adopt(&self, number: usize, socket: TcpStream) -> std::io::Result<()> {
        tell(&self.0[number % self.0.len()], Task::Adopt(socket))
    }

    fn write(&self, frames: &[u8]) -> std::io::Result<()> {
        let frames: Arc<[u8]> = frames.into();
        let mut threads = self.0.iter();
        threads.try_for_each(|thread| tell(thread, Task::Write(Arc::clone(&frames))))
    }
}

fn tell(thread: &SyncSender<Task>, task: Task) -> std::io::Result<()> {
    let told = thread.send(task);
    told.map_err(|_| std::io::Error::other("a thread with readers has ended"))
}

/// Does what it is told, in order. A reader that is gone is let go of.
fn write_on(inbox: &Receiver<Task>) {
    let mut sockets: Vec<TcpStream> = Vec::new();
    for task in inbox {
        match task {
            Task::Adopt(mut socket) => {
                if greet(&mut socket).is_ok() {
                    sockets.push(socket);
                }
            }
            Task::Write(frames) => sockets.retain_mut(|socket| socket.write_all(&frames).is_ok()),
        }
    }
}

/// As Stepcast does, with a ping. A reader's kernel that has never seen an answer acknowledges each message when it is read, in the reader's
/// time; one that has acknowledges two messages when the second one comes, in the server's.
fn greet(socket: &mut TcpStream) -> std::io::Result<()> {
    let mut hello = Vec::new();
    put_text(&mut hello, HELLO);
    hello.extend(PING);
    socket.write_all(UPGRADED)?;
    socket.write_all(&hello)
}

fn write_to_all(listener: &TcpListener, floor: Floor) -> std::io::Result<()> {
    let threads = Threads::start();
    let mut readers = 0;
    for socket in listener.incoming() {
        let mut socket = socket?;
        socket.set_nodelay(true)?;
        let mut requests = Requests::default();
        let Some(first) = requests.next(&mut socket)? else {
            continue;
        };
        if first.head.starts_with("GET /v1/realtime/connect") {
            threads.adopt(readers, socket)?;
            readers += 1;
            continue;
        }
        let threads = threads.clone();
        thread::spawn(move || serve(socket, requests, first, &threads, floor));
    }
    Ok(())
}

/// Answers the requests of one connection until it ends.
fn serve(
    mut socket: TcpStream,
    mut requests: Requests,
    first: Request,
    threads: &Threads,
    floor: Floor,
) -> std::io::Result<()> {
    let mut next = Some(first);
    let (mut frames, mut answers) = (Vec::new(), String::new());
    let mut number = 0_u64;
    while let Some(request) = next.take() {
        if request.head.starts_with("POST /v1/realtime/publish") {
            number += 1;
            let channel = channel(&request.head);
            put_frame(&mut frames, channel, &request.body, number);
            answers.push_str("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            next = requests.take();
            let has_more = next.is_some();
            if floor == Floor::WriteEach || !has_more {
                threads.write(&frames)?;
                frames.clear();
            }
            if has_more {
                continue;
            }
        } else {
            let body = r#"{"jwt":"floor"}"#;
            let length = body.len();
            answers = format!(
                "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        }
        socket.write_all(answers.as_bytes())?;
        answers.clear();
        next = requests.next(&mut socket)?;
    }
    Ok(())
}

/// What stands behind `channel=` in a request's target.
fn channel(head: &str) -> &str {
    let after = head.split_once("channel=").map_or("", |(_, after)| after);
    let end = after.find(['&', ' ']).unwrap_or(after.len());
    &after[..end]
}

/// The frame that Stepcast would send, byte for byte but for the time and the epoch.
fn put_frame(frames: &mut Vec<u8>, channel: &str, payload: &[u8], number: u64) {
    let text = format!(
        r#"{{"kind":"data","data":{},"created_at":"2026-11-28T12:00:00.123Z","channel":"{channel}","env_id":"00000000-0000-4000-b000-000000000000","topic":"said","id":"1795462441-{number}"}}"#,
        String::from_utf8_lossy(payload)
    );
    put_text(frames, &text);
}

fn put_text(frames: &mut Vec<u8>, text: &str) {
    frames.push(0x81);
    match u16::try_from(text.len()) {
        Ok(length @ ..126) => frames.push(u8::try_from(length).unwrap_or(u8::MAX)),
        Ok(length) => {
            frames.push(126);
            frames.extend(length.to_be_bytes());
        }
        Err(_) => {
            frames.push(127);
            frames.extend((text.len() as u64).to_be_bytes());
        }
    }
    frames.extend(text.as_bytes());
}

/// One request.
#[derive(Debug)]
struct Request {
    head: String,
    body: Vec<u8>,
}

/// Requests of one connection.
#[derive(Debug, Default)]
struct Requests {
    bytes: Vec<u8>,
}

impl Requests {
    /// The next one, which may have to come first; nothing at the end of the connection.
    fn next(&mut self, socket: &mut TcpStream) -> std::io::Result<Option<Request>> {
        let mut buffer = [0; READ_BYTES];
        loop {
            if let Some(request) = self.take() {
                return Ok(Some(request));
            }
            let taken = socket.read(&mut buffer)?;
            if taken == 0 {
                return Ok(None);
            }
            self.bytes.extend_from_slice(&buffer[..taken]);
        }
    }

    /// The next one, if it is there as a whole.
    fn take(&mut self) -> Option<Request> {
        let end = self
            .bytes
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")?
            + 4;
        let head = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_it = name.eq_ignore_ascii_case("content-length");
            is_it.then(|| value.trim().parse::<usize>().ok())?
        });
        let all = end + length.unwrap_or(0);
        if self.bytes.len() < all {
            return None;
        }
        let body = self.bytes[end..all].to_vec();
        self.bytes.drain(..all);
        Some(Request { head, body })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use stepcast_protocol::{
        ChannelName, Cursor, Epoch, Kind, Message, Offset, Timestamp, TopicName,
    };

    use super::*;

    #[test]
    fn frames_have_as_many_bytes_as_those_of_stepcast() {
        let name = "bench:617f1a2b3c4d5:0";
        for (number, payload) in [
            (1, "{}".to_owned()),
            (12_345, format!("{:?}", "x".repeat(200))),
        ] {
            let message = Message {
                cursor: Cursor::new(Epoch(1_795_462_441), Offset(number)),
                topic: TopicName::parse("said").unwrap(),
                kind: Kind::Data,
                payload: Bytes::from(payload.clone()),
                created_at: Timestamp::from_millis(1_795_867_200_123),
                origin: None,
            };
            let wire = message.to_wire(&ChannelName::parse(name).unwrap());
            let head = format!("POST /v1/realtime/publish?topic=said&channel={name} HTTP/1.1\r\n");
            let mut frame = Vec::new();
            put_frame(&mut frame, channel(&head), payload.as_bytes(), number);
            let text = String::from_utf8(frame.split_off(4)).unwrap();
            let wire = String::from_utf8(wire).unwrap();
            assert_eq!(text.len(), wire.len(), "{text} for {wire}");
        }
    }

    #[test]
    fn a_channel_is_found_wherever_it_stands() {
        assert_eq!(channel("POST /p?channel=a:1&topic=b HTTP/1.1"), "a:1");
        assert_eq!(channel("POST /p?topic=b&channel=a:1 HTTP/1.1"), "a:1");
        assert_eq!(channel("POST /p HTTP/1.1"), "");
    }
}

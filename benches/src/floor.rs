//! The least that a server could do for `stepcast bench`: floors, which no server of the protocol can go below on the same machine.
//!
//! They speak as much of the protocol as the load needs, keep nothing, and know nothing of topics, tokens or slow readers.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
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

/// The readers' sockets.
type Sockets = Arc<Mutex<Vec<TcpStream>>>;

fn write_to_all(listener: &TcpListener, floor: Floor) -> std::io::Result<()> {
    let sockets = Sockets::default();
    for socket in listener.incoming() {
        let mut socket = socket?;
        socket.set_nodelay(true)?;
        let mut requests = Requests::default();
        let Some(first) = requests.next(&mut socket)? else {
            continue;
        };
        if first.head.starts_with("GET /v1/realtime/connect") {
            socket.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")?;
            lock(&sockets).push(socket);
            continue;
        }
        let sockets = Arc::clone(&sockets);
        thread::spawn(move || serve(socket, requests, first, &sockets, floor));
    }
    Ok(())
}

fn lock(sockets: &Sockets) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
    sockets.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers the requests of one connection until it ends.
fn serve(
    mut socket: TcpStream,
    mut requests: Requests,
    first: Request,
    sockets: &Sockets,
    floor: Floor,
) -> std::io::Result<()> {
    let mut next = Some(first);
    let (mut frames, mut answers) = (Vec::new(), String::new());
    let mut number = 0_u64;
    while let Some(request) = next.take() {
        if request.head.starts_with("POST /v1/realtime/publish") {
            number += 1;
            put_frame(&mut frames, &request.body, number);
            answers.push_str("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            next = requests.take();
            let has_more = next.is_some();
            if floor == Floor::WriteEach || !has_more {
                write_frames(sockets, &frames)?;
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

fn write_frames(sockets: &Sockets, frames: &[u8]) -> std::io::Result<()> {
    for socket in &*lock(sockets) {
        let mut socket = socket;
        socket.write_all(frames)?;
    }
    Ok(())
}

/// As many bytes as a server of the protocol would send.
fn put_frame(frames: &mut Vec<u8>, payload: &[u8], number: u64) {
    let text = format!(
        r#"{{"kind":"data","channel":"bench:0000000000000:0","topic":"said","id":"1795462441-{number}","data":{},"created_at":"2026-11-28T12:00:00.123Z","env_id":"env_0"}}"#,
        String::from_utf8_lossy(payload)
    );
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

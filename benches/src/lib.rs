//! What the benchmarks share.
//!
//! - [`floor`]: the least that a server could do; [`load`]: `stepcast bench` against it, or against Stepcast.
//! - Clients that are not ours, and figures of many measurements.

pub mod floor;
pub mod load;

use std::{
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A WebSocket as plain as it can be: the handshake, and whole text frames.
#[derive(Debug)]
pub struct Client {
    socket: BufReader<TcpStream>,
}

impl Client {
    /// Connects with a token. `query` is appended to the address, e.g. `&v=1&from=start`.
    ///
    /// # Errors
    /// What the operating system says, and an answer that is not 101.
    pub fn connect(address: SocketAddr, token: &str, query: &str) -> std::io::Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.write_all(request(address, token, query).as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte)?;
            answer.extend(byte);
        }
        if answer.starts_with(b"HTTP/1.1 101") {
            let socket = BufReader::with_capacity(64 * 1024, socket);
            Ok(Self { socket })
        } else {
            Err(std::io::Error::other(
                String::from_utf8_lossy(&answer).into_owned(),
            ))
        }
    }

    /// The next text, and how many bytes its frame had.
    ///
    /// # Errors
    /// What the operating system says; the end of the connection is one.
    pub fn read(&mut self) -> std::io::Result<(String, usize)> {
        loop {
            let mut head = [0; 2];
            self.socket.read_exact(&mut head)?;
            let (len, more) = match head[1] {
                126 => {
                    let mut len = [0; 2];
                    self.socket.read_exact(&mut len)?;
                    (u64::from(u16::from_be_bytes(len)), 2)
                }
                127 => {
                    let mut len = [0; 8];
                    self.socket.read_exact(&mut len)?;
                    (u64::from_be_bytes(len), 8)
                }
                len => (u64::from(len), 0),
            };
            let mut payload = vec![0; usize::try_from(len).map_err(std::io::Error::other)?];
            self.socket.read_exact(&mut payload)?;
            if head[0] & 0x0F == 1 {
                let frame = 2 + more + payload.len();
                let text = String::from_utf8(payload).map_err(std::io::Error::other)?;
                return Ok((text, frame));
            }
        }
    }
}

/// The same for thousands at once.
#[derive(Debug)]
pub struct AsyncClient {
    socket: tokio::io::BufReader<tokio::net::TcpStream>,
}

impl AsyncClient {
    /// Connects with a token, as [`Client::connect`] does.
    ///
    /// # Errors
    /// What the operating system says, and an answer that is not 101.
    pub async fn connect(address: SocketAddr, token: &str, query: &str) -> std::io::Result<Self> {
        use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
        let mut socket = tokio::net::TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        socket
            .write_all(request(address, token, query).as_bytes())
            .await?;
        let mut socket = tokio::io::BufReader::with_capacity(8 * 1024, socket);
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            if socket.read_line(&mut answer).await? == 0 {
                break;
            }
        }
        if answer.starts_with("HTTP/1.1 101") {
            Ok(Self { socket })
        } else {
            Err(std::io::Error::other(answer))
        }
    }

    /// The socket, for reads that block. What was read ahead is lost.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn into_socket(self) -> std::io::Result<TcpStream> {
        let socket = self.socket.into_inner().into_std()?;
        socket.set_nonblocking(false)?;
        Ok(socket)
    }

    /// The next text.
    ///
    /// # Errors
    /// What the operating system says; the end of the connection is one.
    pub async fn read(&mut self) -> std::io::Result<String> {
        use tokio::io::AsyncReadExt;
        loop {
            let opcode = self.socket.read_u8().await? & 0x0F;
            let len = match self.socket.read_u8().await? {
                126 => u64::from(self.socket.read_u16().await?),
                127 => self.socket.read_u64().await?,
                len => u64::from(len),
            };
            let mut payload = vec![0; usize::try_from(len).map_err(std::io::Error::other)?];
            self.socket.read_exact(&mut payload).await?;
            if opcode == 1 {
                return String::from_utf8(payload).map_err(std::io::Error::other);
            }
        }
    }
}

fn request(address: SocketAddr, token: &str, query: &str) -> String {
    format!(
        "GET /v1/realtime/connect?token={token}{query} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// The value below which `part` (0 to 1) of the measurements lie.
#[must_use]
pub fn quantile(measured: &mut [Duration], part: f64) -> Duration {
    measured.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index between the first and the last"
    )]
    let index = ((measured.len().saturating_sub(1)) as f64 * part) as usize;
    measured.get(index).copied().unwrap_or_default()
}

/// A duration in microseconds, as a figure to print.
#[must_use]
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

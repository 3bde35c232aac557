//! Memory of an idle WebSocket connection: what the process grows by when thousands connect and nothing is said.
//!
//! The clients live in a process of their own, this program started again. `cargo bench --bench idle [-- CONNECTIONS]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::{GatewayOptions, prelude::*};

/// Set for the process that holds the clients: where to connect, how often, with which token.
const CLIENT: &str = "STEPCAST_BENCH_CLIENT";

#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("lobby")]
enum Lobby {
    Said { text: String },
}

fn main() -> Result<(), Error> {
    match std::env::var(CLIENT) {
        Ok(order) => clients(&order),
        Err(_) => server(),
    }
}

#[tokio::main]
async fn server() -> Result<(), Error> {
    let connections: u32 = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(5_000);
    let dir = tempfile::tempdir()?;
    let gateway = GatewayOptions::default().with_connections_per_address(usize::MAX);
    let options = Stepcast::options().with_gateway(gateway);
    let stepcast = options
        .open(dir.path().join("idle.db"), App::new("idle"))
        .await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let routes = stepcast
        .router()
        .into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });

    let token = stepcast
        .token(&Lobby::at())
        .lifetime(std::time::Duration::from_secs(600))
        .await?;
    // The first ones grow what all share.
    let mut warm = connect(address, 100, &token)?;
    let before = resident_bytes()?;
    let mut clients = connect(address, connections, &token)?;
    let after = resident_bytes()?;
    let per_connection = (after - before) / f64::from(connections);
    println!("{connections} idle connections: {per_connection:.0} bytes of process memory each");
    for clients in [&mut warm, &mut clients] {
        clients.kill()?;
        clients.wait()?;
    }
    stepcast.shutdown().await?;
    serving.abort();
    Ok(())
}

/// Starts the process with the clients and waits until all are connected.
fn connect(address: SocketAddr, connections: u32, token: &str) -> Result<Child, Error> {
    let order = format!("{address} {connections} {token}");
    let mut child = Command::new(std::env::current_exe()?)
        .env(CLIENT, order)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child
        .stdout
        .take()
        .ok_or_else(|| Error::msg("the clients have no output"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    if line.trim() != "connected" {
        return Err(Error::msg(format!(
            "the clients said {line:?}; a limit of open files may be too low"
        )));
    }
    Ok(child)
}

fn clients(order: &str) -> Result<(), Error> {
    let [address, connections, token] = order.split(' ').collect::<Vec<_>>()[..] else {
        return Err(Error::msg("the order is not three words"));
    };
    let mut open = Vec::new();
    for _ in 0..connections.parse::<usize>()? {
        let mut socket = TcpStream::connect(address)?;
        let request = format!(
            "GET /v1/realtime/connect?token={token} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write_all(request.as_bytes())?;
        let mut answer = [0; 12];
        socket.read_exact(&mut answer)?;
        if &answer != b"HTTP/1.1 101" {
            return Err(Error::msg(format!(
                "answered {}",
                String::from_utf8_lossy(&answer)
            )));
        }
        open.push(socket);
    }
    println!("connected");
    std::io::stdout().flush()?;
    // Holds the connections until the server's process ends this one.
    loop {
        std::thread::park();
    }
}

fn resident_bytes() -> Result<f64, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or_else(|| Error::msg("no VmRSS line"))?;
    let kib: f64 = line.split_whitespace().nth(1).unwrap_or("0").parse()?;
    Ok(kib * 1024.0)
}

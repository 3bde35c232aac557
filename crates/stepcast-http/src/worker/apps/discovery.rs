//! Where apps are looked for when nobody says where they are: the ports that frameworks use, on this machine.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::net::TcpStream;

use super::sync;
use crate::worker::client::AppClient;

/// Ports and paths at which apps are looked for.
#[derive(Debug, Clone)]
pub struct Discovery {
    ports: Vec<u16>,
    paths: Vec<String>,
}

const PORTS: [u16; 27] = [
    80, 443, 3000, 3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008, 3009, 3010, 4321, 5000, 5173,
    8000, 8080, 8081, 8888, 8910, 8911, 8912, 8913, 8914, 8915, 8787,
];
const PATHS: [&str; 4] = [
    "/api/inngest",
    "/x/inngest",
    "/.netlify/functions/inngest",
    "/.redwood/functions/inngest",
];

/// How long a port on this machine may take to accept a connection.
const KNOCK: Duration = Duration::from_millis(200);
const AT_ONCE: usize = 8;

impl Default for Discovery {
    fn default() -> Self {
        Self {
            ports: PORTS.to_vec(),
            paths: PATHS.map(str::to_owned).to_vec(),
        }
    }
}

impl Discovery {
    /// One more port, e.g. that of the variable `PORT`.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// Other ports.
    #[must_use]
    pub fn with_ports(self, ports: impl IntoIterator<Item = u16>) -> Self {
        let ports = ports.into_iter().collect();
        Self { ports, ..self }
    }

    /// The URLs of apps that are not known yet. A port at which an app is known is left alone.
    pub(super) async fn look(&self, client: &AppClient, known: &BTreeSet<String>) -> Vec<String> {
        let is_known = |port: &u16| {
            let host = format!("{}/", host(*port));
            known.iter().any(|url| url.starts_with(&host))
        };
        let ports = self.ports.iter().copied().filter(|port| !is_known(port));
        stream::iter(ports.collect::<BTreeSet<_>>())
            .map(|port| self.look_at(client, port))
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await
    }

    async fn look_at(&self, client: &AppClient, port: u16) -> Option<String> {
        let knock = TcpStream::connect(("localhost", port));
        tokio::time::timeout(KNOCK, knock).await.ok()?.ok()?;
        for path in &self.paths {
            let url = format!("{}{path}", host(port));
            if sync::introspect(client, &url).await.is_ok() {
                return Some(url);
            }
        }
        None
    }
}

fn host(port: u16) -> String {
    format!("http://localhost:{port}")
}

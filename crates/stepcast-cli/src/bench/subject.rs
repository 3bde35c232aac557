//! The server under load: one that is there, or one of our own in a process of its own.

use std::{
    env,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use parking_lot::Mutex;
use serde::Deserialize;
use stepcast::Client;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    runtime::Handle,
};

use super::{
    crowd::Door,
    process::{CpuTime, Process},
};
use crate::{exit::Failure, secret::Secret, target::Keys};

/// Connections that the own server lets in from this machine.
const CONNECTIONS: &str = "1000000";
/// The topic that every message of a benchmark is on.
pub(super) const TOPIC: &str = "said";
/// The channels of a server that keeps nothing.
const LIVE: &str = r#"{"version":1,"channels":[{"template":"bench:{nonce}:{number}","topics":[{"name":"said","keep":"live"}]}]}"#;
/// How long tokens let readers in.
const TOKEN_LIFETIME: std::time::Duration = std::time::Duration::from_secs(60 * 60);
/// Handshakes that one thread of readers has under way at once: below the queue that a server's port usually has.
const HANDSHAKES: usize = 128;

/// Which server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct SubjectArgs {
    /// The server to put load on; not read from STEPCAST_URL, so that no server is put under load by mistake [default: one of its own]
    #[arg(long)]
    url: Option<String>,
    /// The process of the server that --url names, when it is on this machine: its CPU time and memory are shown
    #[arg(long, requires = "url")]
    pid: Option<u32>,
    /// The folder for the database of the own server; which disk it is on decides what commits cost [default: the system's for temporary files]
    #[arg(long, value_name = "FOLDER", conflicts_with = "url")]
    dir: Option<PathBuf>,
    /// Have the own server keep nothing: its topic is `live` and not `log`. What was published is then not read back by `publish`, and cannot
    /// be by `replay` and `resume-storm`
    #[arg(long, conflicts_with = "url")]
    live: bool,
    #[command(flatten)]
    keys: Keys,
}

/// A server, and its process when it is our own. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Server {
    subject: Subject,
    _own: Option<Own>,
}

/// The own server. The process goes first, then its database.
#[derive(Debug)]
struct Own {
    _process: Child,
    _folder: TempDir,
}

/// The line that a server prints when it is ready.
#[derive(Deserialize)]
struct Announced {
    listening: String,
}

/// A server as loads see it. A cheap handle.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) client: Client,
    pub(super) url: Arc<str>,
    pub(super) is_own: bool,
    /// Whether it keeps nothing of what is published.
    pub(super) is_live: bool,
    pub(super) process: Option<Process>,
    pub(super) address: SocketAddr,
    /// What stands in the header `Host`.
    pub(super) host: Arc<str>,
    /// What stands before each route.
    pub(super) prefix: Arc<str>,
    pub(super) signing_key: Option<Secret>,
    runtime: Handle,
    /// The address of the app that a load has registered and not removed.
    app: Arc<Mutex<Option<String>>>,
    /// Names of channels that nobody has used before.
    nonce: Arc<str>,
}

impl SubjectArgs {
    /// The server that is meant, which is started if it is to be our own.
    pub(super) async fn server(self) -> Result<Server, Failure> {
        let Self {
            url,
            pid,
            dir,
            live,
            keys,
        } = self;
        let (url, pid, own) = match url {
            Some(url) => (url, pid, None),
            None => {
                let (url, pid, own) = Own::start(dir, live).await?;
                (url, pid, Some(own))
            }
        };
        let process = pid.map(|pid| Process { pid });
        if process.is_some_and(|process| process.cpu().is_none()) && own.is_none() {
            let pid = pid.unwrap_or_default();
            let why = "either it is not there, or this system does not tell (only Linux does)";
            return Err(Failure::usage(format!(
                "nothing is known of process {pid}: {why}; leave --pid out to measure the rest"
            )));
        }
        let subject = Subject {
            is_live: live,
            ..Subject::new(&url, keys, process, own.is_some())?
        };
        subject.client.ready().await?;
        Ok(Server { subject, _own: own })
    }
}

impl Own {
    async fn start(
        dir: Option<PathBuf>,
        live: bool,
    ) -> Result<(String, Option<u32>, Self), Failure> {
        let folder = match &dir {
            Some(dir) => TempDir::with_prefix_in("stepcast-bench-", dir),
            None => TempDir::with_prefix("stepcast-bench-"),
        };
        let folder = folder.map_err(|error| {
            let place = dir.unwrap_or_else(env::temp_dir);
            let place = place.display();
            Failure::usage(format!("no folder for a database can be made in {place}: {error}; name another one with --dir"))
        })?;
        let program = env::current_exe().map_err(Failure::failed)?;
        let mut command = Command::new(program);
        let fixed = ["dev", "--json", "--host", "127.0.0.1", "--port", "0"];
        command
            .args(fixed)
            .args(["--log", "warn", "--no-discovery"])
            .args(["--connections-per-address", CONNECTIONS, "--db"])
            .arg(folder.path().join("bench.db"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if live {
            let file = folder.path().join("channels.json");
            std::fs::write(&file, LIVE).map_err(Failure::failed)?;
            command.arg("--channels").arg(file);
        }
        // Settings for another server must not become those of this one.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("STEPCAST_") || text.starts_with("INNGEST_") {
                command.env_remove(&name);
            }
        }
        let started = |error| Failure::failed(format!("the server cannot be started: {error}"));
        let mut process = command.spawn().map_err(started)?;
        let output = process.stdout.take().expect("its output is piped");
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line).await;
        read.map_err(started)?;
        let announced: Announced = serde_json::from_str(&line).map_err(|_| {
            Failure::failed("the server of its own did not start; it says why above")
        })?;
        let pid = process.id();
        let own = Self {
            _process: process,
            _folder: folder,
        };
        Ok((announced.listening, pid, own))
    }
}

impl Server {
    pub(super) fn subject(&self) -> Subject {
        self.subject.clone()
    }
}

impl Subject {
    fn new(url: &str, keys: Keys, process: Option<Process>, is_own: bool) -> Result<Self, Failure> {
        let signing_key = keys.signing_key();
        let client = keys.client(url)?;
        let (host, prefix) = parts(url);
        let named = if host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let address = named.to_socket_addrs().ok().and_then(|mut all| all.next());
        let address = address.ok_or_else(|| {
            Failure::Unreachable(format!("host of `{url}` is unknown; check its name"))
        })?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            client,
            url: url.into(),
            is_own,
            is_live: false,
            process,
            address,
            host: host.into(),
            prefix: prefix.into(),
            signing_key,
            runtime: Handle::current(),
            app: Arc::default(),
            nonce: format!("{:x}", since.unwrap_or_default().as_micros()).into(),
        })
    }

    /// The channel of this number, one of this benchmark's own.
    pub(super) fn channel(&self, number: usize) -> String {
        format!("bench:{}:{number}", self.nonce)
    }

    /// What a reader of a channel asks for in its handshake, to begin there.
    pub(super) fn reading_target(&self, channel: &str, from: &str) -> Result<Arc<str>, Failure> {
        let mint = self.client.json_channel(channel).token([TOPIC]);
        let token = self.wait(async { mint.lifetime(TOKEN_LIFETIME).await })?;
        let (prefix, route) = (&self.prefix, stepcast_protocol::paths::CONNECT);
        Ok(format!("{prefix}{route}?v=1&token={token}&from={from}").into())
    }

    /// An app is about to be registered.
    pub(super) fn on_app(&self, url: &str) {
        *self.app.lock() = Some(url.to_owned());
    }

    /// The app that is to be removed, for the first who asks.
    pub(super) fn take_app(&self) -> Option<String> {
        self.app.lock().take()
    }

    /// Where readers connect.
    pub(super) fn door(&self) -> Door {
        Door {
            address: self.address,
            host: Arc::clone(&self.host),
            at_once: HANDSHAKES,
        }
    }

    /// Waits for something of the client's, on a thread of a load.
    pub(super) fn wait<T>(
        &self,
        what: impl Future<Output = Result<T, stepcast::Error>>,
    ) -> Result<T, Failure> {
        Ok(self.runtime.block_on(what)?)
    }

    /// The runtime of this command.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn cpu(&self) -> Option<CpuTime> {
        self.process?.cpu()
    }

    pub(super) fn resident(&self) -> Option<u64> {
        self.process?.resident()
    }
}

/// `<host>[:<port>]` and what follows it, of an address that the client has accepted.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.trim_end_matches('/');
    match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    }
}

/// What a process has used from one moment on.
#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    cpu: Option<CpuTime>,
}

impl Meter {
    pub(super) fn start(subject: &Subject) -> Self {
        Self {
            cpu: subject.cpu(),
            began: Instant::now(),
        }
    }

    /// How long that is ago, and how much of it the server has worked.
    pub(super) fn read(&self, subject: &Subject) -> Spent {
        let wall = self.began.elapsed();
        let cpu = subject.cpu().zip(self.cpu.as_ref());
        Spent {
            wall,
            cpu: cpu.map(|(now, before)| now.since(before)),
        }
    }
}

/// Time that a load has taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    pub(super) wall: std::time::Duration,
    /// Of the server's process.
    pub(super) cpu: Option<std::time::Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_maybe_a_prefix() {
        assert_eq!(parts("http://127.0.0.1:8288"), ("127.0.0.1:8288", ""));
        assert_eq!(parts("http://host/a/b/"), ("host", "/a/b"));
        assert_eq!(parts("http://[::1]:1/"), ("[::1]:1", ""));
    }
}

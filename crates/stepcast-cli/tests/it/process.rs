//! Processes of the binary. None outlives its test.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a test waits for a fact before it fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The binary, with nothing of the environment of the tests.
pub(crate) fn stepcast<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepcast"));
    command.env_clear().args(arguments);
    command
}

/// How a command has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// What it printed, one JSON value per line.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out.lines().map(parse).collect()
    }
}

/// Runs a command to its end.
pub(crate) fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    Process::start(stepcast(arguments)).end()
}

/// Runs a command to its end, with something on its standard input.
pub(crate) fn run_with_input(arguments: &[&str], input: &str) -> Ended {
    let mut process = Process::start(stepcast(arguments));
    let mut pipe = process.child.0.stdin.take().unwrap();
    pipe.write_all(input.as_bytes()).unwrap();
    drop(pipe);
    process.end()
}

/// A process that ends with its test.
pub(crate) struct Guarded(pub(crate) Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A process that goes on.
pub(crate) struct Process {
    child: Guarded,
    lines: Receiver<String>,
    err: Receiver<String>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let err = lines_of(child.stderr.take().unwrap());
        let child = Guarded(child);
        Self { child, lines, err }
    }

    /// The next line of its output.
    pub(crate) fn line(&self) -> String {
        self.lines
            .recv_timeout(DEADLINE)
            .unwrap_or_else(|error| panic!("no line: {error}; {:?}", self.complaints()))
    }

    /// The next line of its output as JSON.
    pub(crate) fn json(&self) -> Value {
        parse(self.line())
    }

    /// The next line of its error output that has this in it.
    pub(crate) fn err_with(&self, part: &str) -> String {
        loop {
            let line = self.err.recv_timeout(DEADLINE).unwrap();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let out = rest_of(&self.lines);
        let err = rest_of(&self.err);
        drop(self.child.0.stdin.take());
        let status = self.child.0.wait().unwrap();
        Ended {
            code: status.code().unwrap_or(-1),
            out,
            err,
        }
    }

    /// Asks it to end.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child.0);
        kill_process(pid, signal).unwrap();
    }

    /// From one moment to the next.
    pub(crate) fn kill(mut self) {
        self.child.0.kill().unwrap();
        self.child.0.wait().unwrap();
    }

    fn complaints(&self) -> Vec<String> {
        self.err.try_iter().collect()
    }
}

/// A server that is ready.
pub(crate) struct Server {
    process: Process,
    /// What it has announced.
    pub(crate) announced: Value,
}

impl Server {
    /// `dev` on a free port.
    pub(crate) fn dev(arguments: &[&str]) -> Self {
        let fixed = ["dev", "--json", "--port", "0"];
        Self::of(stepcast(fixed.iter().chain(arguments)))
    }

    /// Anything that announces itself with `--json`.
    pub(crate) fn of(command: Command) -> Self {
        let process = Process::start(command);
        let announced = process.json();
        Self { process, announced }
    }

    pub(crate) fn url(&self) -> &str {
        self.announced["listening"].as_str().unwrap()
    }

    /// `<host>:<port>`.
    pub(crate) fn address(&self) -> &str {
        self.url().strip_prefix("http://").unwrap()
    }

    /// Runs a command against it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        run(self.with_url(arguments))
    }

    /// Starts a command against it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        Process::start(stepcast(self.with_url(arguments)))
    }

    fn with_url<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let mut all = arguments.to_vec();
        all.extend(["--url", self.url()]);
        all
    }

    /// Waits until it says something about this on its standard error.
    pub(crate) fn err_with(&self, part: &str) -> String {
        self.process.err_with(part)
    }

    pub(crate) fn kill(self) {
        self.process.kill();
    }

    /// Asks it to end and waits for that.
    pub(crate) fn end(self, signal: Signal) -> Ended {
        self.process.signal(signal);
        self.process.end()
    }
}

fn parse(line: impl AsRef<str>) -> Value {
    let line = line.as_ref();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (line, lines) = channel();
    thread::spawn(move || {
        for text in BufReader::new(pipe).lines() {
            // The pipe is closed with whoever wants to know.
            if text.is_err() || line.send(text.unwrap_or_default()).is_err() {
                return;
            }
        }
    });
    lines
}

/// Everything until the process closes it.
fn rest_of(lines: &Receiver<String>) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(DEADLINE) {
            Ok(line) => text.push_str(&(line + "\n")),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return text,
            Err(error) => panic!("it has not ended: {error}; {text}"),
        }
    }
}

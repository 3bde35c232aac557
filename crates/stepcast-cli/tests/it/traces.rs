//! Spans, and the collector they go to.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc::{Receiver, channel},
    thread,
};

use rustix::process::Signal;

use crate::process::{DEADLINE, Server, stepcast};

/// A collector: the first line and the body of each request.
fn collect(listener: TcpListener) -> Receiver<(String, Vec<u8>)> {
    let (request, requests) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut first, mut length) = (String::new(), 0);
            stream.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let line = line.trim().to_ascii_lowercase();
                if let Some(bytes) = line.strip_prefix("content-length: ") {
                    length = bytes.parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.get_mut().write_all(answer).unwrap();
            request.send((first, body)).unwrap();
        }
    });
    requests
}

#[test]
fn requests_are_spans_that_show_neither_keys_nor_tokens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let requests = collect(listener);
    let mut command = stepcast(["dev", "--json", "--port", "0"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    let server = Server::of(command);
    let sent = server.run(&["send", "app/x", "--event-key", "secret-event-key"]);
    assert_eq!(sent.code, 0, "{sent:?}");
    assert_eq!(server.end(Signal::TERM).code, 0);
    let (first, body) = requests.recv_timeout(DEADLINE).unwrap();
    assert!(first.starts_with("POST /v1/traces "), "{first}");
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("POST /e/{key}"), "{body}");
    assert!(body.contains("stepcast"), "{body}");
    assert!(!body.contains("secret-event-key"), "{body}");
}

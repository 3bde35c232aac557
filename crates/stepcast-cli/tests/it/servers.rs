//! `dev` and `start`: that they serve whom they should, and end as they should.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use rustix::process::Signal;
use serde_json::json;

use crate::process::{DEADLINE, Ended, Process, Server, run, stepcast};

const KEY: &str = "signkey-prod-00112233445566778899aabbccddeeff";
const FALLBACK: &str = "ffeeddccbbaa99887766554433221100";

/// Sends a request of one line and some headers.
fn request(server: &Server, path: &str, headers: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let host = server.address();
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n"
    )
    .unwrap();
    socket
}

/// The head of the answer, in small letters.
fn head_of(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

fn ask(server: &Server, path: &str, headers: &str) -> String {
    head_of(&mut request(server, path, headers))
}

#[test]
fn dev_answers_without_keys() {
    let server = Server::dev(&[]);
    assert_eq!(server.announced["mode"], json!("dev"));
    assert_eq!(server.announced["database"], json!(null));
    assert!(ask(&server, "/health", "").starts_with("http/1.1 200"));
    assert!(ask(&server, "/health", "").contains("x-inngest-server-kind: dev"));
    assert_eq!(server.run(&["runs"]).code, 0);
}

#[test]
fn a_server_that_is_asked_to_end_lets_its_readers_go() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::dev(&[]);
        server.run(&["publish", "c", "t", "1"]);
        let token = server.run(&["token", "c", "t"]);
        let path = format!("/v1/realtime/sse?token={}", token.out.trim());
        let mut reader = request(&server, &path, "");
        head_of(&mut reader);
        // Nor does one hold it up that is there and says nothing.
        let idle = TcpStream::connect(server.address()).unwrap();
        let ended = server.end(signal);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.err.contains("closed"), "{ended:?}");
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("closing"), "{rest}");
        drop(idle);
    }
}

#[test]
fn one_that_sends_half_a_request_is_given_the_grace_time() {
    let server = Server::dev(&["--grace", "200ms"]);
    let mut half = TcpStream::connect(server.address()).unwrap();
    half.write_all(b"GET /health HT").unwrap();
    // It has been read once a later request is answered.
    ask(&server, "/health", "");
    let ended = server.end(Signal::TERM);
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn the_first_line_for_people_has_the_address_and_logs_are_apart() {
    let arguments = ["dev", "--port", "0", "--log-format", "json"];
    let server = Process::start(stepcast(arguments));
    let line = server.line();
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
    let (_, url) = line.split_once("listening on ").unwrap();
    assert_eq!(run(["runs", "--url", url]).code, 0);
    server.signal(Signal::TERM);
    let ended = server.end();
    assert!(ended.out.contains("stepcast tail chat:1 --url http://"));
    let logged: Vec<serde_json::Value> = ended
        .err
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(logged.iter().any(|line| line["message"] == json!("closed")));
}

#[test]
fn a_port_or_a_file_that_is_taken_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.db");
    let first = Server::dev(&["--db", file.to_str().unwrap()]);
    let (_, port) = first.address().rsplit_once(':').unwrap();
    let second = run(["dev", "--port", port]);
    assert_eq!(second.code, 1);
    assert!(second.err.contains(first.address()), "{second:?}");
    assert!(second.err.contains("--port"), "{second:?}");
    std::fs::write(directory.path().join("text"), "not a database").unwrap();
    let text = directory.path().join("text");
    let foreign = run(["dev", "--port", "0", "--db", text.to_str().unwrap()]);
    assert_eq!(foreign.code, 1);
    assert!(
        foreign.err.contains("not a Stepcast database"),
        "{foreign:?}"
    );
}

#[test]
fn an_app_that_is_down_is_said_and_the_server_serves_on() {
    let server = Server::of(stepcast([
        "dev",
        "--json",
        "--port",
        "0",
        "-u",
        "http://127.0.0.1:9/api/inngest",
    ]));
    let process = server.start(&["runs"]);
    assert_eq!(process.end().code, 0);
    server.err_with("http://127.0.0.1:9/api/inngest");
    assert_eq!(server.end(Signal::TERM).code, 0);
    for (arguments, part) in [
        (
            ["-u", "localhost:3000"],
            "app `localhost:3000` is no address",
        ),
        (["--retries", "21"], "retries are 21, at most 20"),
        (
            ["--ignore-unsupported", "retries"],
            "`retries` is no option",
        ),
    ] {
        let refused = run(["dev", "--port", "0"].iter().chain(&arguments));
        assert_eq!(refused.code, 2);
        assert!(refused.err.contains(part), "{refused:?}");
    }
}

#[test]
fn start_refuses_what_would_not_protect() {
    let directory = tempfile::tempdir().unwrap();
    let good = ["--signing-key", KEY, "--event-key", "events"];
    for (arguments, part) in [
        (&[][..], "openssl rand -hex 32"),
        (&["--signing-key", KEY], "there is no event key"),
        (&["--event-key", "events"], "there is no signing key"),
        (
            &["--signing-key", "abc", "--event-key", "events"],
            "3 characters",
        ),
        (&["--signing-key", KEY, "--event-key", "a/b"], "3 bytes"),
        (&good, "--behind-tls"),
        (&["--cors-origin", "*"], "origin `*` is none"),
        (&["--host", "example.com"], "example.com"),
    ] {
        let mut command = stepcast(["start", "--port", "0"]);
        command.args(arguments).current_dir(directory.path());
        let refused = Process::start(command).end();
        assert_eq!(refused.code, 2, "{arguments:?} {refused:?}");
        assert!(refused.err.contains(part), "{arguments:?} {refused:?}");
        assert!(
            !refused.err.contains("00112233"),
            "a key is shown: {refused:?}"
        );
    }
    // Nothing was made.
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// A server in production, with keys as npm `inngest` has them.
fn start(directory: &tempfile::TempDir) -> Server {
    let mut command = stepcast(["start", "--json", "--port", "0", "--behind-tls"]);
    command
        .args(["--cors-origin", "https://app.example.com"])
        .env("INNGEST_SIGNING_KEY", KEY)
        .env("INNGEST_SIGNING_KEY_FALLBACK", FALLBACK)
        .env("INNGEST_EVENT_KEY", "events")
        .current_dir(directory.path());
    Server::of(command)
}

#[test]
fn start_admits_those_who_know_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory);
    assert_eq!(server.announced["database"], json!("stepcast.db"));
    assert!(ask(&server, "/health", "").contains("x-inngest-server-kind: cloud"));
    let other = "0011223344556677889900112233445566";
    for (arguments, code) in [
        (&["runs"][..], 1),
        (&["runs", "--signing-key", KEY], 0),
        (&["runs", "--signing-key", FALLBACK], 0),
        (&["runs", "--signing-key", other], 1),
        (&["send", "app/x"], 1),
        (&["send", "app/x", "--event-key", "events"], 0),
        (&["publish", "c", "t", "--signing-key", KEY], 0),
    ] {
        let ended: Ended = server.run(arguments);
        assert_eq!(ended.code, code, "{arguments:?} {ended:?}");
        if code == 1 {
            let says_where = ended.err.contains("--signing-key");
            assert!(ended.err.contains("key is") && says_where, "{ended:?}");
        }
    }
    let mut command = stepcast(["runs", "--url", server.url()]);
    command.env("INNGEST_SIGNING_KEY", KEY);
    assert_eq!(Process::start(command).end().code, 0);
}

#[test]
fn pages_of_other_origins_are_kept_out_by_a_list() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory);
    let token = server.run(&["token", "c", "t", "--signing-key", KEY]);
    let path = format!("/v1/realtime/sse?token={}", token.out.trim());
    for (headers, status) in [
        ("Origin: https://app.example.com\r\n", 200),
        ("Origin: https://evil.example.com\r\n", 403),
        ("", 200),
    ] {
        let head = ask(&server, &path, headers);
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        let allowed = "access-control-allow-origin: https://app.example.com";
        assert_eq!(head.contains(allowed), !headers.is_empty() && status == 200);
    }
    let dev = Server::dev(&[]);
    let token = dev.run(&["token", "c", "t"]);
    let path = format!("/v1/realtime/sse?token={}", token.out.trim());
    let head = ask(&dev, &path, "Origin: https://evil.example.com\r\n");
    assert!(head.contains("access-control-allow-origin: *"), "{head}");
}

/// The whole answer.
fn read(server: &Server, path: &str, headers: &str) -> String {
    let mut answer = String::new();
    request(server, path, headers)
        .read_to_string(&mut answer)
        .unwrap();
    answer
}

#[test]
fn operators_see_whether_it_is_ready_and_what_it_does() {
    let server = Server::dev(&[]);
    let ready = read(&server, "/ready", "");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(ready.contains("\"state\":\"ready\""), "{ready}");
    let asked = server.run(&["ready", "--json"]);
    assert_eq!(asked.json()[0]["ready"], json!(true));
    server.run(&["publish", "c", "t", "1", "--durable"]);
    let page = read(&server, "/metrics", "");
    assert!(page.contains("\nstepcast_ready 1\n"), "{page}");
    assert!(page.contains("\nstepcast_channels 1\n"), "{page}");

    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory);
    assert!(read(&server, "/metrics", "").starts_with("HTTP/1.1 401"));
    let bearer = format!("Authorization: Bearer {KEY}\r\n");
    let page = read(&server, "/metrics", &bearer);
    assert!(page.contains("stepcast_store_commit_duration_seconds_count"));
    let url = server.url().to_owned();
    server.kill();
    let gone = run(["ready", "--url", &url]);
    assert_eq!(gone.code, 3, "{gone:?}");
}

#[test]
fn a_database_is_copied_while_it_is_served_and_after() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).display().to_string();
    let db = file("x.db");
    let server = Server::dev(&["--db", &db]);
    assert_eq!(server.run(&["publish", "c", "t", "1", "--durable"]).code, 0);
    let copied = run(["backup", &file("while"), "--db", &db]);
    assert_eq!(copied.code, 0, "{copied:?}");
    assert!(copied.out.contains("bytes"), "{copied:?}");
    let again = run(["backup", &file("while"), "--db", &db]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("give a new file"), "{again:?}");
    server.run(&["publish", "c", "t", "2", "--durable"]);
    assert_eq!(server.end(Signal::TERM).code, 0);
    assert_eq!(run(["backup", &file("after"), "--db", &db]).code, 0);
    let missing = run(["backup", &file("none"), "--db", &file("missing.db")]);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("missing.db"), "{missing:?}");
    assert!(!directory.path().join("none").exists());

    for (copy, messages) in [("while", 1), ("after", 2)] {
        let server = Server::dev(&["--db", &file(copy)]);
        let tail = server.start(&["tail", "c", "t", "--from", "start", "--json"]);
        let read: Vec<_> = (0..messages).map(|_| tail.json()["data"].clone()).collect();
        assert_eq!(read, [json!(1), json!(2)][..messages], "{copy}");
    }
}

//! Which pages of npm `inngest` are told that a run has ended.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use crate::{
    prepared::Prepared,
    process::{DEADLINE, Server, stepcast},
};

/// Sends the head of a request that has no body.
fn request(server: &Server, method: &str, path: &str, headers: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let host = server.address();
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n"
    )
    .unwrap();
    socket
}

/// What comes up to and with some text.
fn read_to(socket: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// What a page of npm `inngest` on a shared channel gets when a run that has published there is cancelled, up to the next message.
fn seen_of_an_end(flag: &[&str], variable: Option<&str>) -> String {
    let prepared = Prepared::new();
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("stepcast.toml");
    fs::write(&settings, "run-frames = \"off\"\n").unwrap();
    let (file, settings) = (prepared.file(), settings);
    let mut command = stepcast(["dev", "--json", "--port", "0"]);
    command.arg("--config").arg(settings).arg("--db").arg(file);
    command.args(flag);
    if let Some(variable) = variable {
        command.env("STEPCAST_RUN_FRAMES", variable);
    }
    let server = Server::of(command);

    let token = server.run(&["token", "chat", "said"]).out;
    let path = format!("/v1/realtime/connect?token={}", token.trim());
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut page = request(&server, "GET", &path, upgrade);
    assert!(read_to(&mut page, "\r\n\r\n").contains("101"));
    let run = prepared.waiting.to_string();
    let path =
        format!("/v1/realtime/publish?channel=chat&topic=said&durable=true&v=1&run_id={run}");
    let body = "Content-Type: application/json\r\nContent-Length: 9\r\n\r\n\"publish\"";
    let mut published = request(&server, "POST", &path, body);
    assert!(read_to(&mut published, "\r\n\r\n").contains("200"));
    read_to(&mut page, "\"publish\"");
    assert_eq!(server.run(&["cancel", &run]).code, 0);
    // A page that is told of it is told soon; this message comes after it, or instead of it.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let last = ["publish", "chat", "said", "\"last\""];
    assert_eq!(server.run(&last).code, 0);
    read_to(&mut page, "\"last\"")
}

#[test]
fn all_channels_of_a_run_are_told_when_the_settings_say_so() {
    let told = "\"data\":{\"status\":\"cancelled\"}";
    let all = seen_of_an_end(&["--run-frames", "all"], Some("own"));
    assert!(
        all.contains("\"kind\":\"run\"") && all.contains(told),
        "{all}"
    );
    let own = seen_of_an_end(&[], Some("own"));
    assert!(!own.contains("\"kind\":\"run\""), "{own}");
}

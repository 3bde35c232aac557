//! One connection to the server for requests: written in one piece, answered one by one.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use super::subject::Subject;
use crate::exit::Failure;

/// How long an answer may take, and how long a request may wait to be sent.
const ANSWER: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 64 * 1024;
/// A body of one JSON text.
pub(super) const JSON: &str = "application/json";
/// A body with a JSON text on each line.
pub(super) const LINES: &str = "application/x-ndjson";

/// A connection that is kept open.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    answers: Answers,
}

/// Answers as they come.
#[derive(Debug, Default)]
struct Answers {
    bytes: Vec<u8>,
}

/// Asks for one thing, on a connection of its own.
pub(super) fn ask(
    subject: &Subject,
    method: &str,
    target: &str,
    body: &str,
) -> Result<(), Failure> {
    let (before, after) = head(subject, method, target, JSON);
    let request = format!("{before}{after}{}\r\n\r\n{body}", body.len());
    let mut connection = Connection::open(subject)?;
    connection.send(request.as_bytes())?;
    connection.accepted(1)
}

/// A request's head up to the end of its target, and from there to the length of its body.
pub(super) fn head(
    subject: &Subject,
    method: &str,
    target: &str,
    media_type: &str,
) -> (String, String) {
    let Subject {
        host,
        prefix,
        signing_key,
        ..
    } = subject;
    let key = signing_key.clone().map(|key| key.into_text());
    let key = key.map_or_else(String::new, |key| {
        format!("Authorization: Bearer {key}\r\n")
    });
    let after =
        format!(" HTTP/1.1\r\nHost: {host}\r\n{key}Content-Type: {media_type}\r\nContent-Length: ");
    (format!("{method} {prefix}{target}"), after)
}

impl Connection {
    pub(super) fn open(subject: &Subject) -> Result<Self, Failure> {
        let opened = TcpStream::connect(subject.address).and_then(|socket| {
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(ANSWER))?;
            socket.set_write_timeout(Some(ANSWER))?;
            Ok(socket)
        });
        let socket = opened.map_err(|error| {
            Failure::Unreachable(format!("{} cannot be reached: {error}", subject.url))
        })?;
        Ok(Self {
            socket,
            answers: Answers::default(),
        })
    }

    /// The same connection, for a thread that waits for answers while another one sends. Only one of the two may wait.
    pub(super) fn twin(&self) -> Result<Self, Failure> {
        let socket = self.socket.try_clone();
        let socket = socket
            .map_err(|error| Failure::failed(format!("a connection cannot be shared: {error}")))?;
        Ok(Self {
            socket,
            answers: Answers::default(),
        })
    }

    /// Sends requests in one write.
    pub(super) fn send(&mut self, requests: &[u8]) -> Result<(), Failure> {
        let sent = self.socket.write_all(requests);
        sent.map_err(|error| Failure::Unreachable(format!("a request cannot be sent: {error}")))
    }

    /// Waits until so many requests were answered with success.
    pub(super) fn accepted(&mut self, requests: usize) -> Result<(), Failure> {
        let mut buffer = [0; READ_BYTES];
        for _ in 0..requests {
            while !self.answers.take().map_err(Failure::Failed)? {
                let taken = self.socket.read(&mut buffer).and_then(|taken| match taken {
                    0 => Err(ErrorKind::UnexpectedEof.into()),
                    taken => Ok(taken),
                });
                let taken = taken.map_err(|error| {
                    Failure::Unreachable(format!("a request was not answered: {error}"))
                })?;
                self.answers.bytes.extend_from_slice(&buffer[..taken]);
            }
        }
        Ok(())
    }
}

impl Answers {
    /// Takes one whole answer away, if there is one; what is no success is an error.
    fn take(&mut self) -> Result<bool, String> {
        let Some(head) = memchr::memmem::find(&self.bytes, b"\r\n\r\n") else {
            return Ok(false);
        };
        let (text, body) = (String::from_utf8_lossy(&self.bytes[..head]), head + 4);
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_it = name.eq_ignore_ascii_case("content-length");
            is_it.then(|| value.trim().parse::<usize>().ok())?
        });
        let Some(length) = length else {
            return Err(format!("an answer does not say how long it is: {text}"));
        };
        if self.bytes.len() < body + length {
            return Ok(false);
        }
        let line = text.lines().next().unwrap_or_default();
        let status = line.split(' ').nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            let said = String::from_utf8_lossy(&self.bytes[body..body + length]);
            return Err(format!("the server refused: {line}: {said}"));
        }
        self.bytes.drain(..body + length);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_one_by_one_when_they_are_whole() {
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let mut answers = Answers::default();
        for byte in ok.iter().chain(ok) {
            answers.bytes.push(*byte);
            let is_whole = answers.bytes.len() == ok.len();
            assert_eq!(answers.take(), Ok(is_whole));
        }
        assert!(answers.bytes.is_empty());
        answers.bytes = b"HTTP/1.1 507 x\r\ncontent-length: 3\r\n\r\nno!".to_vec();
        let refused = answers.take().unwrap_err();
        assert!(
            refused.contains("507") && refused.contains("no!"),
            "{refused}"
        );
    }
}

//! One thread of readers: its sockets, and whatever becomes readable.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    sync::Arc,
    time::Instant,
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use stepcast_protocol::Cursor;

use super::{
    crowd::{Door, Ended, First, Phase, Reading, Shared, Sight, Sums, WAKER},
    frame::{Fact, Frames, Mark, pong},
    samples,
    tally::Tally,
};

/// Bytes of one read.
const READ_BYTES: usize = 256 * 1024;
/// Sockets that one wait tells of.
const EVENTS: usize = 1_024;
/// Bytes of a server's answer to a handshake.
const ANSWER_BYTES: usize = 64 * 1024;
/// The close code for a reader whose socket took nothing for too long; the reason is its cursor.
const TOO_SLOW: u16 = 4008;

/// The readers of one thread.
pub(super) struct Crew {
    poll: Poll,
    door: Door,
    shared: Arc<Shared>,
    waiting: VecDeque<Reading>,
    /// Handshakes that are under way.
    connecting: usize,
    readers: Vec<Reader>,
    eyes: Eyes,
    buffer: Box<[u8]>,
}

/// What is looked for in bytes, and what was found since the others were told.
struct Eyes {
    frames: Frames,
    sight: Sight,
    news: Sums,
}

struct Reader {
    socket: TcpStream,
    reading: Reading,
    state: State,
    /// The beginning of an answer or a frame whose end has not come.
    rest: Vec<u8>,
    began: Instant,
    tally: Tally,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    /// The handshake is sent and not answered.
    Asked,
    Open,
    /// Open, and reads nothing for now.
    Stalled,
    /// Closed by the server, as it did not read.
    Gone,
}

/// How a connection has ended.
#[derive(Debug, PartialEq, Eq)]
enum Gone {
    /// Closed by the server, as it did not read; it may resume from there.
    TooSlow(Cursor),
    /// In any other way.
    Failed(String),
}

impl Gone {
    fn closed(code: u16, reason: &str) -> Self {
        match reason.parse::<Cursor>() {
            Ok(cursor) if code == TOO_SLOW => Self::TooSlow(cursor),
            _ => Self::Failed(format!("closed by the server: {code} {reason}")),
        }
    }
}

impl From<String> for Gone {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// A moment, for people and as nanoseconds since the benchmark began.
#[derive(Clone, Copy)]
struct Moment {
    instant: Instant,
    nanos: u64,
}

impl Moment {
    fn after(begin: Instant) -> Self {
        let instant = Instant::now();
        let nanos = instant.duration_since(begin).as_nanos();
        Self {
            instant,
            nanos: u64::try_from(nanos).unwrap_or(u64::MAX),
        }
    }
}

impl Crew {
    pub(super) fn new(poll: Poll, door: Door, readings: Vec<Reading>, shared: Arc<Shared>) -> Self {
        Self {
            poll,
            door,
            shared,
            waiting: readings.into(),
            connecting: 0,
            readers: Vec::new(),
            eyes: Eyes {
                frames: Frames::new(),
                sight: Sight::new(),
                news: Sums::default(),
            },
            buffer: vec![0; READ_BYTES].into(),
        }
    }

    /// Reads until it is told to end, or something is wrong.
    pub(super) fn work(mut self) -> Ended {
        if let Err(why) = self.read_on() {
            self.shared.fail(why);
        }
        let tally = |reader: Reader| (reader.reading.channel, reader.tally);
        let tallies = self.readers.into_iter().map(tally).collect();
        (self.eyes.sight, tallies)
    }

    fn read_on(&mut self) -> Result<(), String> {
        let mut events = Events::with_capacity(EVENTS);
        let mut phase = Phase::Read;
        loop {
            self.admit()?;
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => {
                    polled.map_err(|error| format!("sockets cannot be waited for: {error}"))?
                }
            }
            for event in &events {
                if event.token() != WAKER {
                    self.serve(event.token().0, event.is_read_closed())?;
                }
            }
            let now = self.shared.phase();
            if now >= Phase::ReadAll && phase < Phase::ReadAll {
                self.unstall()?;
            }
            phase = now;
            let news = std::mem::take(&mut self.eyes.news);
            if news != Sums::default() {
                self.shared.report(news);
            }
            if phase == Phase::End {
                return Ok(());
            }
        }
    }

    /// Lets as many connect as may at once.
    fn admit(&mut self) -> Result<(), String> {
        while self.connecting < self.door.at_once {
            let Some(reading) = self.waiting.pop_front() else {
                return Ok(());
            };
            let mut socket = TcpStream::connect(self.door.address)
                .map_err(|error| self.cannot_connect(&error))?;
            socket
                .set_nodelay(true)
                .map_err(|error| self.cannot_connect(&error))?;
            let token = Token(self.readers.len());
            let interests = Interest::READABLE | Interest::WRITABLE;
            let registered = self.poll.registry().register(&mut socket, token, interests);
            registered.map_err(|error| format!("a socket cannot be waited for: {error}"))?;
            self.connecting += 1;
            self.readers.push(Reader {
                socket,
                tally: match reading.first {
                    First::Is(number) => Tally::new(number),
                    First::AtLatest(number) => Tally::at_latest(number),
                },
                reading,
                state: State::Connecting,
                rest: Vec::new(),
                began: Instant::now(),
            });
        }
        Ok(())
    }

    fn cannot_connect(&self, error: &io::Error) -> String {
        let open = self.readers.len();
        let address = self.door.address;
        format!(
            "reader {} cannot connect to {address}: {error}; with thousands of readers, look at the limits of open files (`ulimit -n`) \
             and of ports (`net.ipv4.ip_local_port_range`), or take fewer",
            open + 1
        )
    }

    fn serve(&mut self, index: usize, is_closed: bool) -> Result<(), String> {
        if self.readers[index].state == State::Connecting && !self.ask(index)? {
            return Ok(());
        }
        match self.readers[index].state {
            State::Stalled | State::Gone => Ok(()),
            State::Connecting | State::Asked | State::Open => self.read(index, is_closed),
        }
    }

    /// Sends the handshake once the socket is connected; whether it is.
    fn ask(&mut self, index: usize) -> Result<bool, String> {
        let reader = &mut self.readers[index];
        let connected = match reader.socket.take_error() {
            Ok(None) => reader.socket.peer_addr().map(drop),
            Ok(Some(error)) | Err(error) => Err(error),
        };
        match connected {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
            Err(error) => return Err(self.cannot_connect(&error)),
        }
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: c3RlcGNhc3QgYmVuY2hlcw==\r\n\r\n",
            reader.reading.target, self.door.host
        );
        // It fits into the socket of a connection that has sent nothing yet.
        let sent = reader.socket.write_all(request.as_bytes());
        sent.map_err(|error| self.cannot_connect(&error))?;
        self.readers[index].state = State::Asked;
        Ok(true)
    }

    /// Reads until nothing is there. `is_closed` says that the end of the stream waits behind what is there.
    fn read(&mut self, index: usize, is_closed: bool) -> Result<(), String> {
        loop {
            let reader = &mut self.readers[index];
            let was_asked = reader.state == State::Asked;
            let taken = match reader.socket.read(&mut self.buffer) {
                Ok(0) => {
                    let why = "cut off by the server".to_owned();
                    return self.on_gone(index, Gone::Failed(why));
                }
                Ok(taken) => taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    let why = format!("cut off: {error}");
                    return self.on_gone(index, Gone::Failed(why));
                }
            };
            let now = Moment::after(self.shared.begin);
            let looked = self.eyes.take(reader, &self.buffer[..taken], now);
            if was_asked && reader.state != State::Asked {
                self.connecting -= 1;
            }
            if let Err(gone) = looked {
                return self.on_gone(index, gone);
            }
            let is_done = taken < self.buffer.len() && !is_closed;
            if is_done || self.readers[index].state == State::Stalled {
                return Ok(());
            }
        }
    }

    /// A reader that did not read for long may be closed, and knows by that what it has lost. Every other end is a failure.
    fn on_gone(&mut self, index: usize, gone: Gone) -> Result<(), String> {
        let reader = &mut self.readers[index];
        let is_stalled = reader.reading.is_stalled;
        let why = match gone {
            Gone::TooSlow(_) if is_stalled => {
                reader.state = State::Gone;
                reader.tally.on_gap();
                self.eyes.news.ended_late += 1;
                return Ok(());
            }
            Gone::TooSlow(cursor) => format!("closed at {cursor} for not reading, which it did"),
            Gone::Failed(why) if is_stalled => format!(
                "{why}; one that reads nothing is closed with {TOO_SLOW} and its cursor, which waits for it for half a minute: take a shorter --time"
            ),
            Gone::Failed(why) => why,
        };
        Err(format!("reader {}: {why}", index + 1))
    }

    /// Those that were stalled begin to read.
    fn unstall(&mut self) -> Result<(), String> {
        for index in 0..self.readers.len() {
            if self.readers[index].state == State::Stalled {
                self.readers[index].state = State::Open;
                self.read(index, true)?;
            }
        }
        Ok(())
    }
}

impl Eyes {
    fn take(&mut self, reader: &mut Reader, bytes: &[u8], now: Moment) -> Result<(), Gone> {
        if reader.rest.is_empty() && reader.state != State::Asked {
            let taken = self.look(reader, bytes, now)?;
            reader.rest.extend_from_slice(&bytes[taken..]);
            return Ok(());
        }
        let mut rest = std::mem::take(&mut reader.rest);
        rest.extend_from_slice(bytes);
        if reader.state == State::Asked {
            let Some(end) = answer(&rest)? else {
                reader.rest = rest;
                return Ok(());
            };
            rest.drain(..end);
            self.on_open(reader, now);
        }
        let taken = self.look(reader, &rest, now)?;
        rest.drain(..taken);
        // One long frame should not be remembered by what it took.
        rest.shrink_to(1_024);
        reader.rest = rest;
        Ok(())
    }

    fn on_open(&mut self, reader: &mut Reader, now: Moment) {
        let took = now.instant.duration_since(reader.began);
        samples::record(&mut self.sight.connecting, took);
        self.news.connected += 1;
        reader.state = if reader.reading.is_stalled {
            State::Stalled
        } else {
            State::Open
        };
        if reader.reading.caught_up != 0 && reader.tally.has_reached(reader.reading.caught_up) {
            self.on_caught_up(now);
        }
    }

    fn on_caught_up(&mut self, now: Moment) {
        self.news.caught_up += 1;
        samples::record_nanos(&mut self.sight.catching_up, now.nanos);
    }

    /// Looks at every whole frame; says where the rest begins.
    fn look(&mut self, reader: &mut Reader, bytes: &[u8], now: Moment) -> Result<usize, Gone> {
        let mut taken = 0;
        while let Some((fact, len)) = self.frames.first(&bytes[taken..])? {
            taken += len;
            self.on_fact(reader, fact, now)?;
        }
        Ok(taken)
    }

    fn on_fact(&mut self, reader: &mut Reader, fact: Fact, now: Moment) -> Result<(), Gone> {
        match fact {
            Fact::Message(mark) => {
                self.on_message(reader, mark, now);
                Ok(())
            }
            Fact::Gap => {
                reader.tally.on_gap();
                Ok(())
            }
            Fact::Ping(payload) => {
                // A socket that cannot take 6 bytes is one whose peer has gone.
                let sent = reader.socket.write_all(&pong(&payload));
                sent.map_err(|error| Gone::Failed(format!("a ping cannot be answered: {error}")))
            }
            Fact::Close(code, reason) => Err(Gone::closed(code, &reason)),
            Fact::Other => Ok(()),
        }
    }

    fn on_message(&mut self, reader: &mut Reader, mark: Mark, now: Moment) {
        let Reader { tally, reading, .. } = reader;
        let was_behind = !tally.has_reached(reading.caught_up);
        if !tally.on_message(mark.number) {
            // A second copy is counted there, and brings nobody further.
            return;
        }
        if was_behind && tally.has_reached(reading.caught_up) {
            self.on_caught_up(now);
        }
        match (mark.is_last(), reading.is_stalled) {
            (true, true) => self.news.ended_late += 1,
            (true, false) => self.news.ended += 1,
            (false, true) => {}
            (false, false) => self.on_delivered(mark, now),
        }
    }

    fn on_delivered(&mut self, mark: Mark, now: Moment) {
        self.news.delivered += 1;
        if mark.at != 0 {
            let late = now.nanos.saturating_sub(mark.at);
            samples::record_nanos(&mut self.sight.latency, late);
        }
    }
}

/// Where a handshake's answer ends, unless more of it has to come.
fn answer(bytes: &[u8]) -> Result<Option<usize>, String> {
    let head = memchr::memmem::find(bytes, b"\r\n\r\n");
    match head {
        Some(end) if bytes.starts_with(b"HTTP/1.1 101") => Ok(Some(end + 4)),
        None if bytes.len() < ANSWER_BYTES => Ok(None),
        _ => {
            let said = String::from_utf8_lossy(bytes);
            let hint = if said.contains(" 429") {
                "; raise the server's --connections-per-address"
            } else {
                ""
            };
            let lines: Vec<&str> = said.lines().collect();
            let (first, last) = (lines.first().unwrap_or(&""), lines.last().unwrap_or(&""));
            Err(format!("refused by the server: {first}: {last}{hint}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_when_it_is_whole() {
        assert_eq!(answer(b"HTTP/1.1 101 Switching"), Ok(None));
        assert_eq!(
            answer(b"HTTP/1.1 101 x\r\na: b\r\n\r\n\x81\0"),
            Ok(Some(24))
        );
        let refused = answer(b"HTTP/1.1 429 x\r\n\r\n{\"code\":\"too_many\"}").unwrap_err();
        assert!(refused.contains("too_many") && refused.contains("--connections-per-address"));
    }

    #[test]
    fn only_its_code_with_a_cursor_says_that_a_reader_was_too_slow() {
        assert_eq!(
            Gone::closed(4008, "7-3"),
            Gone::TooSlow("7-3".parse().unwrap())
        );
        for (code, reason) in [(4008, ""), (4008, "too slow"), (1001, "7-3"), (1005, "")] {
            let gone = Gone::closed(code, reason);
            assert!(matches!(gone, Gone::Failed(_)), "{code} {reason} {gone:?}");
        }
    }
}

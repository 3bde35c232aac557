//! Publishing over one connection, as many messages in one write as are wanted, in turn with the answers or without waiting for them.

use std::{
    sync::mpsc,
    thread::{self, JoinHandle},
};

use stepcast_protocol::paths;

use super::{
    connection::{self, Connection},
    frame::Mark,
    subject::{Subject, TOPIC},
};
use crate::exit::Failure;

/// Messages of one write, where nobody says how many.
pub(super) const BURST: usize = 64;

/// What an answer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    AtOnce,
    Durable,
}

/// One connection that publishes.
#[derive(Debug)]
pub(super) struct Publisher {
    connection: Connection,
    /// From the method to the channel's name.
    before: String,
    /// From there to the length of the body.
    after: String,
    requests: Vec<u8>,
}

impl Publisher {
    /// Whose messages have a request each.
    pub(super) fn connect(subject: &Subject, promise: Promise) -> Result<Self, Failure> {
        Self::speaking(subject, promise, connection::JSON)
    }

    /// Whose requests have a message on each line.
    pub(super) fn of_lines(subject: &Subject, promise: Promise) -> Result<Self, Failure> {
        Self::speaking(subject, promise, connection::LINES)
    }

    fn speaking(subject: &Subject, promise: Promise, media_type: &str) -> Result<Self, Failure> {
        let durable = match promise {
            Promise::AtOnce => "",
            Promise::Durable => "&durable=true",
        };
        let target = format!("{}?topic={TOPIC}{durable}&channel=", paths::PUBLISH);
        let (before, after) = connection::head(subject, "POST", &target, media_type);
        Ok(Self {
            connection: Connection::open(subject)?,
            before,
            after,
            requests: Vec::new(),
        })
    }

    /// One more request for the next [`Self::send`].
    pub(super) fn add(&mut self, channel: &str, payload: &str) {
        let (before, after, len) = (&*self.before, &*self.after, payload.len().to_string());
        for part in [before, channel, after, &len, "\r\n\r\n", payload] {
            self.requests.extend_from_slice(part.as_bytes());
        }
    }

    /// Sends what was added, in one write.
    pub(super) fn send(&mut self) -> Result<(), Failure> {
        let sent = self.connection.send(&self.requests);
        self.requests.clear();
        sent
    }

    /// Waits until so many requests are accepted.
    pub(super) fn accepted(&mut self, requests: usize) -> Result<(), Failure> {
        self.connection.accepted(requests)
    }
}

/// Publishing that waits for no answer, so that a server that is slow does not slow its load down: a thread of its own takes the answers.
#[derive(Debug)]
pub(super) struct OpenLoop {
    publisher: Publisher,
    /// Messages since the last [`Self::send`].
    added: usize,
    /// How many answers to wait for; nothing once nothing is sent any more.
    sent: Option<mpsc::Sender<usize>>,
    answers: Option<JoinHandle<Result<(), Failure>>>,
}

impl OpenLoop {
    pub(super) fn of(publisher: Publisher) -> Result<Self, Failure> {
        let mut connection = publisher.connection.twin()?;
        let (sent, expected) = mpsc::channel();
        let wait = move || -> Result<(), Failure> {
            for messages in expected {
                connection.accepted(messages)?;
            }
            Ok(())
        };
        Ok(Self {
            publisher,
            added: 0,
            sent: Some(sent),
            answers: Some(thread::spawn(wait)),
        })
    }

    /// One more message for the next [`Self::send`].
    pub(super) fn add(&mut self, channel: &str, payload: &str) {
        self.publisher.add(channel, payload);
        self.added += 1;
    }

    /// Sends what was added, in one write. An answer that was no success fails it, soon after it has come.
    pub(super) fn send(&mut self) -> Result<(), Failure> {
        let written = self.publisher.send();
        let messages = std::mem::take(&mut self.added);
        let is_expected = |sent: &mpsc::Sender<usize>| sent.send(messages).is_ok();
        if written.is_ok() && self.sent.as_ref().is_some_and(is_expected) {
            return Ok(());
        }
        // What the server said is the better reason.
        self.finish().and(written)
    }

    /// Waits until everything that was sent is accepted.
    pub(super) fn accepted(mut self) -> Result<(), Failure> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.sent = None;
        match self.answers.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(answered) => answered
                .unwrap_or_else(|_| Err(Failure::failed("a thread for answers has panicked"))),
        }
    }
}

/// Publishes one more message to each channel, after which nothing comes: whoever has it has everything that came before, and second copies of it.
pub(super) fn publish_last(
    subject: &Subject,
    channels: &[String],
    last: &mut [u64],
) -> Result<(), Failure> {
    let mut publisher = Publisher::connect(subject, Promise::AtOnce)?;
    for (channels, last) in channels.chunks(BURST).zip(last.chunks_mut(BURST)) {
        for (channel, last) in channels.iter().zip(last) {
            *last += 1;
            let mark = Mark {
                number: *last,
                at: Mark::LAST,
            };
            publisher.add(channel, &mark.payload(0));
        }
        publisher.send()?;
        publisher.accepted(channels.len())?;
    }
    Ok(())
}

//! The client's side of the native protocol: frames in, what they mean out. No I/O, no clock, so that every turn can be tested.
//!
//! A session outlives connections: what is held of the channel stays, and says where the next connection begins.

use std::time::Duration;

use stepcast_protocol::{
    Beginning, ChannelName, Cursor, ErrorCode, RunError, TopicName,
    frame::{self, ClientFrame, ControlFrame, Ref, ServerFrame},
};

use super::held::Held;
use crate::{error::Error, verbs::Item};

/// The reading of one channel, over however many connections.
#[derive(Debug)]
pub(super) struct Session {
    held: Held,
    wanted: Vec<TopicName>,
    from: Option<Beginning>,
    /// The number of the last `auth`.
    last: u64,
    /// Whether that is not answered yet.
    is_asking: bool,
}

/// What a frame means.
#[derive(Debug)]
pub(super) enum Heard {
    /// Something for the reader.
    Item(Item),
    /// The connection stands.
    Hello {
        /// How often the server pings.
        keepalive: Duration,
        /// How long the connection may go on.
        session: Duration,
        /// Topics that are read and need not be.
        unwanted: Vec<TopicName>,
    },
    /// It may go on for so long, from now.
    Authenticated(Duration),
    /// It may not go on with the token that was shown.
    TokenRefused(Error),
    /// The server goes; it wants to see nobody before this time is over.
    Closing(Duration),
    /// Nothing that matters.
    Nothing,
}

impl Session {
    pub(super) fn new(
        channel: ChannelName,
        wanted: Vec<TopicName>,
        from: Option<Beginning>,
    ) -> Self {
        Self {
            held: Held::new(channel),
            wanted,
            from,
            last: 0,
            is_asking: false,
        }
    }

    pub(super) fn channel(&self) -> &ChannelName {
        self.held.channel()
    }

    /// Where the next connection begins.
    pub(super) fn from(&self) -> Option<Beginning> {
        self.held.resume().map(Beginning::After).or(self.from)
    }

    /// What a frame means.
    ///
    /// # Errors
    /// When it cannot be read, or this is not what was to be read: nothing good can follow.
    pub(super) fn on_text(&mut self, text: &str) -> Result<Heard, Error> {
        match ServerFrame::parse(text).map_err(unreadable)? {
            ServerFrame::Control(control) => self.on_control(control),
            frame => {
                let item = self.held.take(frame).map_err(unreadable)?;
                Ok(item.map_or(Heard::Nothing, Heard::Item))
            }
        }
    }

    /// Shows another token.
    pub(super) fn auth(&mut self, token: String) -> ClientFrame {
        self.last += 1;
        self.is_asking = true;
        ClientFrame::Auth {
            reference: Some(Ref::Number(self.last)),
            token,
        }
    }

    /// Stops what need not be read.
    pub(super) fn unsub(&self, unwanted: Vec<TopicName>) -> ClientFrame {
        ClientFrame::Unsub {
            reference: None,
            channel: self.held.channel().clone(),
            topics: Some(unwanted),
        }
    }

    fn on_control(&mut self, control: ControlFrame) -> Result<Heard, Error> {
        match control {
            ControlFrame::Hello {
                protocol,
                keepalive_ms,
                channel,
                topics,
                cursor,
                session,
                ..
            } => {
                self.check(protocol, &channel)?;
                let unwanted = self.on_hello(topics, cursor)?;
                Ok(Heard::Hello {
                    keepalive: Duration::from_millis(keepalive_ms),
                    session: Duration::from_secs(session),
                    unwanted,
                })
            }
            ControlFrame::Authenticated {
                reference,
                channel,
                session,
            } if channel == *self.channel() && self.is_answer(reference.as_ref()) => {
                Ok(Heard::Authenticated(Duration::from_secs(session)))
            }
            ControlFrame::Error {
                reference,
                code,
                error,
            } if self.is_answer(reference.as_ref()) => {
                Ok(Heard::TokenRefused(Error::recorded(RunError {
                    code,
                    message: error,
                    causes: Vec::new(),
                    sdk: None,
                })))
            }
            ControlFrame::Closing { reconnect_ms } => {
                Ok(Heard::Closing(Duration::from_millis(reconnect_ms)))
            }
            ControlFrame::Subscribed {
                channel,
                topics,
                cursor,
                ..
            } if channel == *self.channel() => {
                self.begin(topics, cursor);
                Ok(Heard::Nothing)
            }
            ControlFrame::Unsubscribed {
                channel, topics, ..
            } if channel == *self.channel() => {
                self.held.retain(&topics);
                Ok(Heard::Nothing)
            }
            // Of other channels, or answers to what was not asked.
            ControlFrame::Authenticated { .. }
            | ControlFrame::Error { .. }
            | ControlFrame::Subscribed { .. }
            | ControlFrame::Unsubscribed { .. }
            | ControlFrame::Outdated { .. }
            | ControlFrame::Pong { .. } => Ok(Heard::Nothing),
        }
    }

    fn check(&self, protocol: u32, channel: &ChannelName) -> Result<(), Error> {
        if protocol != frame::VERSION {
            let text = format!(
                "the server speaks version {protocol} of the protocol, this client version {}",
                frame::VERSION
            );
            return Err(Error::coded(ErrorCode::BadRequest, text).terminal());
        }
        if channel != self.channel() {
            let text = format!(
                "the token is for channel `{channel}`, the subscription for `{}`",
                self.channel()
            );
            return Err(Error::coded(ErrorCode::BadChannel, text).terminal());
        }
        Ok(())
    }

    /// What is asked for by an earlier connection does not count any more.
    fn on_hello(
        &mut self,
        topics: Vec<TopicName>,
        cursor: Cursor,
    ) -> Result<Vec<TopicName>, Error> {
        self.is_asking = false;
        let (wanted, unwanted): (Vec<_>, Vec<_>) = topics
            .into_iter()
            .partition(|topic| self.wanted.contains(topic));
        if wanted.is_empty() {
            let text = format!(
                "the token allows none of the topics that are to be read of channel `{}`",
                self.channel()
            );
            return Err(Error::coded(ErrorCode::Forbidden, text).terminal());
        }
        self.begin(wanted, cursor);
        Ok(unwanted)
    }

    fn begin(&mut self, topics: Vec<TopicName>, cursor: Cursor) {
        let wanted = topics
            .into_iter()
            .filter(|topic| self.wanted.contains(topic));
        self.held.begin(wanted, cursor);
    }

    /// Whether this answers the last `auth`.
    fn is_answer(&mut self, reference: Option<&Ref>) -> bool {
        let is_answer = self.is_asking && reference == Some(&Ref::Number(self.last));
        self.is_asking &= !is_answer;
        is_answer
    }
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    let text = format!("a frame of the server is not one of the protocol: {error}");
    Error::coded(ErrorCode::Internal, text).terminal()
}

#[cfg(test)]
mod tests;

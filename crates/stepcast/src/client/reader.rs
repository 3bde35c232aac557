//! Reads a channel of a server, over one connection after the other.
//!
//! Nothing runs beside whoever polls: the socket is read, refreshed and opened anew only while somebody waits for the next item. A
//! reader that is slow leaves its bytes in the socket, and the server knows what to do with those.

use std::{
    hash::{BuildHasher, RandomState},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use futures_util::stream;
use serde_json::Value;
use stepcast_protocol::{ErrorCode, frame::ClientFrame};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    backoff::Backoff,
    connection::{Arrival, Connection},
    remote::Remote,
    rest::Rest,
    session::{Heard, Session},
    tokens::Tokens,
};
use crate::{
    error::Error,
    verbs::{Answer, Item, Reader, Reading},
};

/// How long the first frame of a connection may take.
const HELLO: Duration = Duration::from_secs(20);
/// After how long a token that could not be had is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// The longest time that a server which goes may ask for.
const AWAY: Duration = Duration::from_secs(60);

/// A `Stream` of what a channel's reader is told.
pub(super) struct RemoteReader {
    items: Pin<Box<dyn Stream<Item = Result<Item, Error>> + Send>>,
    end: watch::Sender<bool>,
}

impl RemoteReader {
    /// Connects once; a server that cannot be reached at the beginning is an error.
    pub(super) async fn open(
        remote: Remote,
        tokens: Tokens,
        reading: Reading,
    ) -> Result<Self, Error> {
        let Reading {
            channel,
            topics,
            from,
        } = reading;
        let (end, is_ending) = watch::channel(false);
        let mut link = Link {
            remote,
            tokens,
            session: Session::new(channel, topics, from),
            backoff: Backoff::new(RandomState::new().hash_one(0)),
            live: None,
            wait: None,
            is_ending,
            rest: None,
            is_over: false,
        };
        link.live = Some(link.connect().await?);
        let items = stream::unfold(link, |mut link| async move {
            let item = link.next().await?;
            Some((item, link))
        });
        let items = Box::pin(items);
        Ok(Self { items, end })
    }
}

impl Reader for RemoteReader {
    fn end(&mut self) {
        self.end.send_replace(true);
    }
}

impl Stream for RemoteReader {
    type Item = Result<Item, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.items.as_mut().poll_next(context)
    }
}

/// What it takes to go on reading.
struct Link {
    remote: Remote,
    tokens: Tokens,
    session: Session,
    backoff: Backoff,
    live: Option<Live>,
    /// How long to stay away, when that was said.
    wait: Option<Duration>,
    is_ending: watch::Receiver<bool>,
    /// What is left to read, once it ends.
    rest: Option<Rest>,
    is_over: bool,
}

/// A connection that is up.
struct Live {
    connection: Connection,
    keepalive: Duration,
    heard_at: Instant,
    /// Whether it was asked if it is there, and has said nothing since.
    is_asked: bool,
    /// When another token has to be got.
    refresh_at: Option<Instant>,
    /// One that is on its way.
    refreshing: Option<Answer<String>>,
}

/// What a link waits for.
enum Event {
    Arrival(Arrival),
    Token(Result<String, Error>),
    /// It is time for another token.
    Refresh,
    /// Nothing was heard for two pings, or for three.
    Silence,
    Ending,
}

/// What is to be done about an event.
enum Turn {
    Give(Item),
    Send(ClientFrame),
    /// The connection is of no use any more.
    Drop,
    Fail(Error),
    /// It is to end after what is published by now.
    End,
    GoOn,
}

impl Link {
    /// What the reader is told next; nothing at the end, and after an error.
    async fn next(&mut self) -> Option<Result<Item, Error>> {
        while !self.is_over {
            match self.step().await {
                Ok(Some(item)) => return Some(Ok(item)),
                Ok(None) => {}
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// One turn, which may come to something.
    async fn step(&mut self) -> Result<Option<Item>, Error> {
        if self.rest.is_some() {
            return self.read_rest().await;
        }
        let Some(live) = &mut self.live else {
            self.reconnect().await?;
            return Ok(None);
        };
        let event = live.event(&mut self.is_ending).await;
        match self.on_event(event) {
            Turn::Give(item) => return Ok(Some(item)),
            Turn::Send(frame) => self.send(&frame).await,
            Turn::Drop => self.live = None,
            Turn::Fail(error) => return Err(error),
            Turn::End => {
                self.live = None;
                self.rest = Some(Rest::new(self.session.from()));
            }
            Turn::GoOn => {}
        }
        Ok(None)
    }

    fn on_event(&mut self, event: Event) -> Turn {
        let Some(live) = &mut self.live else {
            return Turn::GoOn;
        };
        match event {
            Event::Arrival(arrival) => {
                live.heard_at = Instant::now();
                live.is_asked = false;
                self.on_arrival(arrival)
            }
            Event::Refresh => {
                live.refresh_at = None;
                live.refreshing = Some(self.tokens.get());
                Turn::GoOn
            }
            Event::Token(Ok(token)) => {
                live.refreshing = None;
                Turn::Send(self.session.auth(token))
            }
            Event::Token(Err(error)) => {
                live.refreshing = None;
                if !is_passing(&error) {
                    return Turn::Fail(error);
                }
                tracing::debug!(%error, "another token cannot be had yet");
                live.refresh_at = Some(Instant::now() + ASK_AGAIN);
                Turn::GoOn
            }
            Event::Silence if live.is_asked => Turn::Drop,
            Event::Silence => {
                live.is_asked = true;
                Turn::Send(ClientFrame::Ping {
                    reference: None,
                    data: Value::Null,
                })
            }
            Event::Ending => Turn::End,
        }
    }

    fn on_arrival(&mut self, arrival: Arrival) -> Turn {
        // A connection on which something comes is one that works.
        match arrival {
            Arrival::Text(text) => {
                self.backoff.reset();
                match self.session.on_text(&text) {
                    Ok(heard) => self.on_heard(heard),
                    Err(error) => Turn::Fail(error),
                }
            }
            Arrival::Sign => {
                self.backoff.reset();
                Turn::GoOn
            }
            Arrival::Closed(code) => self.on_close(code),
        }
    }

    fn on_heard(&mut self, heard: Heard) -> Turn {
        match heard {
            Heard::Item(item) => Turn::Give(item),
            Heard::Authenticated(session) => {
                if let Some(live) = &mut self.live {
                    live.refresh_at = Some(refresh_after(session));
                }
                Turn::GoOn
            }
            Heard::TokenRefused(error) if error.code() == ErrorCode::BadToken.as_str() => {
                // The next connection shows whether any token is good.
                tracing::debug!(%error, "a token was refused");
                Turn::Drop
            }
            Heard::TokenRefused(error) if is_passing(&error) => Turn::Drop,
            Heard::TokenRefused(error) => Turn::Fail(error),
            Heard::Closing(wait) => {
                self.wait = Some(wait.min(AWAY));
                Turn::GoOn
            }
            Heard::Hello { .. } | Heard::Nothing => Turn::GoOn,
        }
    }

    fn on_close(&mut self, code: Option<u16>) -> Turn {
        match code {
            Some(4401) => {
                self.wait = Some(Duration::ZERO);
                Turn::Drop
            }
            Some(code @ (1002 | 1007 | 1009)) => {
                let text = format!(
                    "the server has closed the connection with {code}: this client has broken the rules of WebSocket"
                );
                Turn::Fail(Error::coded(ErrorCode::Internal, text).terminal())
            }
            Some(_) | None => Turn::Drop,
        }
    }

    async fn send(&mut self, frame: &ClientFrame) {
        if let Some(live) = &mut self.live
            && !live.connection.send(frame).await
        {
            self.live = None;
        }
    }

    /// Tries until there is a connection, or none can be.
    async fn reconnect(&mut self) -> Result<(), Error> {
        let wait = self.wait.take().unwrap_or_else(|| self.backoff.wait());
        let mut is_ending = self.is_ending.clone();
        let connecting = async {
            sleep(wait).await;
            self.connect().await
        };
        let connected = tokio::select! {
            connected = connecting => Some(connected),
            () = ending(&mut is_ending) => None,
        };
        match connected {
            Some(Ok(live)) => self.live = Some(live),
            Some(Err(error)) if is_passing(&error) => {
                tracing::info!(%error, channel = %self.session.channel(), "no connection, trying again");
            }
            Some(Err(error)) => return Err(error),
            None => self.rest = Some(Rest::new(self.session.from())),
        }
        Ok(())
    }

    /// Connects under a token, and under another one when that is too old.
    async fn connect(&mut self) -> Result<Live, Error> {
        match self.connect_once().await {
            Err(error) if error.code() == ErrorCode::BadToken.as_str() => self.connect_once().await,
            outcome => outcome,
        }
    }

    async fn connect_once(&mut self) -> Result<Live, Error> {
        let token = self.tokens.get().await?;
        let mut connection = Connection::open(&self.remote, &token, self.session.from()).await?;
        let silent = || {
            let text = format!(
                "server {} has let the connection in and said nothing",
                self.remote.server
            );
            Error::coded(ErrorCode::Unreachable, text)
        };
        let first = tokio::time::timeout(HELLO, first_text(&mut connection)).await;
        let text = first.ok().flatten().ok_or_else(silent)?;
        let Heard::Hello {
            keepalive,
            session,
            unwanted,
        } = self.session.on_text(&text)?
        else {
            return Err(silent());
        };
        if !unwanted.is_empty() {
            let unsub = self.session.unsub(unwanted);
            connection.send(&unsub).await;
        }
        Ok(Live {
            connection,
            keepalive,
            heard_at: Instant::now(),
            is_asked: false,
            refresh_at: Some(refresh_after(session)),
            refreshing: None,
        })
    }

    /// Reads what is left by polling, whose answers say when they are complete.
    async fn read_rest(&mut self) -> Result<Option<Item>, Error> {
        let Some(rest) = &mut self.rest else {
            return Ok(None);
        };
        if let Some(item) = rest.pop() {
            return Ok(Some(item));
        }
        if rest.is_complete() {
            self.is_over = true;
            return Ok(None);
        }
        let asked = rest.ask(&self.remote, &self.tokens, &mut self.session);
        match asked.await {
            Ok(()) => self.backoff.reset(),
            Err(error) if is_passing(&error) => sleep(self.backoff.wait()).await,
            Err(error) => return Err(error),
        }
        Ok(None)
    }
}

impl Live {
    /// What happens next. What the socket holds comes first: it may say that the server is there.
    async fn event(&mut self, is_ending: &mut watch::Receiver<bool>) -> Event {
        let pings = if self.is_asked { 3 } else { 2 };
        let silent_at = self.heard_at + self.keepalive * pings;
        tokio::select! {
            biased;
            () = ending(is_ending) => Event::Ending,
            arrival = self.connection.next() => Event::Arrival(arrival),
            token = some(&mut self.refreshing) => Event::Token(token),
            () = sleep_until(self.refresh_at.unwrap_or(silent_at)), if self.refresh_at.is_some() => {
                Event::Refresh
            }
            () = sleep_until(silent_at) => Event::Silence,
        }
    }
}

/// Waits for the sign that it is to end.
async fn ending(is_ending: &mut watch::Receiver<bool>) {
    if is_ending.wait_for(|is_ending| *is_ending).await.is_err() {
        std::future::pending().await
    }
}

/// Waits for a token that is on its way.
async fn some(refreshing: &mut Option<Answer<String>>) -> Result<String, Error> {
    match refreshing {
        Some(refreshing) => refreshing.await,
        None => std::future::pending().await,
    }
}

async fn first_text(connection: &mut Connection) -> Option<Utf8Bytes> {
    loop {
        match connection.next().await {
            Arrival::Text(text) => return Some(text),
            Arrival::Sign => {}
            Arrival::Closed(_) => return None,
        }
    }
}

/// When three quarters of a session are over.
fn refresh_after(session: Duration) -> Instant {
    Instant::now() + session * 3 / 4
}

/// Whether it may be better later: what the network, the server or whoever hands out tokens has now.
pub(super) fn is_passing(error: &Error) -> bool {
    let code: Result<ErrorCode, _> = error.code().parse();
    let may_pass = |code: ErrorCode| {
        code.is_retryable() || matches!(code, ErrorCode::Internal | ErrorCode::FunctionFailed)
    };
    !error.is_terminal() && code.map_or(true, may_pass)
}

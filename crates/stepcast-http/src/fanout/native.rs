//! What native connections say. Every frame is answered, and one that cannot be served by `error`; the connection goes on.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;
use stepcast_engine::hub::{Entry, TopicFilter};
use stepcast_protocol::{
    Beginning, ChannelGrant, ChannelName, ErrorCode, TopicName,
    frame::{ClientFrame, ControlFrame, Ref},
    limits,
};
use tokio::time::Instant;

use super::{connection::Connection, feed::Topics, shard::Shard};
use crate::{
    entrance::{self, Chosen, Entrance, EntranceError, Schemas},
    tokens::TokenError,
};

/// What a `sub` wants to read.
struct Asked {
    from: Option<Beginning>,
    topics: Option<Vec<TopicName>>,
    schemas: Schemas,
}

/// Why a frame is not served.
struct Refusal {
    code: ErrorCode,
    sentence: String,
}

impl Refusal {
    fn new(code: ErrorCode, sentence: impl ToString) -> Self {
        Self {
            code,
            sentence: sentence.to_string(),
        }
    }
}

impl From<EntranceError> for Refusal {
    fn from(error: EntranceError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self::new(error.code(), error)
    }
}

/// How long a reader may read on under a token.
pub(crate) fn session(grant: &ChannelGrant) -> Duration {
    grant.session.map_or(limits::SESSION, Duration::from_secs)
}

impl Shard {
    pub(super) async fn on_native(self: &Rc<Self>, connection: &Rc<Connection>, text: &str) {
        // Who does not read his answers is not asked for more.
        while connection.owes_answers() {
            connection.progress.notified().await;
        }
        let (reference, served) = match read(text) {
            Ok(frame) => self.serve_frame(connection, frame).await,
            Err((reference, refusal)) => (reference, Err(refusal)),
        };
        if let Err(Refusal { code, sentence }) = served {
            let answer = ControlFrame::Error {
                reference,
                code: code.as_str().to_owned(),
                error: sentence,
            };
            self.answer(connection, &answer);
        }
    }

    /// Binary messages have no meaning.
    pub(super) fn on_native_binary(self: &Rc<Self>, connection: &Rc<Connection>) {
        if connection.owes_answers() {
            return;
        }
        let answer = ControlFrame::Error {
            reference: None,
            code: ErrorCode::BadRequest.as_str().to_owned(),
            error: "a binary frame was sent; frames are JSON texts".to_owned(),
        };
        self.answer(connection, &answer);
    }

    async fn serve_frame(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        frame: ClientFrame,
    ) -> (Option<Ref>, Result<(), Refusal>) {
        match frame {
            ClientFrame::Sub {
                reference,
                token,
                from,
                topics,
                schemas,
            } => {
                let asked = Asked {
                    from,
                    topics,
                    schemas,
                };
                let served = self.on_sub(connection, reference.clone(), &token, asked);
                (reference, served.await)
            }
            ClientFrame::Unsub {
                reference,
                channel,
                topics,
            } => {
                self.on_unsub(connection, reference.clone(), channel, topics)
                    .await;
                (reference, Ok(()))
            }
            ClientFrame::Auth { reference, token } => {
                let served = self.on_auth(connection, reference.clone(), &token);
                (reference, served)
            }
            ClientFrame::Ping { reference, data } => {
                let served = check_ping(&data);
                if served.is_ok() {
                    let reference = reference.clone();
                    self.answer(connection, &ControlFrame::Pong { reference, data });
                }
                (reference, served)
            }
        }
    }

    fn grant(&self, token: &str) -> Result<ChannelGrant, Refusal> {
        self.tokens.verify_now(token)?.read.ok_or_else(|| {
            let sentence = "token does not allow to read; mint one for a channel and its topics";
            Refusal::new(ErrorCode::Forbidden, sentence)
        })
    }

    async fn on_sub(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        reference: Option<Ref>,
        token: &str,
        asked: Asked,
    ) -> Result<(), Refusal> {
        let Asked {
            from,
            topics,
            schemas,
        } = asked;
        let grant = self.grant(token)?;
        let Chosen { topics, outdated } = entrance::chosen(&self.hub, &grant, topics, &schemas)?;
        let session = session(&grant);
        settled(connection, &grant.channel).await;
        let known = connection
            .state
            .borrow_mut()
            .of_channel(&grant.channel)
            .map(|subscription| (subscription.missing(&topics), subscription.cursor()));
        let subscribed = |topics: &Topics, cursor| ControlFrame::Subscribed {
            reference,
            channel: grant.channel.clone(),
            topics: topics.to_vec(),
            cursor,
            session: session.as_secs(),
            outdated: outdated.clone(),
        };
        match known {
            Some((missing, cursor)) if missing.is_empty() => {
                self.answer(connection, &subscribed(&missing, cursor));
            }
            Some((missing, _)) => {
                let chosen = Chosen {
                    topics: Arc::clone(&missing),
                    outdated: outdated.clone(),
                };
                let entrance = Entrance::from(&self.hub, &grant, chosen, from).await?;
                let entry = self.entry_of(&entrance).await?;
                self.answer(connection, &subscribed(&missing, entrance.cursor));
                self.add(connection, &entrance, entry);
            }
            None => {
                let most = limits::SUBSCRIPTIONS_PER_CONNECTION;
                if connection.state.borrow().subscriptions.len() >= most {
                    let sentence = format!(
                        "the connection reads {most} channels, more are not allowed; `unsub` one, or open another connection"
                    );
                    return Err(Refusal::new(ErrorCode::TooMany, sentence));
                }
                let chosen = Chosen {
                    topics,
                    outdated: outdated.clone(),
                };
                let entrance = Entrance::from(&self.hub, &grant, chosen, from).await?;
                if connection.state.borrow().closing.is_some() {
                    return Ok(());
                }
                self.answer(connection, &subscribed(&entrance.topics, entrance.cursor));
                self.subscribe(connection, entrance, session);
            }
        }
        self.catch_up(connection);
        Ok(())
    }

    async fn entry_of(&self, entrance: &Entrance) -> Result<Entry, EntranceError> {
        if let Some(entry) = &entrance.entry {
            return Ok(entry.clone());
        }
        let filter = TopicFilter::Only(Arc::clone(&entrance.topics));
        let (channel, position) = (&entrance.channel, entrance.position);
        Ok(self.hub.enter(channel, &filter, position).await?)
    }

    /// Adds topics to a channel that is read already. Those that were read keep their place.
    fn add(self: &Rc<Self>, connection: &Rc<Connection>, entrance: &Entrance, entry: Entry) {
        let mut state = connection.state.borrow_mut();
        let Some(subscription) = state.of_channel(entrance.channel.name()) else {
            return;
        };
        let told = self.told(&subscription.feed, entry);
        let frames: Vec<Bytes> = told.frames;
        subscription.add_entered(&entrance.topics, told.entry);
        let filter = TopicFilter::Only(Arc::clone(&subscription.topics));
        subscription.has_snapshots = self.hub.has_snapshots(&entrance.channel, &filter);
        if !frames.is_empty() {
            subscription.leave();
            subscription.tell(frames);
        }
    }

    async fn on_unsub(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        reference: Option<Ref>,
        channel: ChannelName,
        topics: Option<Vec<TopicName>>,
    ) {
        if topics.is_some() {
            // What it is just being told may be of these topics.
            settled(connection, &channel).await;
        }
        let left = {
            let mut state = connection.state.borrow_mut();
            let gone = match state.of_channel(&channel) {
                None => None,
                Some(subscription) => {
                    let gone = topics.unwrap_or_else(|| subscription.topics.to_vec());
                    let goes_on = subscription.remove_topics(&gone);
                    Some((subscription.feed.id, goes_on))
                }
            };
            match gone {
                Some((feed, false)) => {
                    self.unsubscribe(&mut state, feed);
                    Vec::new()
                }
                Some((feed, true)) => state
                    .of_feed(feed)
                    .map_or_else(Vec::new, |subscription| subscription.topics.to_vec()),
                None => Vec::new(),
            }
        };
        let answer = ControlFrame::Unsubscribed {
            reference,
            channel,
            topics: left,
        };
        self.answer(connection, &answer);
        self.catch_up(connection);
    }

    fn on_auth(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        reference: Option<Ref>,
        token: &str,
    ) -> Result<(), Refusal> {
        let grant = self.grant(token)?;
        let session = session(&grant);
        {
            let mut state = connection.state.borrow_mut();
            let Some(subscription) = state.of_channel(&grant.channel) else {
                let sentence = format!(
                    "token is for channel `{}`, which this connection does not read; use `sub`",
                    grant.channel
                );
                return Err(Refusal::new(ErrorCode::Forbidden, sentence));
            };
            let mut topics = subscription.topics.iter();
            if let Some(topic) = topics.find(|topic| !grant.topics.contains(topic)) {
                let topic = topic.clone();
                let allowed = entrance::list(&grant.topics);
                return Err(EntranceError::NotAllowed { topic, allowed }.into());
            }
            subscription.session_ends = Instant::now().checked_add(session);
        }
        let answer = ControlFrame::Authenticated {
            reference,
            channel: grant.channel,
            session: session.as_secs(),
        };
        self.answer(connection, &answer);
        Ok(())
    }
}

/// Waits until a channel's subscription has entered and been told so.
async fn settled(connection: &Connection, channel: &ChannelName) {
    loop {
        let is_entering = {
            let mut state = connection.state.borrow_mut();
            let found = state.of_channel(channel);
            found.is_some_and(|subscription| subscription.is_entering())
        };
        if !is_entering {
            return;
        }
        connection.progress.notified().await;
    }
}

impl Connection {
    fn owes_answers(&self) -> bool {
        let state = self.state.borrow();
        state.closing.is_none() && state.answers.len() > limits::ANSWER_BYTES
    }
}

/// What a text says; the frame's name with the refusal, where it can be read.
fn read(text: &str) -> Result<ClientFrame, (Option<Ref>, Refusal)> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let sentence = format!("a frame is one JSON object: {error}");
        (None, Refusal::new(ErrorCode::BadJson, sentence))
    })?;
    let reference = match value.get("ref") {
        None | Some(Value::Null) => None,
        Some(given) => Some(reference(given).map_err(|refusal| (None, refusal))?),
    };
    check(&value).map_err(|refusal| (reference.clone(), refusal))?;
    serde_json::from_value(value).map_err(|error| {
        let sentence = format!("frame cannot be read: {error}");
        (reference, Refusal::new(ErrorCode::BadRequest, sentence))
    })
}

fn reference(given: &Value) -> Result<Ref, Refusal> {
    let reference = serde_json::from_value(given.clone()).ok();
    let is_short = |reference: &Ref| match reference {
        Ref::Number(_) => true,
        Ref::Text(text) => text.len() <= limits::NAME_BYTES,
    };
    reference.filter(is_short).ok_or_else(|| {
        let sentence = format!(
            "ref is neither a whole number nor a text of at most {} bytes",
            limits::NAME_BYTES
        );
        Refusal::new(ErrorCode::BadRequest, sentence)
    })
}

/// What has a code, or a sentence, of its own.
fn check(value: &Value) -> Result<(), Refusal> {
    let kind = value.get("kind").and_then(Value::as_str);
    if !matches!(kind, Some("sub" | "unsub" | "auth" | "ping")) {
        let shown: String = kind.unwrap_or_default().chars().take(32).collect();
        let sentence =
            format!("frame has kind `{shown}`; clients send `sub`, `unsub`, `auth` and `ping`");
        return Err(Refusal::new(ErrorCode::BadRequest, sentence));
    }
    match value.get("from") {
        None | Some(Value::Null) => Ok(()),
        Some(from) => from
            .as_str()
            .map_or_else(|| from.to_string(), str::to_owned)
            .parse::<Beginning>()
            .map(drop)
            .map_err(|error| Refusal::new(ErrorCode::BadCursor, error)),
    }
}

fn check_ping(data: &Value) -> Result<(), Refusal> {
    let bytes = data.to_string().len();
    if bytes <= limits::PING_BYTES {
        return Ok(());
    }
    let sentence = format!(
        "data of a ping has {bytes} bytes, at most {} come back",
        limits::PING_BYTES
    );
    Err(Refusal::new(ErrorCode::TooLarge, sentence))
}

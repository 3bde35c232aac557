//! A Stepcast server, from another process.
//!
//! - [`Client`]: the verbs.
//! - `held` and `session`: the client's side of the native protocol, without I/O.
//! - `connection`, `reader` and `rest`: one WebSocket; a reading over one after the other; its last part.
//! - `server`, `remote` and `backend`: addresses, requests, and the verbs as requests.
//! - `tokens` and `backoff`: where tokens come from, and how long to wait.

mod backend;
mod backoff;
mod connection;
mod held;
mod reader;
mod remote;
mod rest;
mod server;
mod session;
mod tokens;

use std::{fmt, future::Future, sync::Arc};

use serde::{Serialize, de::IgnoredAny};
use stepcast_protocol::{Beginning, Manifest, RunId, paths};

use self::{
    remote::{Ask, Remote},
    server::Server,
    tokens::Tokens,
};
use crate::{
    channel::{Channel, ChannelAt},
    error::Error,
    event::Event,
    verbs::{
        Backend, JsonChannel, ListRuns, MintToken, Publication, Publish, Run, Send, Subscription,
    },
};

/// A server, from another process: the verbs of the embedded engine over HTTP and WebSocket. A cheap handle.
///
/// What the verbs give is what the embedded engine gives: the same updates, handles and errors. Beside its errors there are
/// `unreachable` (the server cannot be reached, nothing has happened) and `outcome_unknown` (the connection broke before the answer:
/// what was asked for may have happened; an idempotency key makes it safe to ask again).
///
/// ```no_run
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use stepcast::{Channel, Client, Error, Event, Update};
///
/// #[derive(Event, Serialize, Deserialize)]
/// #[event("app/generate")]
/// struct Generate {
///     job: String,
/// }
///
/// #[derive(Debug, Channel, Serialize, Deserialize, JsonSchema)]
/// #[channel("pipeline:{job}")]
/// enum Pipeline {
///     #[topic(keep = "latest")]
///     Status { message: String },
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let client = Client::new("http://127.0.0.1:8288")?;
/// let run = client.send(Generate { job: "j1".into() }).await?.run().await?;
/// let mut updates = client.subscribe(&Pipeline::at("j1")).until_run_ends(run);
/// while let Some(update) = updates.try_next().await? {
///     if let Update::Message(message) = update {
///         println!("{:?}", message.data);
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    remote: Remote,
    /// The same, as the verbs see it.
    backend: Arc<dyn Backend>,
}

impl Client {
    /// A client of the server at this address, `http://<host>[:<port>][/<prefix>]`. Connects when it is first used.
    ///
    /// ```
    /// use stepcast::Client;
    ///
    /// assert!(Client::new("http://127.0.0.1:8288").is_ok());
    /// let error = Client::new("127.0.0.1").unwrap_err();
    /// assert!(error.message().contains("server `127.0.0.1` is no address"));
    /// ```
    ///
    /// # Errors
    /// `bad_request` names an address that is none, and what is missing for one with TLS.
    pub fn new(url: &str) -> Result<Self, Error> {
        Ok(Self::of(Remote::new(Server::parse(url)?)))
    }

    fn of(remote: Remote) -> Self {
        let backend = Arc::new(remote.clone());
        Self { remote, backend }
    }

    /// The key that lets events in; `dev`, which a server in dev mode takes from this machine.
    ///
    /// ```
    /// # use stepcast::{Client, Error};
    /// # fn connect() -> Result<Client, Error> {
    /// let client = Client::new("http://10.0.0.7:8288")?
    ///     .with_event_key("an event key of the server")
    ///     .with_signing_key("signkey-prod-00ff00ff");
    /// # Ok(client) }
    /// ```
    #[must_use]
    pub fn with_event_key(self, key: impl Into<String>) -> Self {
        Self::of(self.remote.with_event_key(key.into()))
    }

    /// The key for everything else: publishing, minting tokens (also those of [`Self::subscribe`]), runs. None, which a server in dev
    /// mode takes from this machine.
    #[must_use]
    pub fn with_signing_key(self, key: impl Into<String>) -> Self {
        Self::of(self.remote.with_signing_key(key.into()))
    }

    /// Sends an event. The event, its runs and their first leases are one commit.
    ///
    /// Await it as it is, or with `.idempotency_key(..)` first.
    pub fn send(&self, event: impl Event) -> Send {
        Send::new(self.backend(), crate::event::checked(&event))
    }

    /// Sends an event by its name, for programs that have no type for it; `data` is what serializes as one JSON object.
    ///
    /// ```no_run
    /// # use stepcast::{Client, Error};
    /// # async fn start(client: Client) -> Result<(), Error> {
    /// let data = serde_json::json!({ "job": "j1" });
    /// let sent = client.send_json("app/generate", &data).await?;
    /// println!("{} has started {} runs", sent.event_id(), sent.runs().len());
    /// # Ok(()) }
    /// ```
    pub fn send_json(&self, name: &str, data: &(impl Serialize + ?Sized)) -> Send {
        Send::new(self.backend(), crate::event::named(name, data))
    }

    /// Publishes a message. Await it as it is, or choose `.durable()` or `.idempotency_key(..)` first.
    ///
    /// The server holds it against what it knows of the channel: an app that declares it.
    ///
    /// ```no_run
    /// # use serde::{Deserialize, Serialize};
    /// # use stepcast::{Channel, Client, Error};
    /// #[derive(Channel, Serialize, Deserialize)]
    /// #[channel("chat:{room}")]
    /// enum Chat {
    ///     #[topic(unchecked)]
    ///     Said(String),
    /// }
    ///
    /// # async fn say(client: Client) -> Result<(), Error> {
    /// let lobby = Chat::at("lobby");
    /// let cursor = client.publish(&lobby, Chat::Said("hello".into())).durable().await?;
    /// println!("it is at {cursor}");
    /// # Ok(()) }
    /// ```
    pub fn publish<C: Channel>(&self, channel: &ChannelAt<C>, message: C) -> Publish {
        let publication = channel.name().and_then(|name| {
            let payload = message
                .encode()
                .map_err(|error| Error::coded(error.code(), error))?;
            Ok(Publication {
                channel: name.clone(),
                topic: message.topic().name.clone(),
                payload,
                durable: false,
                key: None,
            })
        });
        Publish::new(self.backend(), publication)
    }

    /// Reads a channel from its start, first what is kept, then what comes. A `Stream` of [`Update`](crate::Update)s; narrow it with
    /// [`from`](Subscription::from), [`topics`](Subscription::topics), [`until_run_ends`](Subscription::until_run_ends) and
    /// [`messages`](Subscription::messages).
    ///
    /// A server that cannot be reached at the beginning is an error. Once it was, the subscription comes back by itself whenever the
    /// connection breaks, and goes on after what it has given: nothing is missing, nothing comes twice, what is lost is told as a gap.
    ///
    /// Each subscription has a connection of its own, which is read only while the stream is polled: one that is slow holds up nobody,
    /// and what waits for it waits in the server.
    pub fn subscribe<C: Channel>(&self, channel: &ChannelAt<C>) -> Subscription<C> {
        let backend = self.backend();
        let channel = channel.name().cloned();
        Subscription::new(channel, Some(Beginning::Start), move |reading| {
            backend.open(reading)
        })
    }

    /// Reads a channel under tokens of somebody else, for a client that has no key. It is asked for a token at the beginning, when
    /// three quarters of a session are over, and when the connection has to be opened anew.
    ///
    /// Begins where its first token was minted, with those of the channel's topics that the token allows. An error of the factory is
    /// tried again later, unless it is [terminal](Error::terminal) or the first. [`until_run_ends`](Subscription::until_run_ends) needs
    /// the keys as well.
    ///
    /// ```no_run
    /// # use serde::{Deserialize, Serialize};
    /// # use stepcast::{Channel, Client, Error};
    /// # #[derive(Debug, Channel, Serialize, Deserialize)]
    /// # #[channel("chat:{room}")]
    /// # enum Chat {
    /// #     #[topic(unchecked)]
    /// #     Said(String),
    /// # }
    /// # async fn token_of_my_backend() -> Result<String, Error> { Err(Error::msg("none")) }
    /// # async fn read(client: Client) -> Result<(), Error> {
    /// let lobby = Chat::at("lobby");
    /// let mut messages = client.subscribe_with_token(&lobby, token_of_my_backend).messages();
    /// while let Some(message) = messages.try_next().await? {
    ///     println!("{:?}", message.data);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn subscribe_with_token<C, F, Fut>(
        &self,
        channel: &ChannelAt<C>,
        token: F,
    ) -> Subscription<C>
    where
        C: Channel,
        F: Fn() -> Fut + std::marker::Send + Sync + 'static,
        Fut: Future<Output = Result<String, Error>> + std::marker::Send + 'static,
    {
        let (remote, tokens) = (self.remote.clone(), Tokens::given(token));
        Subscription::new(channel.name().cloned(), None, move |reading| {
            backend::open(remote, tokens, reading)
        })
    }

    /// A channel by its name, for programs that have no type for it: its payloads are JSON of any form.
    ///
    /// ```no_run
    /// # use stepcast::{Client, Error, Update};
    /// # async fn copy(client: Client) -> Result<(), Error> {
    /// let channel = client.json_channel("pipeline:j1");
    /// channel.publish("status", &serde_json::json!({ "message": "by hand" })).durable().await?;
    ///
    /// let mut updates = channel.subscribe(["status", "tokens"]);
    /// while let Some(update) = updates.try_next().await? {
    ///     if let Update::Message(message) = update {
    ///         println!("{}: {}", message.topic, message.data);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn json_channel(&self, name: &str) -> JsonChannel {
        JsonChannel::new(self.backend(), name)
    }

    /// Whether the server takes new work: its store takes writes, and it is not about to end. Asks without a key.
    ///
    /// # Errors
    /// `closing`, `no_space` and `not_ready` say what stands in the way and what to do; `unreachable` when nobody answers.
    pub async fn ready(&self) -> Result<(), Error> {
        let url = self.remote.server.url(paths::READY, &[]);
        let _said: IgnoredAny = self.remote.ask_plainly(Ask::get(url)).await?;
        Ok(())
    }

    /// The channels that the server knows, for code generators. Asks with the signing key.
    ///
    /// # Errors
    /// `unreachable` when nobody answers, `bad_token` when the server wants another key.
    pub async fn manifest(&self) -> Result<Manifest, Error> {
        let url = self.remote.server.url(paths::MANIFEST, &[]);
        self.remote.ask(Ask::get(url)).await
    }

    /// Lists runs, newest first; at most 20 unless another [`limit`](ListRuns::limit) is set.
    ///
    /// ```no_run
    /// # use stepcast::{Client, Error};
    /// # async fn list(client: Client) -> Result<(), Error> {
    /// let newest = client.list_runs().limit(50).await?;
    /// if let Some(last) = newest.last() {
    ///     let older = client.list_runs().before(last.run_id).await?;
    ///     println!("and {} older ones", older.len());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn list_runs(&self) -> ListRuns {
        ListRuns::new(self.backend())
    }

    /// Mints a token with which somebody else may read all topics of a channel, from now on. Await it as it is, or narrow it first:
    /// `.topics(["status"])`, `.lifetime(..)`, `.session(..)`, `.without_history()`.
    pub fn token<C: Channel>(&self, channel: &ChannelAt<C>) -> MintToken {
        MintToken::new::<C>(self.backend(), channel.name().cloned())
    }

    /// Mints a token for somebody who shows where a run and its steps are: topics `$run` and `$step` of the channel that is named by
    /// the run's id. Settings and errors are those of [`Self::token`].
    pub fn run_token(&self, run: RunId) -> MintToken {
        MintToken::for_run(self.backend(), run)
    }

    /// A run by its id; whether there is one shows when it is asked something.
    ///
    /// ```no_run
    /// # use stepcast::{Client, Error, RunId};
    /// # async fn wait(client: Client, id: RunId) -> Result<(), Error> {
    /// let run = client.run(id);
    /// println!("{}", run.status().await?);
    /// let greeting: String = run.result().await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn run(&self, id: RunId) -> Run {
        Run::new(self.backend(), id)
    }

    fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.backend)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.remote.server)
            .finish_non_exhaustive()
    }
}

//! A channel by its name, for programs that have no type for it.

use std::{fmt, sync::Arc};

use serde::Serialize;
use serde_json::value::RawValue;
use stepcast_protocol::{Beginning, ChannelName, ErrorCode, TopicName};

use super::{Backend, MintToken, Publication, Publish, Subscription};
use crate::{
    channel::{PayloadError, untyped},
    error::Error,
};

/// A channel by its name, whose payloads are JSON of any form: for tools that read and write channels they have no type for. A cheap
/// handle.
///
/// What holds for typed channels holds here: the server or engine refuses what a declared channel does not allow, and readers are told
/// the same updates. `json_channel` of `Client` and of the embedded engine gives one. A name that is none is kept as an error, which
/// every use answers.
#[derive(Clone)]
pub struct JsonChannel {
    backend: Arc<dyn Backend>,
    name: Result<ChannelName, BadName>,
}

/// Why a name is none, kept so that it can be told more than once.
#[derive(Debug, Clone)]
struct BadName(String);

impl From<BadName> for Error {
    fn from(BadName(why): BadName) -> Self {
        Self::coded(ErrorCode::BadChannel, why).terminal()
    }
}

impl JsonChannel {
    pub(crate) fn new(backend: Arc<dyn Backend>, name: &str) -> Self {
        let name = ChannelName::parse(name).map_err(|error| BadName(error.to_string()));
        Self { backend, name }
    }

    /// The channel's name.
    ///
    /// # Errors
    /// `bad_channel`.
    pub fn name(&self) -> Result<&ChannelName, Error> {
        self.name.as_ref().map_err(|bad| bad.clone().into())
    }

    /// Publishes on a topic. Await it as it is, or choose `.durable()` or `.idempotency_key(..)` first.
    ///
    /// A `RawValue` is sent as it is written. NaN and infinity are refused, as JSON has no such numbers.
    pub fn publish(&self, topic: &str, data: &(impl Serialize + ?Sized)) -> Publish {
        Publish::new(Arc::clone(&self.backend), self.publication(topic, data))
    }

    fn publication(
        &self,
        topic: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<Publication, Error> {
        let channel = self.name()?.clone();
        let topic = parse(topic)?;
        let payload = untyped::encode(data).map_err(|cause| {
            let topic = topic.clone();
            let error = PayloadError::Encode { topic, cause };
            Error::coded(error.code(), error).terminal()
        })?;
        Ok(Publication {
            channel,
            topic,
            payload,
            durable: false,
            key: None,
        })
    }

    /// Reads these topics from their start, first what is kept, then what comes: a `Stream` of [`Update`](crate::Update)s whose
    /// messages carry JSON as it was written. Narrow it with [`from`](Subscription::from) and
    /// [`until_run_ends`](Subscription::until_run_ends).
    ///
    /// Topics of the engine's own (`$run` and `$step` on the channel that is named by a run's id) can be read as well.
    pub fn subscribe<T: AsRef<str>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Subscription<Box<RawValue>> {
        let backend = Arc::clone(&self.backend);
        let from = Some(Beginning::Start);
        Subscription::untyped(self.named(topics), from, move |reading| {
            backend.open(reading)
        })
    }

    /// Mints a token with which somebody else may read these topics, from now on. Await it as it is, or set `.lifetime(..)`,
    /// `.session(..)`, `.without_history()` first.
    pub fn token<T: AsRef<str>>(&self, topics: impl IntoIterator<Item = T>) -> MintToken {
        MintToken::for_topics(Arc::clone(&self.backend), self.named(topics))
    }

    /// The topics that are known of it, declared or written, in the order of their names. A channel that nobody has written has none.
    ///
    /// # Errors
    /// `bad_channel`, and what the server or the store says.
    pub async fn topics(&self) -> Result<Vec<TopicName>, Error> {
        self.backend.topics(self.name()?.clone()).await
    }

    /// The channel and the topics, once there is at least one.
    fn named<T: AsRef<str>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<(ChannelName, Vec<TopicName>), Error> {
        let name = self.name()?.clone();
        let parsed = topics.into_iter().map(|topic| parse(topic.as_ref()));
        let topics = parsed.collect::<Result<Vec<_>, _>>()?;
        if topics.is_empty() {
            let text = format!("no topic of channel `{name}` was named; name at least one");
            return Err(Error::coded(ErrorCode::BadTopic, text).terminal());
        }
        Ok((name, topics))
    }
}

fn parse(topic: &str) -> Result<TopicName, Error> {
    TopicName::parse(topic)
        .map_err(|error| Error::coded(ErrorCode::BadTopic, error.to_string()).terminal())
}

impl fmt::Debug for JsonChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonChannel").field(&self.name).finish()
    }
}

//! Where a reader begins: what its token and its `from` come to.

use std::{collections::BTreeMap, sync::Arc};

use stepcast_engine::{
    hub::{Channel, Entry, Hub, Position, ReadError, TopicFilter, WatchGuard},
    store::StoreError,
};
use stepcast_protocol::{
    Beginning, ChannelGrant, ChannelName, Cursor, ErrorCode, SchemaHash, TopicName,
    beginning::BadBeginning,
};
use tokio::sync::Notify;

use crate::fanout::{Topics, topic_set};

/// A reader that may come in. It holds its channel, so nothing that is published from here on can pass it by.
pub(crate) struct Entrance {
    pub(crate) channel: Arc<Channel>,
    pub(crate) topics: Topics,
    pub(crate) position: Position,
    /// Where a reader resumes that is told nothing more than this.
    pub(crate) cursor: Cursor,
    /// How it goes on, when it need not be told anything first.
    pub(crate) entry: Option<Entry>,
    /// Its channel counts as read from here on: some things are said only to those who are there.
    pub(crate) presence: WatchGuard,
    /// What it wanted to read as well, and was built against another schema of.
    pub(crate) outdated: Vec<TopicName>,
}

/// What a reader was built against: hashes of schemas, by topic. One that says nothing of a topic takes it as it is.
pub(crate) type Schemas = BTreeMap<TopicName, SchemaHash>;

/// What is read of what was asked for.
pub(crate) struct Chosen {
    pub(crate) topics: Topics,
    pub(crate) outdated: Vec<TopicName>,
}

/// Why a reader cannot come in like this.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntranceError {
    #[error(transparent)]
    BadFrom(#[from] BadBeginning),
    #[error(
        "token allows to read after {minted} only, `{from}` begins earlier; leave `from` out, or mint a token with history"
    )]
    Older { minted: Cursor, from: Beginning },
    #[error("token does not allow topic `{topic}`; it allows {allowed}")]
    NotAllowed { topic: TopicName, allowed: String },
    #[error(
        "no topics were named; name at least one, or leave `topics` out for all of the token's"
    )]
    NoTopics,
    #[error(
        "{topics} of channel `{channel}` has another schema than this client was built against; reload the page, or generate its channels again"
    )]
    Outdated {
        channel: ChannelName,
        topics: String,
    },
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<StoreError> for EntranceError {
    fn from(error: StoreError) -> Self {
        Self::Read(error.into())
    }
}

impl EntranceError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::BadFrom(_) => ErrorCode::BadCursor,
            Self::Older { .. } | Self::NotAllowed { .. } => ErrorCode::Forbidden,
            Self::NoTopics => ErrorCode::BadTopic,
            Self::Outdated { .. } => ErrorCode::OutdatedClient,
            Self::Read(error) => error.code(),
        }
    }
}

impl Entrance {
    /// Where the token was minted, as far as it can still be said: a crash may have taken the numbers.
    pub(crate) async fn at_token(hub: &Hub, grant: ChannelGrant) -> Result<Self, EntranceError> {
        let channel = hub.channel(&grant.channel).await?;
        let presence = presence(&channel);
        let cursor = grant.cursor.min(channel.visible());
        Ok(Self {
            presence,
            channel,
            topics: topic_set(grant.topics),
            position: Position::After(cursor),
            cursor,
            entry: None,
            outdated: Vec::new(),
        })
    }

    /// Where the reader wants to begin, if the token allows it.
    pub(crate) async fn from(
        hub: &Hub,
        grant: &ChannelGrant,
        chosen: Chosen,
        from: Option<Beginning>,
    ) -> Result<Self, EntranceError> {
        let Chosen { topics, outdated } = chosen;
        let channel = hub.channel(&grant.channel).await?;
        let presence = presence(&channel);
        let minted = grant.cursor.min(channel.visible());
        let filter = TopicFilter::Only(Arc::clone(&topics));
        let position = from.unwrap_or(Position::After(minted));
        let (cursor, entry) = match position {
            Position::Start => (Cursor::START, None),
            Position::After(cursor) => {
                channel.check(cursor)?;
                let is_of_this_life = cursor.epoch == channel.visible().epoch;
                if is_of_this_life && !hub.has_snapshots(&channel, &filter) {
                    let entry = hub.enter(&channel, &filter, position).await?;
                    (cursor, Some(entry))
                } else {
                    (cursor, None)
                }
            }
            Position::Now | Position::Last(_) => {
                let entry = hub.enter(&channel, &filter, position).await?;
                (entry.cursor, Some(entry))
            }
        };
        match from {
            Some(from) if cursor < minted && !grant.history => {
                return Err(EntranceError::Older { minted, from });
            }
            Some(_) | None => {}
        }
        Ok(Self {
            channel,
            topics,
            position,
            cursor,
            entry,
            presence,
            outdated,
        })
    }
}

/// Nobody waits for what it is told.
fn presence(channel: &Arc<Channel>) -> WatchGuard {
    channel.watch(Arc::new(Notify::new()))
}

/// Those of a token's topics that are asked for, all of them when none is named; without those that the reader would misread.
pub(crate) fn chosen(
    hub: &Hub,
    grant: &ChannelGrant,
    asked: Option<Vec<TopicName>>,
    schemas: &Schemas,
) -> Result<Chosen, EntranceError> {
    let asked = allowed(grant, asked)?;
    let is_outdated = |topic: &TopicName| {
        let hash = schemas.get(topic);
        hash.is_some_and(|hash| hub.is_outdated(&grant.channel, topic, hash))
    };
    let (outdated, topics): (Vec<_>, Vec<_>) = asked.into_iter().partition(is_outdated);
    if topics.is_empty() && !outdated.is_empty() {
        return Err(EntranceError::Outdated {
            channel: grant.channel.clone(),
            topics: list(&outdated),
        });
    }
    Ok(Chosen {
        topics: topic_set(topics),
        outdated,
    })
}

fn allowed(
    grant: &ChannelGrant,
    asked: Option<Vec<TopicName>>,
) -> Result<Vec<TopicName>, EntranceError> {
    let Some(asked) = asked else {
        return Ok(grant.topics.clone());
    };
    if asked.is_empty() {
        return Err(EntranceError::NoTopics);
    }
    match asked.iter().find(|topic| !grant.topics.contains(topic)) {
        None => Ok(asked),
        Some(topic) => Err(EntranceError::NotAllowed {
            topic: topic.clone(),
            allowed: list(&grant.topics),
        }),
    }
}

/// Topics as a sentence names them.
pub(crate) fn list(topics: &[TopicName]) -> String {
    let names: Vec<_> = topics.iter().map(|topic| format!("`{topic}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use stepcast_engine::{
        Engine, EngineOptions,
        clock::Clock,
        hub::Slice,
        runs::{FunctionConfig, LeasedRun, Worker},
        store::memory::MemoryStore,
    };
    use stepcast_protocol::{EventName, FunctionId, Kind, event::CheckedEvent};

    use super::*;

    /// Ends every run at once.
    struct Prompt;

    impl Worker for Prompt {
        fn start(&self, run: LeasedRun) {
            run.lease.returned(Bytes::from_static(b"null"));
        }
    }

    async fn engine() -> Engine {
        let clock = Clock::system();
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let go = EventName::parse("go").unwrap();
        let function = FunctionConfig::new(FunctionId::parse("f").unwrap(), vec![go]);
        let options = EngineOptions::default().with_clock(clock);
        let engine = Engine::open(store, vec![function], Arc::new(Prompt), options).await;
        engine.unwrap()
    }

    #[tokio::test]
    async fn a_reader_on_its_way_in_is_told_that_a_run_has_ended() {
        let engine = engine().await;
        let grant = ChannelGrant {
            channel: ChannelName::parse("job:r1").unwrap(),
            topics: vec![TopicName::parse("t").unwrap()],
            cursor: Cursor::START,
            history: false,
            session: None,
        };
        let entrance = Entrance::at_token(engine.hub(), grant).await.unwrap();
        let event = CheckedEvent {
            name: EventName::parse("go").unwrap(),
            data: Bytes::from_static(br#"{"runId":"r1"}"#),
            key: None,
            at: None,
            extras: stepcast_protocol::event::Extras::default(),
        };
        engine.send(vec![event], None).await.unwrap();
        let is_told = || match entrance.channel.read(entrance.cursor, usize::MAX) {
            Slice::Tail { messages, .. } => {
                let mut kinds = messages.iter().map(|posted| posted.message().kind);
                kinds.any(|kind| matches!(kind, Kind::Ended { .. }))
            }
            _ => false,
        };
        let told = async {
            while !is_told() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), told)
            .await
            .expect("the end of the run");
    }
}

//! How a subscription enters: what it has lost, what its topics have come to, and where it reads on.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use stepcast_engine::hub::{Channel, Entry, Hub, Notice, Position, ReadError, TopicFilter, Trims};
use stepcast_protocol::{Cursor, Epoch};

use super::{
    connection::Connection,
    dialect::Dialect,
    feed::{Feed, Topics},
    frame,
    replay::{Audience, Entered, Read},
    shard::Shard,
    subscription::{Opening, Subscription, Way},
};

/// An entry under way, and for whom.
pub(super) struct Entering {
    feed: u64,
    topics: Topics,
    from: Cursor,
    way: Way,
    entered: Read<Entered, ReadError>,
}

impl Shard {
    /// Begins to let a subscription in, or joins those who are let in the same way.
    pub(super) fn enter(self: &Rc<Self>, subscription: &Subscription, way: Way) -> Entering {
        let audience = subscription.audience();
        let (feed, topics) = (&subscription.feed, Arc::clone(&subscription.topics));
        let enter = || {
            let (shard, feed, topics) = (Rc::clone(self), Rc::clone(feed), Arc::clone(&topics));
            let dialect = subscription.dialect;
            async move {
                match dialect {
                    Dialect::Plain => pass(&shard.hub, &feed.channel, &topics, way).await,
                    Dialect::Native => {
                        let entry = ask(&shard.hub, &feed.channel, topics, way).await?;
                        Ok(shard.told(&feed, entry))
                    }
                }
            }
        };
        Entering {
            feed: feed.id,
            entered: self.replays.entry(audience, way, enter),
            topics,
            from: subscription.cursor(),
            way,
        }
    }

    /// What an entry tells, as frames.
    pub(super) fn told(&self, feed: &Feed, mut entry: Entry) -> Entered {
        let channel = feed.channel.name();
        let notices = std::mem::take(&mut entry.notices);
        let is_gap = |notice: &&Notice| matches!(notice, Notice::Gap(_));
        let gaps = notices.iter().filter(is_gap).count();
        let frames = notices.into_iter().map(|notice| match notice {
            Notice::Gap(gap) => frame::text(&gap.to_wire(channel)).into(),
            Notice::Snapshot(snapshot) => {
                let encode = || Bytes::from(frame::text(&snapshot.to_wire(channel)));
                self.replays
                    .snapshot(feed.id, &snapshot.topic, snapshot.cursor, encode)
            }
        });
        Entered {
            frames: frames.collect(),
            entry,
            gaps,
            lost: 0,
        }
    }

    pub(super) async fn on_entering(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        entering: Entering,
    ) {
        let Entering {
            feed,
            topics,
            from,
            way,
            entered,
        } = entering;
        let entered = match entered.await {
            Ok(entered) => entered,
            Err(error) => {
                let channel = self.channel_of(feed);
                tracing::warn!(%error, channel, "a channel cannot be read; a reader is closed");
                return self.close_unreadable(connection);
            }
        };
        let mut state = connection.state.borrow_mut();
        let Some(subscription) = state.of_feed(feed) else {
            return;
        };
        // Its topics or its place may have changed meanwhile; then it is let in as it is now.
        let is_asked = subscription.way().is_some_and(|asked| asked == way);
        if subscription.topics != topics || subscription.cursor() != from || !is_asked {
            return;
        }
        self.plain_gaps
            .set(self.plain_gaps.get() + entered.lost as u64);
        connection.sent.on_gaps(entered.gaps);
        subscription.due = None;
        subscription.opening = Some(Opening {
            frames: entered.frames.iter().cloned().collect(),
            then: Some(entered.entry.clone()),
        });
    }
}

/// Lets in a reader that can be told.
async fn ask(
    hub: &Hub,
    channel: &Arc<Channel>,
    topics: Topics,
    way: Way,
) -> Result<Entry, ReadError> {
    let filter = TopicFilter::Only(topics);
    match way {
        Way::From(position) => hub.enter(channel, &filter, position).await,
        Way::Anew(cursor, life) => hub.enter_anew(channel, &filter, cursor, life).await,
    }
}

/// Lets in a reader that cannot be told: it reads on where it was, and what it lost with a life of the store is counted.
async fn pass(
    hub: &Hub,
    channel: &Channel,
    topics: &Topics,
    way: Way,
) -> Result<Entered, ReadError> {
    let life: Epoch = channel.visible().epoch;
    let (cursor, since) = match way {
        Way::From(Position::After(cursor)) => (cursor, cursor.epoch),
        Way::From(Position::Start | Position::Now | Position::Last(_)) => (channel.visible(), life),
        Way::Anew(cursor, since) => (cursor, since),
    };
    let lost = hub.loss(cursor, since).await?.map_or(0, |_| topics.len());
    let entry = Entry {
        notices: Vec::new(),
        cursor,
        skip: None,
        trims: Trims::default(),
        life,
    };
    Ok(Entered {
        frames: Vec::new(),
        entry,
        gaps: 0,
        lost,
    })
}

impl Subscription {
    pub(super) fn audience(&self) -> Audience {
        Audience {
            feed: self.feed.id,
            topics: Arc::clone(&self.topics),
            dialect: self.dialect,
        }
    }
}

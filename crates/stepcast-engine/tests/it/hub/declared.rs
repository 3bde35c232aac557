//! A channel that declares one topic of every kind, and what is said on it.

use std::sync::Arc;

use stepcast_engine::{
    hub::{Draft, Outgoing},
    store::{StoreExt, Write, conformance::samples},
};
use stepcast_protocol::{ChannelSpec, Keep, Kind, Offset, Origin, Retention, TopicName, TopicSpec};

use super::{client::Client, *};

pub(super) const TOPICS: [&str; 4] = ["log", "latest", "text", "live"];

pub(super) fn keep(topic: &str) -> Keep {
    match topic {
        // What nobody declares is a log.
        "log" | "other" => Keep::Log,
        "latest" => Keep::Latest,
        "text" => Keep::Text {
            field: "text".to_owned(),
        },
        "live" => Keep::Live,
        unknown => panic!("{unknown} is not of these tests"),
    }
}

/// Channel `c` with [`TOPICS`], which keep so much.
pub(super) fn catalog(retention: Retention) -> Catalog {
    let topics = TOPICS.map(|name| TopicSpec {
        name: samples::topic(name),
        keep: keep(name),
        retention,
        schema: None,
        doc: String::new(),
    });
    let catalog = Catalog::default();
    let spec = ChannelSpec {
        template: "c".parse().unwrap(),
        topics: topics.into(),
        rust_type: String::new(),
        doc: String::new(),
    };
    catalog.declare(&spec).unwrap();
    catalog
}

/// A hub that knows channel `c`.
pub(super) async fn open(store: Arc<dyn Store>) -> (Hub, Arc<Channel>) {
    let hub = Hub::new(store, Clock::system(), catalog(Retention::default()));
    let channel = channel(&hub, "c").await;
    (hub, channel)
}

pub(super) fn only(topics: &[&str]) -> TopicFilter {
    TopicFilter::Only(topics.iter().map(|name| samples::topic(name)).collect())
}

/// An attempt of a step of run 1.
pub(super) fn by(step: &str, attempt: u32) -> Option<Arc<Origin>> {
    samples::origin(1, Some(step), attempt)
}

/// A message as [`Client`]s read it.
pub(super) fn saying(topic: &str, text: &str, origin: Option<Arc<Origin>>) -> Draft {
    let payload = format!(r#"{{"text":"{text}"}}"#);
    Draft::new(samples::topic(topic), keep(topic), payload.into(), origin)
}

/// Says something that is believed at once.
pub(super) async fn say(
    hub: &Hub,
    channel: &Arc<Channel>,
    topic: &str,
    text: &str,
    origin: Option<Arc<Origin>>,
) -> Cursor {
    let published = hub.publish(channel, saying(topic, text, origin));
    within(published).await.unwrap()
}

/// Says something and waits until it is written.
pub(super) async fn say_durably(
    hub: &Hub,
    channel: &Arc<Channel>,
    topic: &str,
    text: &str,
    origin: Option<Arc<Origin>>,
) -> Cursor {
    commit(hub, channel, saying(topic, text, origin)).await
}

/// Takes back what an attempt has said on a topic after a cursor.
pub(super) async fn take_back(
    hub: &Hub,
    channel: &Arc<Channel>,
    topic: &str,
    origin: Option<Arc<Origin>>,
    after: Cursor,
) -> Cursor {
    let draft = Draft {
        kind: Kind::Rollback { after },
        payload: Bytes::new(),
        ..saying(topic, "", origin)
    };
    commit(hub, channel, draft).await
}

async fn commit(hub: &Hub, channel: &Arc<Channel>, draft: Draft) -> Cursor {
    let outgoing = Outgoing {
        channel: Arc::clone(channel),
        draft,
    };
    let committed = hub.publish_durable(outgoing, Batch::default());
    within(committed).await.unwrap()
}

pub(super) fn before(cursor: Cursor) -> Cursor {
    Cursor {
        offset: Offset(cursor.offset.0 - 1),
        ..cursor
    }
}

/// Lets a client read to the end of what is there.
pub(super) async fn read_on(client: &mut Client, subscription: &mut Subscription) {
    while let Some(item) = next_if_any(subscription).await {
        client.apply(item);
    }
}

/// A new client that has read to the end of what is there.
pub(super) async fn reader(
    hub: &Hub,
    channel: &Arc<Channel>,
    topics: &TopicFilter,
    from: Position,
) -> (Client, Subscription) {
    let mut client = Client::default();
    let subscription = come_back(&mut client, hub, channel, topics, from).await;
    (client, subscription)
}

/// The client reads on from somewhere.
pub(super) async fn come_back(
    client: &mut Client,
    hub: &Hub,
    channel: &Arc<Channel>,
    topics: &TopicFilter,
    from: Position,
) -> Subscription {
    let subscribed = hub.subscribe(channel, topics.clone(), from);
    let mut subscription = within(subscribed).await.unwrap();
    read_on(client, &mut subscription).await;
    subscription
}

/// The texts a client holds of a topic, in order.
pub(super) fn held(client: &mut Client, topic: &str) -> Vec<String> {
    client.view(&name(topic)).held_texts()
}

pub(super) fn name(topic: &str) -> TopicName {
    samples::topic(topic)
}

/// A topic's messages up to and with a cursor go.
pub(super) async fn trim(store: &dyn Store, topic: &str, up_to: Cursor) {
    let trim = Write::Trim(samples::channel("c"), name(topic), up_to);
    within(store.commit(Batch::of(vec![trim]))).await.unwrap();
}

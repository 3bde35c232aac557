//! Channels over a real store: what is seen, in which order, and what a restart leaves.

mod bounds;
mod client;
mod declared;
mod entry;
mod gaps;
mod lives;
mod readers;
mod visibility;

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use bytes::Bytes;
use futures_core::Stream;
use stepcast_engine::{
    catalog::Catalog,
    clock::Clock,
    hub::{Channel, Hub, Item, Position, Posted, Subscription, TopicFilter},
    store::{Batch, CommitError, Store, sqlite::SqliteStore},
};
use stepcast_protocol::Cursor;
use tokio::task::JoinHandle;

use super::support::{channel_name, eventually, numbered, outgoing, within};

fn hub(store: Arc<dyn Store>) -> Hub {
    Hub::new(store, Clock::system(), Catalog::default())
}

async fn channel(hub: &Hub, name: &str) -> Arc<Channel> {
    within(hub.channel(&channel_name(name))).await.unwrap()
}

pub(crate) async fn subscribe(hub: &Hub, channel: &Arc<Channel>, after: Cursor) -> Subscription {
    let from = if after == Cursor::START {
        Position::Start
    } else {
        Position::After(after)
    };
    let subscribed = hub.subscribe(channel, TopicFilter::All, from);
    within(subscribed).await.unwrap()
}

async fn next_item(subscription: &mut Subscription) -> Item {
    let next = poll_fn(|context| Pin::new(&mut *subscription).poll_next(context));
    within(next).await.expect("it never ends").unwrap()
}

/// The next item; nothing when the reader has come to the end of what is there.
async fn next_if_any(subscription: &mut Subscription) -> Option<Item> {
    let next = poll_fn(|context| {
        let polled = Pin::new(&mut *subscription).poll_next(context);
        let is_at_end = subscription.cursor() >= subscription.channel().visible();
        match polled {
            Poll::Ready(item) => Poll::Ready(Some(item.expect("it never ends").unwrap())),
            Poll::Pending if is_at_end => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    within(next).await
}

/// The next message.
pub(crate) async fn next(subscription: &mut Subscription) -> Arc<Posted> {
    match next_item(subscription).await {
        Item::Posted(posted) => posted,
        other => panic!("a message was expected, not {other:?}"),
    }
}

/// What is there for the reader at once; nothing when it has to wait.
async fn nothing_yet(subscription: &mut Subscription) {
    let now = poll_fn(|context| {
        let next = Pin::new(&mut *subscription).poll_next(context);
        Poll::Ready(next.is_pending())
    });
    assert!(now.await, "there should be nothing to see yet");
}

/// The numbers of the next messages, which are their payloads.
async fn read(subscription: &mut Subscription, count: usize) -> Vec<u64> {
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        numbers.push(number(&*next(subscription).await));
    }
    numbers
}

pub(crate) fn number(posted: &Posted) -> u64 {
    let payload = std::str::from_utf8(&posted.message().payload).unwrap();
    payload.parse().unwrap()
}

/// Publishes the n-th message with its commit, in a task of its own.
async fn durable(
    hub: &Hub,
    channel: &Arc<Channel>,
    n: u64,
) -> JoinHandle<Result<Cursor, CommitError>> {
    let (hub, outgoing) = (hub.clone(), outgoing(channel, numbered(n)));
    let before = outgoing.channel.head();
    let (channel, publishes) = (Arc::clone(channel), async move {
        hub.publish_durable(outgoing, Batch::default()).await
    });
    let task = tokio::spawn(publishes);
    eventually(async || (channel.head() > before).then_some(())).await;
    task
}

/// Sweeps until nobody is in memory any more.
async fn evict_all(hub: &Hub) {
    eventually(async || {
        hub.sweep();
        (hub.channels_in_memory() == 0).then_some(())
    })
    .await;
}

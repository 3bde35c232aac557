//! What npm `inngest` connections may say: `sub` and `unsub`. Nothing is answered, and what is wrong is ignored.

use std::{rc::Rc, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use stepcast_protocol::{ChannelName, TopicName, limits};

use super::{connection::Connection, shard::Shard};
use crate::entrance::Entrance;

/// A frame with a meaning here. All others are ignored, as npm `inngest` expects.
#[derive(Deserialize)]
struct ClientFrame {
    kind: String,
    #[serde(default)]
    data: Value,
}

/// A topic as `unsub` names it. Clients add more keys, which mean nothing.
#[derive(Deserialize)]
struct TopicRef {
    channel: ChannelName,
    name: TopicName,
}

impl Shard {
    pub(super) async fn on_plain(self: &Rc<Self>, connection: &Rc<Connection>, text: &str) {
        let Ok(frame) = serde_json::from_str::<ClientFrame>(text) else {
            return;
        };
        match (&*frame.kind, frame.data) {
            ("sub", Value::String(token)) => self.add_plainly(connection, &token).await,
            ("unsub", topics @ Value::Array(_)) => {
                if let Ok(topics) = serde_json::from_value::<Vec<TopicRef>>(topics) {
                    self.remove_plainly(connection, &topics);
                }
            }
            _ => {}
        }
    }

    async fn add_plainly(self: &Rc<Self>, connection: &Rc<Connection>, token: &str) {
        let grant = match self.tokens.verify_now(token) {
            Ok(claims) => claims.read,
            Err(error) => {
                tracing::debug!(%error, "a `sub` frame is ignored");
                None
            }
        };
        let Some(grant) = grant else { return };
        let channel = grant.channel.clone();
        let entrance = match Entrance::at_token(&self.hub, grant).await {
            Ok(entrance) => entrance,
            Err(error) => {
                tracing::warn!(%error, %channel, "a channel cannot be read; its reader is closed");
                return self.close_unreadable(connection);
            }
        };
        {
            let mut state = connection.state.borrow_mut();
            if state.closing.is_some() {
                return;
            }
            let has_room = state.subscriptions.len() < limits::SUBSCRIPTIONS_PER_CONNECTION;
            match state.of_channel(entrance.channel.name()) {
                Some(subscription) => {
                    subscription.add_topics(&entrance.topics, entrance.cursor);
                    subscription.follow_runs(&self.hub);
                }
                None if !has_room => {
                    let limit = limits::SUBSCRIPTIONS_PER_CONNECTION;
                    tracing::debug!(limit, "a `sub` frame is ignored: too many subscriptions");
                    return;
                }
                None => {
                    drop(state);
                    self.subscribe(connection, entrance, Duration::MAX);
                }
            }
        }
        self.catch_up(connection);
    }

    fn remove_plainly(self: &Rc<Self>, connection: &Rc<Connection>, topics: &[TopicRef]) {
        for TopicRef { channel, name } in topics {
            let mut state = connection.state.borrow_mut();
            let Some(subscription) = state.of_channel(channel) else {
                continue;
            };
            let feed = subscription.feed.id;
            if subscription.remove_topics(std::slice::from_ref(name)) {
                subscription.follow_runs(&self.hub);
            } else {
                self.unsubscribe(&mut state, feed);
            }
        }
        self.catch_up(connection);
    }
}

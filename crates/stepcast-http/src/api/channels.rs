//! `GET /v1/channels/{channel}`: what is kept of a channel. One that nobody has written is an empty one.

use axum::{
    extract::{Path, State},
    response::Response,
};
use serde::Serialize;
use stepcast_engine::{ChannelView, TopicView};
use stepcast_protocol::{ChannelName, Cursor, Epoch, TopicName};

use super::{envelope::enveloped, problem::Problem};
use crate::gateway::Gateway;

#[derive(Serialize)]
struct Shown {
    channel: ChannelName,
    epoch: Epoch,
    head: Cursor,
    visible: Cursor,
    /// WebSocket connections that read it.
    readers: usize,
    topics: Vec<ShownTopic>,
}

#[derive(Serialize)]
struct ShownTopic {
    topic: TopicName,
    keep: &'static str,
    bounds: ShownBounds,
    messages: u64,
    bytes: u64,
    trimmed_to: Option<Cursor>,
}

#[derive(Serialize)]
struct ShownBounds {
    messages: u64,
    bytes: u64,
    age_seconds: u64,
}

pub(super) async fn read(
    State(gateway): State<Gateway>,
    Path(channel): Path<String>,
) -> Result<Response, Problem> {
    let channel = ChannelName::parse(&channel)?;
    let ChannelView {
        head,
        visible,
        topics,
    } = gateway.engine().channel(&channel).await?;
    let readers = gateway.fanout().readers(&channel).await;
    let shown = Shown {
        channel,
        epoch: visible.epoch,
        head,
        visible,
        readers,
        topics: topics.into_iter().map(ShownTopic::from).collect(),
    };
    Ok(enveloped(&gateway, shown))
}

impl From<TopicView> for ShownTopic {
    fn from(view: TopicView) -> Self {
        let TopicView {
            topic,
            keep,
            bounds,
            messages,
            bytes,
            trimmed_to,
        } = view;
        Self {
            topic,
            keep: keep.as_str(),
            bounds: ShownBounds {
                messages: bounds.messages,
                bytes: bounds.bytes,
                age_seconds: bounds.age.as_secs(),
            },
            messages,
            bytes,
            trimmed_to,
        }
    }
}

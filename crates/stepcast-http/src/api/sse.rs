//! `GET /v1/realtime/sse`: a channel as server-sent events. Each carries its cursor as `id`, so that `EventSource` resumes by itself.

use std::{future::poll_fn, pin::Pin, task::Poll};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{Stream, future::FutureExt, stream};
use stepcast_engine::{
    clock::Entropy,
    hub::{Item, ReadError, Subscription, TopicFilter},
};
use stepcast_protocol::{ChannelName, frame::ControlFrame};
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior},
};

use super::{problem::Problem, query::Query, reader};
use crate::{entrance::Entrance, fanout::Permit, gateway::Gateway, readers::Reader};

/// Bytes of events that are sent together.
const CHUNK_BYTES: usize = 32 * 1024;
/// Says only that the connection lives.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

pub(super) async fn stream(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let query = Query::of(&parts.uri)?;
    let grant = reader::grant(&gateway, &parts, &query)?;
    let last_seen = parts
        .headers
        .get("last-event-id")
        .map(|id| String::from_utf8_lossy(id.as_bytes()))
        .filter(|id| !id.is_empty());
    let from = last_seen.as_deref().or(query.get("from"));
    let permit = gateway.admit(&parts)?;
    let entrance = reader::entrance(&gateway, &grant, from, &query).await?;
    let first = first(&entrance);
    let events = Events::open(&gateway, entrance, permit).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let first = stream::once(std::future::ready(first));
    let rest = stream::unfold(events, |mut events| async move {
        let chunk = events.next().await?;
        Some((chunk, events))
    });
    let chunks = stream::StreamExt::chain(first, rest);
    let body = Body::from_stream(stream::StreamExt::map(
        chunks,
        Ok::<_, std::convert::Infallible>,
    ));
    Ok((headers, body).into_response())
}

/// What every stream begins with: that it is there, and what it leaves out.
fn first(entrance: &Entrance) -> Bytes {
    if entrance.outdated.is_empty() {
        return COMMENT;
    }
    let mut text = COMMENT.to_vec();
    text.extend_from_slice(b"event: outdated\n");
    let outdated = ControlFrame::Outdated {
        channel: entrance.channel.name().clone(),
        topics: entrance.outdated.clone(),
    };
    put_data(&mut text, &outdated.to_wire());
    text.into()
}

/// A subscription on its way out as text.
struct Events {
    subscription: Subscription,
    channel: ChannelName,
    comments: Interval,
    /// Becomes true at the shutdown; gone once that was said.
    closing: Option<watch::Receiver<bool>>,
    entropy: Entropy,
    reader: Reader,
    _permit: Option<Permit>,
}

impl Events {
    async fn open(
        gateway: &Gateway,
        entrance: Entrance,
        permit: Option<Permit>,
    ) -> Result<Self, ReadError> {
        let Entrance {
            channel,
            topics,
            position,
            presence: _until_it_is_subscribed,
            ..
        } = entrance;
        let filter = TopicFilter::Only(topics);
        let hub = gateway.engine().hub();
        let subscription = hub.subscribe(&channel, filter, position).await?;
        let period = gateway.keepalive();
        let mut comments = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        comments.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            subscription,
            channel: channel.name().clone(),
            comments,
            closing: Some(gateway.closing()),
            entropy: gateway.engine().entropy().clone(),
            reader: gateway.event_streams().enter(),
            _permit: permit,
        })
    }

    /// What is to be sent next; nothing at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let Self {
            subscription,
            channel,
            comments,
            closing,
            entropy,
            reader,
            ..
        } = self;
        let is_closing = closing.as_mut()?;
        let next = tokio::select! {
            _ = is_closing.wait_for(|closing| *closing) => Next::Closing,
            item = poll_fn(|context| Pin::new(&mut *subscription).poll_next(context)) => {
                Next::Item(item)
            }
            _ = comments.tick() => Next::Comment,
        };
        let bytes = match next {
            Next::Closing => {
                *closing = None;
                Some(end(entropy))
            }
            Next::Item(first) => chunk(subscription, channel, reader, first?),
            Next::Comment => Some(COMMENT),
        };
        reader.on_bytes(bytes.as_ref().map_or(0, Bytes::len));
        bytes
    }
}

/// What comes next on a stream.
enum Next {
    Item(Option<Result<Item, ReadError>>),
    Comment,
    Closing,
}

/// Says that the server goes; `EventSource` comes back by itself after `retry`.
fn end(entropy: &Entropy) -> Bytes {
    let closing = ControlFrame::closing(entropy.fraction());
    let mut text = Vec::new();
    if let ControlFrame::Closing { reconnect_ms } = &closing {
        text.extend_from_slice(format!("retry: {reconnect_ms}\nevent: closing\n").as_bytes());
    }
    put_data(&mut text, &closing.to_wire());
    text.into()
}

/// The first event and those that are there already.
fn chunk(
    subscription: &mut Subscription,
    channel: &ChannelName,
    reader: &Reader,
    first: Result<Item, ReadError>,
) -> Option<Bytes> {
    let mut text = Vec::new();
    let mut next = Some(first);
    while let Some(item) = next.take() {
        match item {
            Ok(item) => {
                reader.on_item(&item);
                put_event(&mut text, &item, channel);
            }
            Err(error) => {
                // The client comes back with its last id and misses nothing.
                tracing::warn!(%error, %channel, "a channel cannot be read; its event stream ends");
                return Some(text.into()).filter(|text: &Bytes| !text.is_empty());
            }
        }
        if text.len() < CHUNK_BYTES {
            let more =
                poll_fn(|context| Poll::Ready(Pin::new(&mut *subscription).poll_next(context)));
            if let Some(Poll::Ready(item)) = more.now_or_never() {
                next = item;
            }
        }
    }
    Some(text.into())
}

/// One event. Messages have no name, so that `onmessage` gets them; everything else is named by its kind. Only what the stream has
/// passed has an id. A payload keeps its line breaks, and each line needs its own field.
fn put_event(out: &mut Vec<u8>, item: &Item, channel: &ChannelName) {
    match item {
        Item::Posted(posted) => {
            let message = posted.message();
            if !message.is_data() {
                out.extend_from_slice(b"event: rollback\n");
            }
            out.extend_from_slice(format!("id: {}\n", message.cursor).as_bytes());
            put_data(out, posted.wire(channel));
        }
        Item::Gap(gap) => {
            out.extend_from_slice(b"event: gap\n");
            put_data(out, &gap.to_wire(channel));
        }
        Item::Snapshot(snapshot) => {
            out.extend_from_slice(b"event: snapshot\n");
            put_data(out, &snapshot.to_wire(channel));
        }
    }
}

fn put_data(out: &mut Vec<u8>, frame: &[u8]) {
    for line in frame.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

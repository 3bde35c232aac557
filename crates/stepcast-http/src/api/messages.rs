//! `GET /v1/realtime/messages`: what comes after a cursor, as soon as there is something. For clients that can hold no connection.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::{
    body::Bytes,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{Stream, future::FutureExt};
use stepcast_engine::{
    hub::{Item, ReadError, Subscription, TopicFilter},
    store::StoreError,
};
use stepcast_protocol::{ChannelName, Cursor, ErrorCode, TopicName, limits};

use super::{problem::Problem, query::Query, reader};
use crate::{gateway::Gateway, readers::Reader};

/// Frames in an answer unless the request says otherwise.
const FRAMES: usize = 100;
/// Bytes of frames after which an answer is complete.
const BYTES: usize = 1024 * 1024;

pub(super) async fn poll(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let query = Query::of(&parts.uri)?;
    let grant = reader::grant(&gateway, &parts, &query)?;
    let (wait, limit) = (wait(&query)?, limit(&query)?);
    let _permit = gateway.admit(&parts)?;
    let entrance = reader::entrance(&gateway, &grant, query.get("from"), &query).await?;
    let filter = TopicFilter::Only(entrance.topics);
    let hub = gateway.engine().hub();
    let subscription = hub
        .subscribe(&entrance.channel, filter, entrance.position)
        .await?;
    // What an earlier answer has said is no news, so an answer with nothing else would come again and again.
    let known = query.get("from").map(|_| entrance.cursor);
    let mut answer = Answer {
        channel: entrance.channel.name().clone(),
        outdated: entrance.outdated,
        subscription,
        frames: Vec::new(),
        bytes: 0,
        limit,
        known,
        reader: gateway.polls().enter(),
    };
    let mut closing = gateway.closing();
    tokio::select! {
        collected = answer.collect() => collected?,
        () = tokio::time::sleep(wait) => {}
        _ = closing.wait_for(|closing| *closing) => {}
    }
    Ok(answer.into_response())
}

fn wait(query: &Query) -> Result<Duration, Problem> {
    let longest = limits::POLL_WAIT.as_secs();
    let seconds = number(query, "wait", 0, longest)?.unwrap_or(longest);
    Ok(Duration::from_secs(seconds))
}

fn limit(query: &Query) -> Result<usize, Problem> {
    let most = limits::POLL_FRAMES;
    let limit = number(query, "limit", 1, most as u64)?;
    Ok(limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(FRAMES))
}

fn number(query: &Query, name: &str, least: u64, most: u64) -> Result<Option<u64>, Problem> {
    let Some(text) = query.get(name) else {
        return Ok(None);
    };
    let number = text.parse().ok();
    let number = number.filter(|number| (least..=most).contains(number));
    number.map(Some).ok_or_else(|| {
        let shown: String = text.chars().take(32).collect();
        let sentence = format!("{name} is `{shown}`, {least} to {most} are allowed");
        Problem::new(ErrorCode::BadRequest, sentence)
    })
}

/// An answer under way.
struct Answer {
    channel: ChannelName,
    outdated: Vec<TopicName>,
    subscription: Subscription,
    frames: Vec<Bytes>,
    bytes: usize,
    limit: usize,
    known: Option<Cursor>,
    reader: Reader,
}

impl Answer {
    /// Takes what is there, as soon as there is news.
    async fn collect(&mut self) -> Result<(), StoreError> {
        let mut is_news = false;
        loop {
            let item = match self.next().now_or_never() {
                Some(item) => item,
                None if is_news => return Ok(()),
                None => self.next().await,
            };
            match item {
                Some(Ok(item)) => {
                    is_news |= self.is_news(&item);
                    self.take(&item);
                    if self.is_full(&item) {
                        return Ok(());
                    }
                }
                // The cursor has been checked, so only the store can have failed.
                Some(Err(ReadError::Store(error))) => return Err(error),
                Some(Err(_)) | None => return Ok(()),
            }
        }
    }

    fn next(&mut self) -> impl Future<Output = Option<Result<Item, ReadError>>> {
        poll_fn(|context| Pin::new(&mut self.subscription).poll_next(context))
    }

    fn is_news(&self, item: &Item) -> bool {
        match item {
            Item::Posted(_) | Item::Gap(_) => true,
            Item::Snapshot(snapshot) => self.known.is_none_or(|known| snapshot.cursor > known),
        }
    }

    fn take(&mut self, item: &Item) {
        let frame = match item {
            Item::Posted(posted) => posted.wire(&self.channel).clone(),
            Item::Gap(gap) => gap.to_wire(&self.channel).into(),
            Item::Snapshot(snapshot) => snapshot.to_wire(&self.channel).into(),
        };
        self.reader.on_item(item);
        self.bytes += frame.len();
        self.frames.push(frame);
    }

    /// Only a message completes an answer: the cursor before one does not say which gaps and snapshots were given.
    fn is_full(&self, last: &Item) -> bool {
        match last {
            Item::Posted(_) => self.frames.len() >= self.limit || self.bytes >= BYTES,
            Item::Gap(_) | Item::Snapshot(_) => false,
        }
    }

    fn into_response(self) -> Response {
        let mut body = format!(r#"{{"cursor":"{}","#, self.subscription.cursor());
        if !self.outdated.is_empty() {
            let topics = serde_json::json!(self.outdated);
            body.push_str(&format!(r#""outdated":{topics},"#));
        }
        body.push_str(r#""frames":["#);
        for (index, frame) in self.frames.iter().enumerate() {
            if index > 0 {
                body.push(',');
            }
            body.push_str(&String::from_utf8_lossy(frame));
        }
        body.push_str("]}");
        self.reader.on_bytes(body.len());
        let headers = [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (headers, body).into_response()
    }
}

//! Where a request publishes to, and whether it may.

use std::time::Duration;

use axum::{body::Bytes, http::request::Parts};
use serde_json::json;
use stepcast_engine::{Addressed, Broadcast, EngineError, Publication, runs::StepAttempt};
use stepcast_protocol::{
    ChannelName, Cursor, ErrorCode, RequestId, RunId, StepId, TopicName, limits,
};
use tokio::time::Instant;

use super::{
    lines::Line,
    problem::Problem,
    query::{self, Query},
};
use crate::{gateway::Gateway, worker::ServedWorker};

/// How long a request waits for room before it is refused: npm `inngest` does not try again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Lines that are published before others get a turn.
const LINES_PER_TURN: usize = 256;
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const KEY: &str = "idempotency-key";

/// Where a request publishes to.
pub(super) enum Target {
    /// Topics of a channel: each gets one message, all of them in one commit.
    Topics(Topics),
    /// The topic of a channel that has what is passed on as it comes.
    Stream(ChannelName),
}

/// Topics that a request names, and for whom.
pub(super) struct Topics {
    channel: ChannelName,
    topics: Vec<TopicName>,
    run: Option<RunId>,
    step: Option<StepAttempt>,
    /// The call of the server in which an app publishes.
    call: Option<RequestId>,
    durable: bool,
    key: Option<String>,
}

impl Target {
    /// Publishes text as one message. A key cannot stand for the many that a request makes, and is not used.
    pub(super) async fn publish_text(&self, gateway: &Gateway, text: &str) -> Result<(), Problem> {
        match self {
            Self::Topics(topics) => {
                let payload = Bytes::from(json!(text).to_string());
                topics.publish_under(gateway, payload, None).await?;
            }
            Self::Stream(channel) => {
                patiently(|| async { Ok(gateway.engine().tee(channel, text).await?) }).await?;
            }
        }
        Ok(())
    }
}

impl Topics {
    pub(super) fn of(parts: &Parts, query: &Query, caller: Caller) -> Result<Self, Problem> {
        let channel = ChannelName::parse(query.get("channel").unwrap_or_default())?;
        let mut topics = Vec::new();
        for topic in query.all("topic") {
            let topic = TopicName::parse(topic)?;
            if topic.is_reserved() {
                return Err(EngineError::ReservedTopic(topic).into());
            }
            if !topics.contains(&topic) {
                topics.push(topic);
            }
            if topics.len() > limits::TOPICS_PER_PUBLISH {
                let sentence = format!(
                    "more than {} topics are named, which is the limit; send several requests",
                    limits::TOPICS_PER_PUBLISH
                );
                return Err(Problem::new(ErrorCode::BadRequest, sentence));
            }
        }
        if topics.is_empty() {
            topics.push(TopicName::parse("")?);
        }
        // The state or form of a run is never a reason to lose a message.
        let run = query.get("run_id").and_then(|run| run.parse().ok());
        let (run, step, call) = match caller {
            Caller::Anybody => (None, None, None),
            Caller::Operator => {
                let call = query.get("request_id").and_then(|call| call.parse().ok());
                (run, step(query), call)
            }
        };
        Ok(Self {
            channel,
            topics,
            run,
            step,
            call,
            durable: is_durable(query)?,
            key: key(parts)?,
        })
    }

    /// Publishes to each topic, and says where the messages are.
    pub(super) async fn publish(
        &self,
        gateway: &Gateway,
        payload: Bytes,
    ) -> Result<Vec<Cursor>, Problem> {
        self.publish_under(gateway, payload, self.key.as_deref())
            .await
    }

    async fn publish_under(
        &self,
        gateway: &Gateway,
        payload: Bytes,
        key: Option<&str>,
    ) -> Result<Vec<Cursor>, Problem> {
        let published = match &*self.topics {
            [topic] => {
                let one = self.publication(topic, payload, key);
                let published = patiently(|| self.publish_one(gateway, one.clone()));
                vec![published.await?]
            }
            _ => {
                let topics = self.topics.iter();
                let all = topics.map(|topic| addressed(topic, &payload, key));
                self.publish_together(gateway, all.collect()).await?
            }
        };
        Ok(published)
    }

    /// An app that was left behind does not know it, and may go on while another call does the same anew.
    fn check_call(&self, gateway: &Gateway) -> Result<(), Problem> {
        match (gateway.worker(), self.call) {
            (Some(worker), Some(call)) if worker.has_lost(call) => {
                let sentence = format!(
                    "request {call} to the app counts no more: it has failed, was cut off, or its run has ended without it; nothing that it publishes is taken"
                );
                Err(Problem::new(ErrorCode::AttemptOver, sentence))
            }
            _ => Ok(()),
        }
    }

    /// Whether its call goes on. An SDK counts attempts for a call and not for each of its steps: where several have failed, the number of a
    /// step that goes on may be one that is over.
    fn is_in_call(&self, gateway: &Gateway) -> bool {
        let in_call = |(worker, call): (&ServedWorker, RequestId)| worker.is_in_call(call);
        gateway.worker().zip(self.call).is_some_and(in_call)
    }

    /// Publishes many messages, and says where they are: all of those of the first line, then those of the next. None is published when one
    /// does not fit. They are in one commit where one commit is asked for, by a key or several topics or for durability.
    pub(super) async fn publish_lines(
        &self,
        gateway: &Gateway,
        lines: &[Line],
    ) -> Result<Vec<Cursor>, Problem> {
        let messages = lines.len() * self.topics.len();
        if messages > limits::LINES {
            let sentence = format!(
                "{} lines for {} topics are {messages} messages, at most {} are allowed; send several requests",
                lines.len(),
                self.topics.len(),
                limits::LINES
            );
            return Err(Problem::new(ErrorCode::TooLarge, sentence));
        }
        for Line { number, payload } in lines {
            for topic in &self.topics {
                let checked = gateway.engine().check(&self.channel, topic, payload);
                checked.map_err(|error| Problem::from(error).at(format_args!("line {number}")))?;
            }
        }
        if let ([topic], None, false) = (&*self.topics, &self.key, self.durable) {
            return self.publish_in_turn(gateway, topic, lines).await;
        }
        let mut messages = Vec::new();
        for Line { number, payload } in lines {
            // No header can have the character between them.
            let key = self.key.as_ref().map(|key| format!("{number}\n{key}"));
            let topics = self.topics.iter();
            messages.extend(topics.map(|topic| addressed(topic, payload, key.as_deref())));
        }
        self.publish_together(gateway, messages).await
    }

    async fn publish_in_turn(
        &self,
        gateway: &Gateway,
        topic: &TopicName,
        lines: &[Line],
    ) -> Result<Vec<Cursor>, Problem> {
        let mut published = Vec::with_capacity(lines.len());
        for Line { number, payload } in lines {
            let one = self.publication(topic, payload.clone(), None);
            let cursor = patiently(|| self.publish_one(gateway, one.clone())).await;
            published.push(cursor.map_err(|problem| {
                let before = published.len();
                problem.at(format_args!(
                    "line {number}, after {before} messages that were published"
                ))
            })?);
            if published.len().is_multiple_of(LINES_PER_TURN) {
                tokio::task::yield_now().await;
            }
        }
        Ok(published)
    }

    async fn publish_one(
        &self,
        gateway: &Gateway,
        publication: Publication,
    ) -> Result<Cursor, Problem> {
        self.check_call(gateway)?;
        let engine = gateway.engine();
        let Some(step) = &self.step else {
            return Ok(engine.publish(publication).await?);
        };
        match engine.publish_in_step(publication.clone(), step).await {
            Err(EngineError::AttemptOver { .. }) if self.is_in_call(gateway) => {
                Ok(engine.publish(publication).await?)
            }
            published => Ok(published?),
        }
    }

    async fn publish_all(
        &self,
        gateway: &Gateway,
        broadcast: Broadcast,
    ) -> Result<Vec<Cursor>, Problem> {
        self.check_call(gateway)?;
        let engine = gateway.engine();
        let Some(step) = &self.step else {
            return Ok(engine.broadcast(broadcast).await?);
        };
        match engine.broadcast_in_step(broadcast.clone(), step).await {
            Err(EngineError::AttemptOver { .. }) if self.is_in_call(gateway) => {
                Ok(engine.broadcast(broadcast).await?)
            }
            published => Ok(published?),
        }
    }

    fn publication(&self, topic: &TopicName, payload: Bytes, key: Option<&str>) -> Publication {
        Publication {
            channel: self.channel.clone(),
            topic: topic.clone(),
            payload,
            run: self.run,
            durable: self.durable,
            key: key_on(topic, key),
        }
    }

    /// In one commit.
    async fn publish_together(
        &self,
        gateway: &Gateway,
        messages: Vec<Addressed>,
    ) -> Result<Vec<Cursor>, Problem> {
        let all = Broadcast {
            channel: self.channel.clone(),
            messages,
            run: self.run,
            durable: self.durable,
        };
        patiently(|| self.publish_all(gateway, all.clone())).await
    }
}

fn addressed(topic: &TopicName, payload: &Bytes, key: Option<&str>) -> Addressed {
    Addressed {
        topic: topic.clone(),
        payload: payload.clone(),
        key: key_on(topic, key),
    }
}

/// Who publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody with a publish token, as pages have. What they say is no run's, whatever they say of it: runs' messages stand and fall with
    /// what the run does.
    Anybody,
    /// Somebody who may use the operator routes, as apps may.
    Operator,
}

/// A publish token, or whatever the operator routes admit.
pub(super) fn admit(gateway: &Gateway, parts: &Parts, query: &Query) -> Result<Caller, Problem> {
    let token = query::credential(parts, query);
    let error = match gateway.tokens().verify_now(token) {
        Ok(claims) if claims.publish => return Ok(Caller::Anybody),
        Ok(_) => {
            let sentence = "token allows to read, not to publish; mint a publish token";
            return Err(Problem::new(ErrorCode::Forbidden, sentence));
        }
        Err(error) => error,
    };
    let is_token = token.matches('.').count() == 2;
    match gateway.keys() {
        Some(keys) if !is_token => {
            keys.admit(parts)?;
            Ok(Caller::Operator)
        }
        _ => Err(error.into()),
    }
}

/// Keys are the channel's, and those of requests their topics'.
fn key_on(topic: &TopicName, key: Option<&str>) -> Option<String> {
    key.map(|key| format!("{topic}:{key}"))
}

/// The attempt of a step that publishes, if the request says both, as the middleware of the npm package does.
fn step(query: &Query) -> Option<StepAttempt> {
    let step = StepId::parse(query.get("step_id")?).ok()?;
    let attempt = query.get("attempt")?.parse().ok()?;
    (!step.is_reserved()).then_some(StepAttempt { step, attempt })
}

/// Whether the answer is to wait for the commit.
fn is_durable(query: &Query) -> Result<bool, Problem> {
    match query.get("durable") {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => {
            let shown: String = other.chars().take(32).collect();
            let sentence = format!("durable is `{shown}`; it is `true` or `false`");
            Err(Problem::new(ErrorCode::BadRequest, sentence))
        }
    }
}

/// A key that cannot be read must not be taken for none.
fn key(parts: &Parts) -> Result<Option<String>, Problem> {
    let Some(key) = parts.headers.get(KEY) else {
        return Ok(None);
    };
    match std::str::from_utf8(key.as_bytes()) {
        Ok(key) if key.len() > limits::IDEMPOTENCY_KEY_BYTES => {
            let sentence = format!(
                "header `idempotency-key` has {} bytes, at most {} are allowed",
                key.len(),
                limits::IDEMPOTENCY_KEY_BYTES
            );
            Err(Problem::new(ErrorCode::BadRequest, sentence))
        }
        Ok(key) => Ok(Some(key.to_owned())),
        Err(_) => {
            let sentence = "header `idempotency-key` is not UTF-8";
            Err(Problem::new(ErrorCode::BadRequest, sentence))
        }
    }
}

/// Tries again while there is no room.
async fn patiently<T, F>(publish: impl Fn() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        match publish().await {
            Err(problem) if problem.is(ErrorCode::Overloaded) && Instant::now() < deadline => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            result => return result,
        }
    }
}

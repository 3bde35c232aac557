//! `POST /v1/realtime/publish`: publishes a message, or a stream of text as many.

use std::time::Duration;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::{json, value::RawValue};
use stepcast_engine::{EngineError, Publication, runs::StepAttempt};
use stepcast_protocol::{ChannelName, Cursor, ErrorCode, RunId, StepId, TopicName, limits};
use tokio::time::Instant;

use super::{
    body,
    problem::Problem,
    query::{self, Query},
};
use crate::gateway::Gateway;

/// How long a request waits for room before it is refused: npm `inngest` does not try again.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Bytes of text that one message of a stream carries at most.
const TEXT_BYTES: usize = 16 * 1024;
const KEY: &str = "idempotency-key";

pub(super) async fn publish(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let query = Query::of(&parts.uri)?;
    admit(&gateway, &parts, &query)?;
    let target = Target::of(&parts, &query)?;
    if is_text_stream(&parts) {
        stream(&gateway, &target, body).await?;
        return Ok(StatusCode::OK.into_response());
    }
    let body = body::read(body, limits::MESSAGE_BYTES).await?;
    let ids = target.publish(&gateway, payload(&body)).await?;
    // npm `inngest` expects nothing.
    if query.is_native() {
        return Ok(Json(json!({ "ids": ids })).into_response());
    }
    Ok(StatusCode::OK.into_response())
}

/// A publish token, or whatever the operator routes admit.
fn admit(gateway: &Gateway, parts: &Parts, query: &Query) -> Result<(), Problem> {
    let token = query::credential(parts, query);
    let error = match gateway.tokens().verify_now(token) {
        Ok(claims) if claims.publish => return Ok(()),
        Ok(_) => {
            let sentence = "token allows to read, not to publish; mint a publish token";
            return Err(Problem::new(ErrorCode::Forbidden, sentence));
        }
        Err(error) => error,
    };
    let is_token = token.matches('.').count() == 2;
    match gateway.keys() {
        Some(keys) if !is_token => Ok(keys.admit(parts)?),
        _ => Err(error.into()),
    }
}

/// Where a request publishes to. Several topics get one message each, one after the other.
struct Target {
    channel: ChannelName,
    topics: Vec<TopicName>,
    run: Option<RunId>,
    step: Option<StepAttempt>,
    durable: bool,
    key: Option<String>,
}

impl Target {
    fn of(parts: &Parts, query: &Query) -> Result<Self, Problem> {
        let channel = ChannelName::parse(query.get("channel").unwrap_or_default())?;
        let mut topics = query
            .all("topic")
            .map(TopicName::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if topics.is_empty() {
            topics.push(TopicName::parse("")?);
        }
        if let Some(reserved) = topics.iter().find(|topic| topic.is_reserved()) {
            return Err(EngineError::ReservedTopic(reserved.clone()).into());
        }
        // The state or form of a run is never a reason to lose a message.
        let run = query.get("run_id").and_then(|run| run.parse().ok());
        Ok(Self {
            channel,
            topics,
            run,
            step: step(query),
            durable: is_durable(query)?,
            key: key(parts)?,
        })
    }

    /// Publishes to each topic, and says where the messages are.
    async fn publish(&self, gateway: &Gateway, payload: Bytes) -> Result<Vec<Cursor>, Problem> {
        let mut ids = Vec::with_capacity(self.topics.len());
        for topic in &self.topics {
            let publication = Publication {
                channel: self.channel.clone(),
                topic: topic.clone(),
                payload: payload.clone(),
                run: self.run,
                durable: self.durable,
                key: self.key.as_ref().map(|key| format!("{topic}:{key}")),
            };
            ids.push(publish_patiently(gateway, publication, self.step.as_ref()).await?);
        }
        Ok(ids)
    }
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

async fn publish_patiently(
    gateway: &Gateway,
    publication: Publication,
    step: Option<&StepAttempt>,
) -> Result<Cursor, EngineError> {
    let deadline = Instant::now() + PATIENCE;
    let engine = gateway.engine();
    loop {
        let publication = publication.clone();
        let published = match step {
            Some(step) => engine.publish_in_step(publication, step).await,
            None => engine.publish(publication).await,
        };
        match published {
            Err(error) if error.code() == ErrorCode::Overloaded && Instant::now() < deadline => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            result => return result,
        }
    }
}

/// JSON as it came; anything else as a JSON string.
fn payload(body: &Bytes) -> Bytes {
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(json) => body.slice_ref(json.get().as_bytes()),
        Err(_) => text(&String::from_utf8_lossy(body)),
    }
}

fn text(text: &str) -> Bytes {
    let json = serde_json::to_vec(text).expect("a string can always be written as JSON");
    json.into()
}

fn is_text_stream(parts: &Parts) -> bool {
    parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/stream"))
}

/// Publishes text as it arrives, in messages of whole characters. A key cannot stand for many messages and is not used.
async fn stream(gateway: &Gateway, target: &Target, mut body: Body) -> Result<(), Problem> {
    let target = Target {
        channel: target.channel.clone(),
        topics: target.topics.clone(),
        run: target.run,
        step: target.step.clone(),
        durable: target.durable,
        key: None,
    };
    let mut pending = Vec::new();
    while let Some(chunk) = body::next(&mut body).await? {
        pending.extend_from_slice(&chunk);
        while let Some(piece) = take_text(&mut pending) {
            target.publish(gateway, text(&piece)).await?;
        }
    }
    if !pending.is_empty() {
        let rest = String::from_utf8_lossy(&pending);
        target.publish(gateway, text(&rest)).await?;
    }
    Ok(())
}

/// Takes whole characters off the front; what may still become one stays.
fn take_text(pending: &mut Vec<u8>) -> Option<String> {
    let window = &pending[..pending.len().min(TEXT_BYTES)];
    let whole = match std::str::from_utf8(window) {
        Ok(text) => text.len(),
        Err(error) => match error.error_len() {
            None => error.valid_up_to(),
            Some(wrong) => error.valid_up_to() + wrong,
        },
    };
    if whole == 0 {
        return None;
    }
    let taken: Vec<u8> = pending.drain(..whole).collect();
    Some(String::from_utf8_lossy(&taken).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_as_it_is_and_the_rest_becomes_a_string() {
        for (body, expected) in [
            (r#"{"n":1.50}"#, r#"{"n":1.50}"#),
            (" [1] \n", "[1]"),
            ("", r#""""#),
            ("hello", r#""hello""#),
            (r#"{"cut":"#, r#""{\"cut\":""#),
        ] {
            assert_eq!(payload(&Bytes::from(body)), expected, "{body}");
        }
    }

    #[test]
    fn text_is_cut_between_characters_wherever_the_chunks_end() {
        let text = "aé漢🦀".repeat(20);
        for size in 1..9 {
            let mut pending = Vec::new();
            let mut joined = String::new();
            for chunk in text.as_bytes().chunks(size) {
                pending.extend_from_slice(chunk);
                while let Some(piece) = take_text(&mut pending) {
                    joined.push_str(&piece);
                }
            }
            assert_eq!(joined, text, "chunks of {size} bytes");
            assert!(pending.is_empty());
        }
    }
}

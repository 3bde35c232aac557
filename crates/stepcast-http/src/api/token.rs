//! `POST /v1/realtime/token`: mints a token to read topics of one channel.

use std::time::Duration;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use stepcast_protocol::{ChannelName, ErrorCode, TopicName, limits};

use super::{body, problem::Problem};
use crate::{gateway::Gateway, invitation::Invitation, tokens::History};

/// Bytes of a request.
const REQUEST_BYTES: usize = 256 * 1024;

/// A topic as npm `inngest` asks for it. Its other keys mean nothing here.
#[derive(Deserialize)]
struct TopicRef {
    channel: String,
    name: String,
}

/// What is asked for, in Stepcast's own form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    channel: String,
    topics: Vec<String>,
    lifetime: Option<u64>,
    history: Option<bool>,
    session: Option<u64>,
}

pub(super) async fn mint(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::read(request.into_body(), REQUEST_BYTES).await?;
    let ask = read(&body)?;
    let channel = ChannelName::parse(&ask.channel)?;
    let topics = topics(&ask)?;
    let lifetime = seconds("lifetime", ask.lifetime, limits::TOKEN_LIFETIME_MAX)?;
    let session = seconds("session", ask.session, limits::SESSION_MAX)?;
    let invitation = Invitation {
        channel,
        topics,
        history: match ask.history {
            Some(false) => History::Refused,
            Some(true) | None => History::Allowed,
        },
        lifetime: lifetime.unwrap_or(limits::TOKEN_LIFETIME),
        session,
    };
    let jwt = gateway.invite(invitation).await?;
    Ok((StatusCode::CREATED, Json(json!({ "jwt": jwt }))).into_response())
}

fn read(body: &[u8]) -> Result<Ask, Problem> {
    let bad = |error: serde_json::Error| {
        let sentence = format!("body must be a list of topics or {{channel, topics}}: {error}");
        Problem::new(ErrorCode::BadJson, sentence)
    };
    if body.trim_ascii_start().first() != Some(&b'[') {
        return serde_json::from_slice(body).map_err(bad);
    }
    let list: Vec<TopicRef> = serde_json::from_slice(body).map_err(bad)?;
    let channel = one_channel(&list)?;
    Ok(Ask {
        channel,
        topics: list.into_iter().map(|topic| topic.name).collect(),
        lifetime: None,
        history: None,
        session: None,
    })
}

fn one_channel(list: &[TopicRef]) -> Result<String, Problem> {
    let Some(first) = list.first() else {
        return Err(no_topics());
    };
    match list.iter().find(|topic| topic.channel != first.channel) {
        None => Ok(first.channel.clone()),
        Some(other) => {
            let shown = |name: &str| name.chars().take(64).collect::<String>();
            let sentence = format!(
                "a token is for one channel; the topics name `{}` and `{}`, mint one token for each",
                shown(&first.channel),
                shown(&other.channel)
            );
            Err(Problem::new(ErrorCode::BadChannel, sentence))
        }
    }
}

fn topics(ask: &Ask) -> Result<Vec<TopicName>, Problem> {
    if ask.topics.is_empty() {
        return Err(no_topics());
    }
    if ask.topics.len() > limits::TOPICS_PER_TOKEN {
        let sentence = format!(
            "{} topics were asked for, at most {} may stand in one token",
            ask.topics.len(),
            limits::TOPICS_PER_TOKEN
        );
        return Err(Problem::new(ErrorCode::BadTopic, sentence));
    }
    let names: Result<_, _> = ask.topics.iter().map(TopicName::parse).collect();
    Ok(names?)
}

fn no_topics() -> Problem {
    let sentence = "no topics were asked for; name at least one, e.g. \
                    [{\"channel\":\"pipeline:r1\",\"name\":\"status\"}]";
    Problem::new(ErrorCode::BadTopic, sentence)
}

fn seconds(what: &str, asked: Option<u64>, longest: Duration) -> Result<Option<Duration>, Problem> {
    let longest = longest.as_secs();
    match asked {
        None => Ok(None),
        Some(seconds) if (1..=longest).contains(&seconds) => Ok(Some(Duration::from_secs(seconds))),
        Some(seconds) => {
            let sentence = format!("{what} is {seconds} s, 1 to {longest} s are allowed");
            Err(Problem::new(ErrorCode::BadRequest, sentence))
        }
    }
}

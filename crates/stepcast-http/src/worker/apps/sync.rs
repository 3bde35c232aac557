//! Asks an app for its functions, and reads what it answers.
//!
//! First with the header for an in-band sync: its answer is the configuration, and no connection from the app to this server is
//! needed. An app that does not do that registers itself meanwhile, and one that stumbles over the header is asked without it.

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use stepcast_protocol::{
    limits,
    sdk::{canonical, config::SyncRequest, headers},
};

use super::{error::SyncError, registration::Registration};
use crate::{
    gateway::ServerKind,
    worker::{
        client::{AppClient, Patience, header},
        served::{Answered, CallRequest},
    },
};

/// How an app was synced.
#[derive(Debug)]
pub(super) enum Synced {
    /// It has said what it has.
    InBand(Box<Registration>),
    /// It has registered itself before it answered.
    OutOfBand,
}

/// What an app says of itself without being synced.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Introspection {
    /// `dev` or `cloud`.
    pub(super) mode: Option<String>,
    /// How many functions it has.
    pub(super) function_count: Option<u64>,
}

/// How an answer is understood.
#[derive(Debug)]
enum Reading {
    Synced(Synced),
    /// The header is what it stumbles over.
    AskWithoutHeader(SyncError),
}

/// Syncs the app at a URL.
pub(super) async fn sync(client: &AppClient, url: &str) -> Result<Synced, SyncError> {
    let answered = put(client, url, &[(headers::SYNC_KIND, headers::IN_BAND)]).await?;
    match read(&answered, url, client.kind())? {
        Reading::Synced(synced) => return Ok(synced),
        Reading::AskWithoutHeader(error) => {
            tracing::debug!(url, %error, "an app is asked to register itself");
        }
    }
    let answered = put(client, url, &[]).await?;
    match read(&answered, url, client.kind())? {
        Reading::Synced(synced) => Ok(synced),
        Reading::AskWithoutHeader(error) => Err(error),
    }
}

/// Asks whether there is an app at a URL. One that says nothing to those who have not signed is one all the same.
pub(super) async fn introspect(client: &AppClient, url: &str) -> Result<Introspection, SyncError> {
    let request = CallRequest {
        url: url.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
    };
    let answered = client
        .request(Method::GET, request, Patience::of(limits::APP_SYNC))
        .await?;
    check_is_app(&answered, url)?;
    Ok(serde_json::from_slice(&answered.body).unwrap_or_default())
}

/// Whether the app takes us for what we are. One that says nothing takes anybody.
pub(crate) fn check_kind(headers: &HeaderMap, kind: ServerKind) -> Result<(), SyncError> {
    match header(headers, headers::EXPECTED_SERVER_KIND) {
        Some(expected) if expected != kind.as_str() => Err(SyncError::Kind {
            expected: expected.chars().take(32).collect(),
            kind,
        }),
        Some(_) | None => Ok(()),
    }
}

async fn put(
    client: &AppClient,
    url: &str,
    more: &[(&'static str, &str)],
) -> Result<Answered, SyncError> {
    let kind = client.kind().as_str();
    let common = [
        ("content-type", "application/json"),
        (headers::SERVER_KIND, kind),
    ];
    let headers = common.iter().chain(more);
    let body = serde_json::to_string(&SyncRequest { url }).unwrap_or_default();
    let request = CallRequest {
        url: url.to_owned(),
        headers: headers
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        body: canonical(&body).unwrap_or(body).into(),
    };
    let patience = Patience::of(limits::APP_SYNC);
    Ok(client.request(Method::PUT, request, patience).await?)
}

fn read(answered: &Answered, url: &str, kind: ServerKind) -> Result<Reading, SyncError> {
    check_is_app(answered, url)?;
    let Answered {
        status,
        headers,
        body,
    } = answered;
    let sync_kind = header(headers, headers::SYNC_KIND);
    match (*status, sync_kind) {
        (401, _) => Err(SyncError::Unauthorized {
            url: url.to_owned(),
        }),
        (200, Some(headers::IN_BAND)) => {
            check_kind(headers, kind)?;
            let registration = Registration::in_band(body, url)?;
            Ok(Reading::Synced(Synced::InBand(Box::new(registration))))
        }
        (200, _) => Ok(Reading::Synced(Synced::OutOfBand)),
        (_, Some(headers::OUT_OF_BAND)) => Err(refused(answered, url)),
        (_, _) => Ok(Reading::AskWithoutHeader(refused(answered, url))),
    }
}

/// An SDK keeps all headers but one back from those whose signature it does not accept.
fn check_is_app(answered: &Answered, url: &str) -> Result<(), SyncError> {
    let is_sdk = [headers::SDK, headers::SDK_HANDLED]
        .iter()
        .any(|name| answered.headers.contains_key(*name));
    if is_sdk {
        return Ok(());
    }
    Err(SyncError::NotAnApp {
        url: url.to_owned(),
        status: answered.status,
        start: start(&answered.body),
    })
}

fn refused(answered: &Answered, url: &str) -> SyncError {
    let said: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    let message = ["message", "error"]
        .iter()
        .find_map(|key| said[key].as_str())
        .map(|message| message.chars().take(500).collect());
    SyncError::Refused {
        url: url.to_owned(),
        status: answered.status,
        message: message.unwrap_or_else(|| start(&answered.body)),
    }
}

fn start(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    let shown = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char });
    shown.take(80).collect()
}

//! What an op asks for.

use std::collections::BTreeMap;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{self, Entry},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use stepcast_protocol::{
    RunError,
    sdk::{Action, Json},
};

use super::{Errand, brought::Purpose, shown, wrong};

/// What an op says of the request. Both kinds of them know some of it.
#[derive(Deserialize)]
struct Asked<'a> {
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    auth_key: Option<String>,
    #[serde(default)]
    format: Option<String>,
    #[serde(borrow, default)]
    publish: Option<&'a RawValue>,
}

/// Headers that are the connection's, or that decide in which form an answer comes.
const OURS: [HeaderName; 11] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// The errand of an op; nothing when it asks for none.
///
/// # Errors
/// The error with which the step ends, as no attempt of it can be better.
pub fn of(action: &Action) -> Option<Result<Errand, RunError>> {
    match action {
        Action::Gateway { request } => Some(fetch(request)),
        Action::AiGateway { request } => Some(infer(request)),
        Action::Planned { .. }
        | Action::Ran { .. }
        | Action::Failed { .. }
        | Action::Sleep { .. }
        | Action::WaitForEvent { .. }
        | Action::WaitForSignal { .. }
        | Action::Invoke { .. }
        | Action::DeferAdd { .. }
        | Action::DeferAbort { .. } => None,
    }
}

/// What `step.fetch` asks for. An empty body is none.
fn fetch(request: &Json) -> Result<Errand, RunError> {
    let asked = Asked::read(request)?;
    let method = method(asked.method.as_deref().unwrap_or("GET"))?;
    let mut headers = asked.headers()?;
    let body = match asked.body {
        None => Bytes::new(),
        Some(raw) => {
            let text: String = serde_json::from_str(raw.get()).map_err(|_| {
                wrong("the body of a request that the server makes has to be a string; send other bodies from inside `step.run`")
            })?;
            Bytes::from(text)
        }
    };
    if !body.is_empty() {
        or_insert(
            &mut headers,
            header::CONTENT_TYPE,
            "text/plain;charset=UTF-8",
        );
    }
    Ok(Errand {
        purpose: Purpose::Fetch,
        method,
        url: url(&asked.url)?,
        headers,
        body,
    })
}

/// What `step.ai.infer` asks for.
fn infer(request: &Json) -> Result<Errand, RunError> {
    let asked = Asked::read(request)?;
    let mut headers = asked.headers()?;
    or_insert(&mut headers, header::CONTENT_TYPE, "application/json");
    or_insert(&mut headers, header::ACCEPT, "application/json");
    asked.authorize(&mut headers)?;
    let body = asked.body.map_or("null", RawValue::get).to_owned();
    Ok(Errand {
        purpose: Purpose::Model,
        method: Method::POST,
        url: url(&asked.url)?,
        headers,
        body: Bytes::from(body),
    })
}

impl<'a> Asked<'a> {
    fn read(request: &'a Json) -> Result<Self, RunError> {
        let asked: Self = serde_json::from_str(request.get()).map_err(|error| {
            wrong(format_args!(
                "a request that the server makes needs `url`, and `headers` that are strings: {error}"
            ))
        })?;
        match asked.publish {
            None => Ok(asked),
            Some(_) => Err(wrong(
                "`publish` of a request that the server makes is not supported; publish what the step returns with `step.realtime.publish`",
            )),
        }
    }

    fn headers(&self) -> Result<HeaderMap, RunError> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter().flatten() {
            // Values are not shown: they may be keys.
            let bad = || wrong(format_args!("header `{}` cannot be sent", shown(name)));
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            let value = HeaderValue::from_str(value).map_err(|_| bad())?;
            if !OURS.contains(&header) {
                headers.append(header, value);
            }
        }
        Ok(headers)
    }

    /// Puts the key where the API of the model expects it. Some have it in their URL or headers already.
    fn authorize(&self, headers: &mut HeaderMap) -> Result<(), RunError> {
        let key = self.auth_key.as_deref().unwrap_or_default();
        let (name, text) = match self.format.as_deref() {
            _ if key.is_empty() => return Ok(()),
            Some("gemini" | "azure-openai") => return Ok(()),
            Some("anthropic") => (HeaderName::from_static("x-api-key"), key.to_owned()),
            Some(_) | None => (header::AUTHORIZATION, format!("Bearer {key}")),
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| wrong("the model's key cannot be sent in a header"))?;
        value.set_sensitive(true);
        if let Entry::Vacant(place) = headers.entry(name) {
            place.insert(value);
        }
        Ok(())
    }
}

fn or_insert(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers
        .entry(name)
        .or_insert(HeaderValue::from_static(value));
}

fn method(name: &str) -> Result<Method, RunError> {
    let method = Method::from_bytes(name.to_ascii_uppercase().as_bytes());
    match method {
        Ok(method) if method != Method::CONNECT && method != Method::TRACE => Ok(method),
        Ok(_) | Err(_) => Err(wrong(format_args!(
            "`{}` is no method of a request that the server makes; use one such as GET or POST",
            shown(name)
        ))),
    }
}

/// An absolute URL as it is sent: what may not stand in one is encoded, and the fragment stays here.
pub(super) fn url(text: &str) -> Result<String, RunError> {
    let text = text.trim().split('#').next().unwrap_or_default();
    let wrong = |what: &str| wrong(format_args!("`{}` {what}", shown(text)));
    let encoded = encoded(text);
    let no_url =
        "is no URL that the server can request; give one such as https://api.example.com/v1";
    let uri: Uri = encoded.parse().map_err(|_| wrong(no_url))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(wrong(no_url));
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        // Not even its beginning is shown.
        return Err(super::wrong(
            "a URL with a user and a password is not requested; send them as the header `authorization`",
        ));
    }
    Ok(encoded)
}

fn encoded(text: &str) -> String {
    let may_stand = |byte: u8| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte);
    let written = text.bytes().map(|byte| match may_stand(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    written.collect()
}

//! Where an answer sends an errand, and what it takes there.
//!
//! Within its origin an errand keeps all it has. To another one it takes no body and of its headers only those that are for anybody; from https
//! to http it is not sent with anything to keep.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use bytes::Bytes;
use fluent_uri::UriRef;

use super::{Errand, ErrandError, asked, shown};

/// What may be told to somebody else than the errand was for: its keys are in other headers.
const FOR_ANYBODY: [HeaderName; 4] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::USER_AGENT,
];

/// Who answers under a URL.
#[derive(PartialEq, Eq)]
struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Errand {
    /// The errand that an answer makes of this one; nothing when the answer is what it was for.
    ///
    /// # Errors
    /// [`ErrandError::Redirect`] when it goes to what is no web address, or would take there what was for another.
    pub(in crate::worker) fn redirected(
        &self,
        status: u16,
        location: Option<&HeaderValue>,
    ) -> Result<Option<Self>, ErrandError> {
        let (301..=303 | 307 | 308, Some(location)) = (status, location) else {
            return Ok(None);
        };
        let location = String::from_utf8_lossy(location.as_bytes());
        let refused = |cause: String| ErrandError::Redirect {
            url: shown(&self.url),
            location: place(&location),
            cause,
        };
        let url = self
            .resolved(&location)
            .and_then(|url| asked::url(&url).ok())
            .ok_or_else(|| {
                refused("it is no address of the web, or one with a user and a password".to_owned())
            })?;
        let next = self.sent_on(status, url);
        match (Origin::of(&self.url), Origin::of(&next.url)) {
            (Some(from), Some(to)) if from == to => Ok(Some(next)),
            (Some(from), Some(to)) => next.leaving(&from, &to).map(Some).map_err(refused),
            (None, _) | (_, None) => Err(refused("it names nobody who could answer".to_owned())),
        }
    }

    /// What is requested at the place that an answer names, as browsers do it.
    fn sent_on(&self, status: u16, url: String) -> Self {
        let keeps_method = match status {
            303 => matches!(self.method, Method::GET | Method::HEAD),
            301 | 302 => self.method != Method::POST,
            _ => true,
        };
        let mut next = Self {
            url,
            ..self.clone()
        };
        if !keeps_method {
            next.method = Method::GET;
            next.headers.remove(header::CONTENT_TYPE);
            next.body = Bytes::new();
        }
        next
    }

    /// The same without what is not for another origin; a sentence where it cannot do without.
    fn leaving(mut self, from: &Origin, to: &Origin) -> Result<Self, String> {
        if !self.body.is_empty() {
            return Err(format!(
                "it would take the request's body from {from} to {to}; request it there if that is right"
            ));
        }
        let has_keys = self.headers.keys().any(|name| !is_for_anybody(name));
        if has_keys && from.scheme == Scheme::Https && to.scheme == Scheme::Http {
            return Err(format!(
                "it leads from {from} to {to}, where everybody on the way can read what is sent and answered, and the request has headers \
                 that may be keys; request it there without them if that is right"
            ));
        }
        self.headers = public(&self.headers);
        Ok(self)
    }

    fn resolved(&self, location: &str) -> Option<String> {
        let base = fluent_uri::Uri::parse(&*self.url).ok()?;
        let resolved = UriRef::parse(location).ok()?.resolve_against(&base).ok()?;
        Some(resolved.into_string())
    }
}

fn is_for_anybody(name: &HeaderName) -> bool {
    FOR_ANYBODY.contains(name)
}

fn public(headers: &HeaderMap) -> HeaderMap {
    let public = headers.iter().filter(|(name, _)| is_for_anybody(name));
    public
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A location as it may be shown. Where a user and a password are in a text that is no URL, nobody can say.
fn place(location: &str) -> String {
    if UriRef::parse(location).is_err() && location.contains('@') {
        return "what cannot be read".to_owned();
    }
    shown(location)
}

impl Origin {
    /// Nothing for what is no URL of the web.
    fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let scheme = match uri.scheme_str()? {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return None,
        };
        Some(Self {
            scheme,
            host: uri.host()?.to_ascii_lowercase(),
            port: uri.port_u16().unwrap_or(scheme.port()),
        })
    }
}

impl Scheme {
    /// The port that a URL need not say.
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != self.scheme.port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

//! Where an answer sends an errand.

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

impl Errand {
    /// The errand that an answer makes of this one; nothing when the answer is what it was for.
    ///
    /// # Errors
    /// [`ErrandError::Redirect`] when it goes to what is no web address.
    pub(in crate::worker) fn redirected(
        &self,
        status: u16,
        location: Option<&HeaderValue>,
    ) -> Result<Option<Self>, ErrandError> {
        let (301..=303 | 307 | 308, Some(location)) = (status, location) else {
            return Ok(None);
        };
        let location = String::from_utf8_lossy(location.as_bytes());
        let refused = |cause: &str| ErrandError::Redirect {
            url: shown(&self.url),
            location: shown(&location),
            cause: cause.to_owned(),
        };
        let url = self
            .resolved(&location)
            .and_then(|url| asked::url(&url).ok())
            .ok_or_else(|| refused("it is no address of the web"))?;
        let mut headers = self.headers.clone();
        if origin(&url) != origin(&self.url) {
            headers = public(&headers);
        }
        let keeps_method = match status {
            303 => matches!(self.method, Method::GET | Method::HEAD),
            301 | 302 => self.method != Method::POST,
            _ => true,
        };
        let (method, body) = if keeps_method {
            (self.method.clone(), self.body.clone())
        } else {
            headers.remove(header::CONTENT_TYPE);
            (Method::GET, Bytes::new())
        };
        Ok(Some(Self {
            purpose: self.purpose,
            method,
            url,
            headers,
            body,
        }))
    }

    fn resolved(&self, location: &str) -> Option<String> {
        let base = fluent_uri::Uri::parse(&*self.url).ok()?;
        let resolved = UriRef::parse(location).ok()?.resolve_against(&base).ok()?;
        Some(resolved.into_string())
    }
}

fn public(headers: &HeaderMap) -> HeaderMap {
    let public = headers
        .iter()
        .filter(|(name, _)| FOR_ANYBODY.contains(name));
    public
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Scheme, host and port; nothing for what is no URL.
fn origin(url: &str) -> Option<(bool, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let is_tls = uri.scheme_str()? == "https";
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    Some((is_tls, uri.host()?.to_ascii_lowercase(), port))
}

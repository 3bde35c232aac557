//! Which pages may read with a token: any, or those of a list.

use std::{fmt, str::FromStr, sync::Arc};

use axum::http::{HeaderMap, HeaderValue, header};

/// Where a page comes from, as browsers say it: `https://app.example.com`, with a port where it is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("origin `{0}` is none; write it as browsers do, `https://app.example.com`, without a path")]
pub struct BadOrigin(String);

impl Origin {
    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let bad = || BadOrigin(text.chars().take(128).collect());
        let (scheme, host) = text.split_once("://").ok_or_else(bad)?;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let is_origin = !scheme.is_empty()
            && scheme.bytes().all(is_scheme)
            && !host.is_empty()
            && host.bytes().all(is_word);
        if !is_origin {
            return Err(bad());
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The pages that are let in.
#[derive(Debug, Clone, Default)]
pub(crate) enum Origins {
    /// Tokens say who may read, so any page may ask.
    #[default]
    Any,
    /// These. Programs, which name no origin, are not meant.
    Listed(Arc<[Origin]>),
}

/// A page of somebody else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pages of origin `{0}` may not read here; add it to the origins that the server lets in")]
pub(crate) struct ForeignPage(String);

impl Origins {
    /// Whether a request is let in, and what its answer says to the browser.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, ForeignPage> {
        let Self::Listed(list) = self else {
            return Ok(Some(HeaderValue::from_static("*")));
        };
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(None);
        };
        let said = String::from_utf8_lossy(origin.as_bytes());
        let is_known = |known: &Origin| known.as_str().eq_ignore_ascii_case(&said);
        if list.iter().any(is_known) {
            Ok(Some(origin.clone()))
        } else {
            Err(ForeignPage(said.chars().take(128).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_do() {
        for good in [
            "https://app.example.com",
            "http://localhost:3000",
            "http://[::1]:80",
        ] {
            assert_eq!(good.parse::<Origin>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "*",
            "app.example.com",
            "https://",
            "https://a/",
            "https://a b",
            "://a",
        ] {
            let error = bad.parse::<Origin>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")), "{error}");
        }
    }

    #[test]
    fn a_list_limits_pages_and_nobody_else() {
        let listed = Origins::Listed(["https://App.example.com".parse().unwrap()].into());
        let mut headers = HeaderMap::new();
        assert_eq!(listed.admit(&headers), Ok(None));
        assert_eq!(Origins::Any.admit(&headers).unwrap().unwrap(), "*");
        for (origin, is_in) in [
            ("https://app.example.com", true),
            ("https://app.example.com:444", false),
            ("http://app.example.com", false),
            ("null", false),
        ] {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            let admitted = listed.admit(&headers);
            assert_eq!(admitted.is_ok(), is_in, "{origin}");
            if let Ok(answer) = admitted {
                assert_eq!(answer.unwrap(), origin);
            }
            assert_eq!(Origins::Any.admit(&headers).unwrap().unwrap(), "*");
        }
    }
}

//! Query parameters.

use axum::{
    extract::Query as Pairs,
    http::{Uri, request::Parts},
};
use stepcast_protocol::{ErrorCode, Timestamp, frame};

use super::problem::{Problem, shown};
use crate::keys::bearer;

/// The parameters of a request, in order.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        Pairs::try_from_uri(uri)
            .map(|Pairs(pairs)| Self(pairs))
            .map_err(|error| Problem::new(ErrorCode::BadRequest, error.body_text()))
    }

    /// Whether the client speaks the native protocol; who does not ask for it is npm `inngest`.
    pub(super) fn is_native(&self) -> bool {
        self.get("v") == Some(&frame::VERSION.to_string())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// How many rows the request wants.
    pub(super) fn limit(&self, usual: usize, most: usize) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else {
            return Ok(usual);
        };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| {
            let sentence = format!("limit is `{}`, 1 to {most} are allowed", shown(text));
            Problem::new(ErrorCode::BadRequest, sentence)
        })
    }

    /// A point in time: RFC 3339, or milliseconds since 1970.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let time = match text.parse() {
            Ok(millis) => Ok(Timestamp::from_millis(millis)),
            Err(_) => text.parse(),
        };
        time.map(Some).map_err(|_| {
            let sentence = format!(
                "{name} is `{}`; give a time such as 2026-11-23T19:40:59Z",
                shown(text)
            );
            Problem::new(ErrorCode::BadRequest, sentence)
        })
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The token a request carries: in its header, or in its query where a browser cannot set one.
pub(super) fn credential<'a>(parts: &'a Parts, query: &'a Query) -> &'a str {
    bearer(&parts.headers)
        .filter(|token| !token.is_empty())
        .or_else(|| query.get("token"))
        .unwrap_or_default()
}

//! Query parameters.

use axum::{
    extract::Query as Pairs,
    http::{Uri, request::Parts},
};
use stepcast_protocol::{ErrorCode, frame};

use super::problem::Problem;
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

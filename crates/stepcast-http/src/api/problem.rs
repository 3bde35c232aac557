//! What went wrong, as a response.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use stepcast_engine::{EngineError, hub::ReadError, store::StoreError};
use stepcast_protocol::{ErrorBody, ErrorCode, NameError, event::EventError, ids::IdError};

use crate::{
    entrance::EntranceError, fanout::TooManyConnections, keys::KeyError, origins::ForeignPage,
    tokens::TokenError, worker::apps::SyncError,
};

/// How much of a caller's text is shown to it again.
const SHOWN: usize = 64;

/// The beginning of a caller's text.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// A refusal on its way out.
#[derive(Debug)]
pub(super) struct Problem {
    body: Box<ErrorBody>,
    is_retryable: bool,
}

impl Problem {
    pub(super) fn new(code: ErrorCode, sentence: impl ToString) -> Self {
        Self {
            body: Box::new(ErrorBody::new(code, sentence)),
            is_retryable: code.is_retryable(),
        }
    }

    /// Whether that is what went wrong.
    pub(super) fn is(&self, code: ErrorCode) -> bool {
        self.body.code == code.as_str()
    }

    /// The same with another status, for those who know this refusal by it.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.body.status = status.as_u16();
        self
    }

    /// The same, with a place in front of the sentence.
    pub(super) fn at(mut self, place: impl std::fmt::Display) -> Self {
        self.body.error = format!("{place}: {}", self.body.error);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::warn!(
                code = self.body.code,
                error = self.body.error,
                "a request failed"
            );
        }
        let mut response = (status, Json(self.body)).into_response();
        if self.is_retryable {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let mut problem = Self::new(error.code(), &error);
        problem.body.data = error.data();
        problem
    }
}

macro_rules! from_code {
    ($($error:ty),*) => {
        $(impl From<$error> for Problem {
            fn from(error: $error) -> Self {
                Self::new(error.code(), error)
            }
        })*
    };
}

from_code!(
    EntranceError,
    EventError,
    KeyError,
    NameError,
    ReadError,
    StoreError,
    SyncError,
    TokenError
);

impl From<ForeignPage> for Problem {
    fn from(error: ForeignPage) -> Self {
        Self::new(ErrorCode::ForeignOrigin, error)
    }
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        Self::new(ErrorCode::BadRequest, error)
    }
}

impl From<TooManyConnections> for Problem {
    fn from(error: TooManyConnections) -> Self {
        Self::new(ErrorCode::TooMany, error)
    }
}

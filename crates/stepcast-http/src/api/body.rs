//! Request bodies, up to a limit.

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use stepcast_protocol::ErrorCode;

use super::problem::Problem;

/// How much of a body that is too large is still read, so that its sender gets to see the answer.
const DRAIN_FACTOR: usize = 8;

/// A body as it comes.
pub(super) struct Pieces {
    body: Body,
    seen: usize,
    limit: usize,
}

impl Pieces {
    /// A body of any length.
    pub(super) fn of(body: Body) -> Self {
        Self::up_to(usize::MAX, body)
    }

    /// A body of at most `limit` bytes. One that says that it has more is refused before its first piece, any other at the piece with which it
    /// has.
    pub(super) fn up_to(limit: usize, body: Body) -> Self {
        let seen = 0;
        Self { body, seen, limit }
    }

    /// The next piece.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let piece = if self.is_too_large() {
            None
        } else {
            self.read().await?
        };
        if !self.is_too_large() {
            return Ok(piece);
        }
        while self.seen <= self.limit.saturating_mul(DRAIN_FACTOR) && self.read().await?.is_some() {
        }
        let sentence = format!(
            "body has more than {} bytes, which is the limit",
            self.limit
        );
        Err(Problem::new(ErrorCode::TooLarge, sentence))
    }

    /// By what was read, and what is said to follow.
    fn is_too_large(&self) -> bool {
        let left = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        self.seen.saturating_add(left) > self.limit
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Problem> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| {
                Problem::new(
                    ErrorCode::BadRequest,
                    format!("the body broke off: {error}"),
                )
            })?;
            if let Ok(data) = frame.into_data() {
                self.seen += data.len();
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// A whole body of at most `limit` bytes. One that is larger is refused, never cut.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut pieces = Pieces::up_to(limit, body);
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

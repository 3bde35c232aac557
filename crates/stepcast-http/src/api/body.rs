//! Request bodies, up to a limit.

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use stepcast_protocol::ErrorCode;

use super::problem::Problem;

/// How much of a body that is too large is still read, so that its sender gets to see the answer.
const DRAIN_FACTOR: usize = 8;

/// A body of at most `limit` bytes. One that is larger is refused, never cut.
pub(super) async fn read(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    let mut seen = 0;
    while let Some(chunk) = next(&mut body).await? {
        seen += chunk.len();
        if seen <= limit {
            bytes.extend_from_slice(&chunk);
        } else if seen > limit.saturating_mul(DRAIN_FACTOR) {
            break;
        }
    }
    if seen > limit {
        let sentence = format!("body has more than {limit} bytes, which is the limit");
        return Err(Problem::new(ErrorCode::TooLarge, sentence));
    }
    Ok(bytes.into())
}

/// The body's next piece.
pub(super) async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(
                ErrorCode::BadRequest,
                format!("the body broke off: {error}"),
            )
        })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

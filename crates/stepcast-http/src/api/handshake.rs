//! The WebSocket handshake (RFC 6455, section 4.2). No extension and no subprotocol is agreed on.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};
use stepcast_protocol::ErrorCode;

use super::problem::Problem;

/// What the accepting side adds to the client's key.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request that asks for a WebSocket.
pub(super) struct Handshake {
    accept: HeaderValue,
}

impl Handshake {
    pub(super) fn of(parts: &Parts) -> Result<Self, Problem> {
        let headers = &parts.headers;
        if !names(headers, &header::CONNECTION, "upgrade")
            || !names(headers, &header::UPGRADE, "websocket")
        {
            return Err(bad(
                "this route opens WebSockets; connect with a WebSocket client",
            ));
        }
        if headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            return Err(bad("WebSocket version 13 is needed"));
        }
        let key = headers
            .get(header::SEC_WEBSOCKET_KEY)
            .filter(|key| BASE64_STANDARD.decode(key).is_ok_and(|key| key.len() == 16))
            .ok_or_else(|| bad("Sec-WebSocket-Key is not the base64 of 16 bytes"))?;
        let accept = accept(key.as_bytes());
        Ok(Self { accept })
    }

    /// The answer, once everything is ready for the first frame.
    pub(super) fn accepted(self) -> Response {
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, self.accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}

fn accept(key: &[u8]) -> HeaderValue {
    let digest = Sha1::new().chain_update(key).chain_update(MAGIC).finalize();
    HeaderValue::try_from(BASE64_STANDARD.encode(digest)).expect("base64 can stand in a header")
}

fn names(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(wanted))
}

fn bad(sentence: &str) -> Problem {
    Problem::new(ErrorCode::BadRequest, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, section 1.3.
    #[test]
    fn the_answer_is_that_of_the_standard() {
        assert_eq!(
            accept(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}

//! `GET /stepcast.js`: the client for pages without a build, as one module. It is made from `packages/stepcast` by `npm run bundle`.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

const SCRIPT: &str = include_str!("../../assets/stepcast.js");

/// It is another one when the script is: whoever has it asks whether it is still this one.
static TAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = Sha256::digest(SCRIPT);
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{digits}\"")).expect("digits can stand in a header")
});

pub(super) async fn read(headers: HeaderMap) -> Response {
    let about = [
        (header::ETAG, TAG.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    if has_it(&headers) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (about, kind, SCRIPT).into_response()
}

/// A tag that something in between has made weak stands for the same script.
fn has_it(headers: &HeaderMap) -> bool {
    let Ok(tag) = TAG.to_str() else { return false };
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|value| value.trim().trim_start_matches("W/"))
        .any(|value| value == "*" || value == tag)
}

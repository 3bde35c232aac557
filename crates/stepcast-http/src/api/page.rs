//! `GET /`: a page for people, with apps, functions and runs. It is a few files without secrets; what it shows it asks of the operator
//! routes, with the key that its user gives it.

use axum::{
    Router,
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use stepcast_protocol::{ErrorCode, paths};

use super::problem::{Problem, shown};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the page, with its type.
type File = (&'static str, &'static str, &'static str);

const PAGE: File = ("index.html", HTML, include_str!("page/index.html"));
const FILES: [File; 9] = [
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("page/style.css"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("main.js", SCRIPT, include_str!("page/main.js")),
    ("element.js", SCRIPT, include_str!("page/element.js")),
    ("server.js", SCRIPT, include_str!("page/server.js")),
    ("shown.js", SCRIPT, include_str!("page/shown.js")),
    ("runs.js", SCRIPT, include_str!("page/runs.js")),
    ("run.js", SCRIPT, include_str!("page/run.js")),
    ("apps.js", SCRIPT, include_str!("page/apps.js")),
];

/// Nothing from elsewhere, nothing in line, no text that becomes markup, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

pub(super) fn routes() -> Router {
    Router::new()
        .route(paths::PAGE, get(|| async { answer(PAGE) }))
        .route(paths::PAGE_FILE, get(file))
}

async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = FILES.into_iter().find(|(known, ..)| *known == name);
    found.map(answer).ok_or_else(|| {
        let sentence = format!("the page has no file `{}`", shown(&name));
        Problem::new(ErrorCode::NotFound, sentence)
    })
}

/// Browsers ask again each time, so that a page and its scripts are of one version.
fn answer((_, kind, text): File) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

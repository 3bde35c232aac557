//! Which crate and which module may use which, so that the arrows of `ARCHITECTURE.md` stay as drawn.
//!
//! - [`crates`]: what manifests name.
//! - [`modules`]: what the engine's modules name, and what neither it nor the protocol may.
//! - [`paths`]: the paths that a piece of source names.

mod crates;
mod modules;
mod paths;

use crate::workspace::Workspace;

/// Crates that make a crate know HTTP; the engine and the protocol do not. In manifests `_` is `-`.
const HTTP_CRATES: [&str; 7] = [
    "axum",
    "axum_core",
    "http",
    "http_body",
    "hyper",
    "hyper_util",
    "tower_http",
];

/// The crates that must not know HTTP.
const WITHOUT_HTTP: [&str; 2] = ["stepcast-engine", "stepcast-protocol"];

/// Prints every arrow that points the wrong way, and fails when there is one.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    let mut complaints = crates::complaints(&workspace.crates);
    complaints.extend(modules::complaints(workspace)?);
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => {
            println!("{} crates checked", workspace.crates.len());
            Ok(())
        }
        1 => Err("1 use that is not allowed, printed above".to_owned()),
        more => Err(format!("{more} uses that are not allowed, printed above")),
    }
}

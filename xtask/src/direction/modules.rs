//! The direction between the engine's modules, and what the pure parts must not touch, read from the sources.

use std::path::{Component, Path};

use crate::{sources, workspace::Workspace};

use super::{
    HTTP_CRATES, WITHOUT_HTTP,
    paths::{self, Mention},
};

const ENGINE: &str = "stepcast-engine";

/// Top-level modules of the engine, and those which they must not use.
const MUST_NOT_USE: [(&str, &[&str]); 4] = [
    ("store", &["hub", "runs"]),
    ("hub", &["runs"]),
    ("expression", &["hub", "runs"]),
    ("schedule", &["store", "hub", "runs"]),
];

/// The module whose decisions have no I/O and no clock; `now` is an argument there.
const PURE: [&str; 2] = ["runs", "transition"];

/// Words that bring a clock or an executor into pure code.
const IMPURE_WORDS: [&str; 5] = ["async", "await", "tokio", "SystemTime", "Instant"];

/// What the sources name and may not.
pub(super) fn complaints(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut complaints = Vec::new();
    for name in WITHOUT_HTTP {
        let krate = workspace
            .find(name)
            .ok_or_else(|| format!("the workspace has no crate `{name}`"))?;
        let folder = krate.sources();
        let mut pure_is_there = false;
        for file in sources::list(&folder, &["rs"])? {
            let module = module_of(file.strip_prefix(&folder).unwrap_or(&file));
            let shown = file
                .strip_prefix(&workspace.root)
                .unwrap_or(&file)
                .display();
            let mentions = paths::mentions(&sources::read(&file)?, &module)
                .map_err(|cause| format!("{shown}: {cause}"))?;
            pure_is_there |= is_pure(&module);
            complaints.extend(
                mentions
                    .iter()
                    .filter_map(|mention| Some((mention.line, objection(name, &module, mention)?)))
                    .map(|(line, objection)| format!("{shown}:{line}: {objection}")),
            );
        }
        if name == ENGINE && !pure_is_there {
            println!(
                "note: {ENGINE} has no module `{}` whose purity could be checked",
                PURE.join("::")
            );
        }
    }
    Ok(complaints)
}

/// Why this mention is not allowed there, if it is not.
fn objection(krate: &str, module: &[String], mention: &Mention) -> Option<String> {
    let path = mention.segments.join("::");
    if HTTP_CRATES.iter().any(|name| mention.is_of_crate(name)) {
        return Some(format!("`{path}`: {krate} must not know HTTP"));
    }
    if krate != ENGINE {
        return None;
    }
    let own = module.first()?;
    let (_, forbidden) = MUST_NOT_USE
        .iter()
        .find(|(user, _)| user == own)
        .unwrap_or(&("", &[]));
    if let Some(used) = forbidden.iter().find(|used| mention.enters(used)) {
        return Some(format!("`{path}`: `{own}` must not use `{used}`"));
    }
    (is_pure(module) && is_impure(mention)).then(|| {
        format!(
            "`{path}`: `{}` has no I/O, no clock and no async",
            PURE.join("::")
        )
    })
}

fn is_pure(module: &[String]) -> bool {
    module.len() >= PURE.len() && module.iter().zip(PURE).all(|(one, other)| one == other)
}

fn is_impure(mention: &Mention) -> bool {
    let reads_a_clock =
        mention.segments.len() > 1 && mention.segments.last().is_some_and(|last| last == "now");
    reads_a_clock
        || mention
            .segments
            .iter()
            .any(|segment| IMPURE_WORDS.contains(&segment.as_str()))
}

/// The module that a file below `src` is: `store/mod.rs` is `store`, `lib.rs` is the root.
fn module_of(file: &Path) -> Vec<String> {
    let stem = file.with_extension("");
    let mut module: Vec<String> = stem
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    if module
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        module.pop();
    }
    module
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objections(krate: &str, file: &str, source: &str) -> Vec<String> {
        let module = module_of(Path::new(file));
        let mentions = paths::mentions(source, &module).unwrap();
        mentions
            .iter()
            .filter_map(|mention| objection(krate, &module, mention))
            .collect()
    }

    fn allowed(file: &str, source: &str) {
        assert_eq!(
            objections(ENGINE, file, source),
            Vec::<String>::new(),
            "{file}: {source}"
        );
    }

    fn refused(file: &str, source: &str, reason: &str) {
        assert_eq!(
            objections(ENGINE, file, source),
            [reason],
            "{file}: {source}"
        );
    }

    #[test]
    fn files_are_named_as_modules() {
        assert_eq!(module_of(Path::new("lib.rs")), Vec::<String>::new());
        assert_eq!(module_of(Path::new("store/mod.rs")), ["store"]);
        assert_eq!(
            module_of(Path::new("runs/transition/retry.rs")),
            ["runs", "transition", "retry"]
        );
    }

    #[test]
    fn modules_point_down() {
        allowed("runs/mod.rs", "use crate::{hub::Hub, store::Store};");
        allowed("hub/channel.rs", "use crate::store::Batch;");
        allowed("store/sqlite.rs", "use super::batch::Batch; let hub = 1;");
        allowed("clock.rs", "use crate::runs::Now;");
    }

    #[test]
    fn and_never_up() {
        refused(
            "store/mod.rs",
            "use crate::{clock, hub::Tail};",
            "`crate::hub::Tail`: `store` must not use `hub`",
        );
        refused(
            "store/sqlite.rs",
            "fn f(_: super::super::runs::Run) {}",
            "`crate::runs::Run`: `store` must not use `runs`",
        );
        refused(
            "hub/mod.rs",
            "use crate::runs;",
            "`crate::runs`: `hub` must not use `runs`",
        );
        refused(
            "expression/mod.rs",
            "use crate::runs::Runs;",
            "`crate::runs::Runs`: `expression` must not use `runs`",
        );
    }

    #[test]
    fn transitions_are_pure() {
        allowed(
            "runs/transition.rs",
            "fn apply(state: &State, now: Timestamp) { state.now = now; }",
        );
        allowed(
            "runs/scheduler.rs",
            "async fn f() { tokio::time::Instant::now() }",
        );
        let reason =
            |path| format!("`{path}`: `runs::transition` has no I/O, no clock and no async");
        refused(
            "runs/transition.rs",
            "use tokio::sync::mpsc;",
            &reason("tokio::sync::mpsc"),
        );
        refused(
            "runs/transition.rs",
            "use std::time::{Duration, SystemTime};",
            &reason("std::time::SystemTime"),
        );
        refused("runs/transition.rs", "async fn f() {}", &reason("async"));
        refused(
            "runs/transition/retry.rs",
            "jiff::Timestamp::now()",
            &reason("jiff::Timestamp::now"),
        );
    }

    #[test]
    fn http_stays_out_of_engine_and_protocol() {
        allowed("limits.rs", "let http = 1; crate::http::Form");
        refused(
            "clock.rs",
            "use axum::Router;",
            "`axum::Router`: stepcast-engine must not know HTTP",
        );
        assert_eq!(
            objections("stepcast-protocol", "error.rs", "http::StatusCode::OK").len(),
            1
        );
    }
}

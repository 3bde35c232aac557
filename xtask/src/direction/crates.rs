//! The direction between crates, read from their manifests.

use crate::workspace::{Crate, Purpose};

use super::{HTTP_CRATES, WITHOUT_HTTP};

/// What each published crate's own code may use of the others. Its tests may use more.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("stepcast-protocol", &[]),
    ("stepcast-macros", &[]),
    ("stepcast-engine", &["stepcast-protocol"]),
    ("stepcast-http", &["stepcast-engine", "stepcast-protocol"]),
    (
        "stepcast",
        &[
            "stepcast-http",
            "stepcast-engine",
            "stepcast-protocol",
            "stepcast-macros",
        ],
    ),
    (
        "stepcast-cli",
        &[
            "stepcast",
            "stepcast-http",
            "stepcast-engine",
            "stepcast-protocol",
        ],
    ),
];

/// Crates that may use everything and that nothing may use.
const LEAVES: [&str; 3] = ["stepcast-examples", "stepcast-benches", "xtask"];

/// What the manifests name and may not.
pub(super) fn complaints(crates: &[Crate]) -> Vec<String> {
    crates
        .iter()
        .flat_map(|krate| {
            unruled(krate)
                .into_iter()
                .chain(wrong_dependencies(krate, crates))
        })
        .collect()
}

/// A new crate has to be given its place before it can be checked.
fn unruled(krate: &Crate) -> Option<String> {
    let name = &krate.name;
    (allowed(name).is_none() && !LEAVES.contains(&name.as_str())).then(|| {
        format!(
            "{name}: no rule says what it may use; give it one in xtask/src/direction/crates.rs"
        )
    })
}

fn wrong_dependencies(krate: &Crate, crates: &[Crate]) -> Vec<String> {
    let name = &krate.name;
    let mut complaints = Vec::new();
    for dependency in &krate.dependencies {
        let used = dependency.name.as_str();
        if LEAVES.contains(&used) {
            complaints.push(format!(
                "{name}: depends on `{used}`, which nothing may use"
            ));
        } else if is_http(used) && WITHOUT_HTTP.contains(&name.as_str()) {
            complaints.push(format!(
                "{name}: depends on `{used}`, and it must not know HTTP"
            ));
        } else if dependency.kind != Some(Purpose::Dev)
            && crates.iter().any(|other| other.name == used)
            && allowed(name).is_some_and(|allowed| !allowed.contains(&used))
        {
            complaints.push(format!(
                "{name}: depends on `{used}`, which is not below it"
            ));
        }
    }
    complaints
}

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    MAY_USE
        .iter()
        .find(|(user, _)| *user == name)
        .map(|(_, allowed)| *allowed)
}

fn is_http(dependency: &str) -> bool {
    HTTP_CRATES.contains(&dependency.replace('-', "_").as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn krate(name: &str, dependencies: &[(&str, Option<Purpose>)]) -> Crate {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency {
                name: (*name).to_owned(),
                kind: *kind,
            })
            .collect();
        Crate {
            name: name.to_owned(),
            manifest_path: "Cargo.toml".into(),
            dependencies,
        }
    }

    /// Checks one crate among all that have a rule.
    fn check(name: &str, dependencies: &[(&str, Option<Purpose>)]) -> Vec<String> {
        let others = MAY_USE
            .iter()
            .map(|(name, _)| *name)
            .chain(LEAVES)
            .filter(|other| *other != name);
        let mut crates: Vec<Crate> = others.map(|other| krate(other, &[])).collect();
        crates.push(krate(name, dependencies));
        complaints(&crates)
    }

    #[test]
    fn downward_and_foreign_dependencies_pass() {
        assert!(
            check(
                "stepcast-engine",
                &[("stepcast-protocol", None), ("tokio", None)]
            )
            .is_empty()
        );
        assert!(
            check(
                "stepcast",
                &[("stepcast-macros", None), ("stepcast-http", None)]
            )
            .is_empty()
        );
        assert!(
            check(
                "stepcast-examples",
                &[("stepcast", None), ("stepcast-engine", None)]
            )
            .is_empty()
        );
    }

    #[test]
    fn upward_dependencies_are_named() {
        assert_eq!(
            check("stepcast-engine", &[("stepcast-http", None)]),
            ["stepcast-engine: depends on `stepcast-http`, which is not below it"]
        );
        assert_eq!(
            check(
                "stepcast-protocol",
                &[("stepcast-macros", Some(Purpose::Build))]
            )
            .len(),
            1
        );
    }

    #[test]
    fn tests_may_use_what_is_above() {
        assert!(check("stepcast-macros", &[("stepcast", Some(Purpose::Dev))]).is_empty());
    }

    #[test]
    fn nothing_uses_a_leaf_not_even_in_tests() {
        assert_eq!(
            check("stepcast", &[("stepcast-examples", Some(Purpose::Dev))]).len(),
            1
        );
        assert_eq!(check("stepcast-benches", &[("xtask", None)]).len(), 1);
    }

    #[test]
    fn http_stays_out_of_engine_and_protocol() {
        assert_eq!(
            check("stepcast-protocol", &[("http", None)]),
            ["stepcast-protocol: depends on `http`, and it must not know HTTP"]
        );
        assert_eq!(
            check("stepcast-engine", &[("hyper-util", Some(Purpose::Dev))]).len(),
            1
        );
        assert!(check("stepcast-http", &[("axum", None)]).is_empty());
    }

    #[test]
    fn a_crate_without_a_rule_is_named() {
        let complaints = check("stepcast-new", &[]);
        assert!(
            complaints.len() == 1 && complaints[0].starts_with("stepcast-new: no rule"),
            "{complaints:?}"
        );
    }
}

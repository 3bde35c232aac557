//! The stages of `cargo xtask verify`.

use std::fmt;

use crate::{command::Tool, direction, generated, instructions, tidy, tools, workspace::Workspace};

/// Sets of features that the library has to build with.
const FEATURES: [&str; 3] = ["", "client", "embedded"];

/// One check that can run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Tools,
    Fmt,
    Clippy,
    Docs,
    Direction,
    Tidy,
    Tests,
    Features,
    Generated,
    Instructions,
    Npm,
    E2e,
    Builds,
}

impl Stage {
    /// The stages of a whole run, in its order: what is quick and fails often comes first.
    pub(crate) const ALL: [Self; 12] = [
        Self::Tools,
        Self::Fmt,
        Self::Clippy,
        Self::Docs,
        Self::Direction,
        Self::Tidy,
        Self::Tests,
        Self::Features,
        Self::Generated,
        Self::Instructions,
        Self::Npm,
        Self::E2e,
    ];

    /// What takes long and fails seldom: these run when they are asked for, by name or by `--all`.
    pub(crate) const MORE: [Self; 1] = [Self::Builds];

    /// The stages of these names, or the usual ones when there are none.
    pub(crate) fn select(names: &[&str]) -> Result<Vec<Self>, String> {
        match names {
            [] => Ok(Self::ALL.to_vec()),
            ["--all"] => Ok(Self::known().collect()),
            names => names.iter().map(|name| Self::named(name)).collect(),
        }
    }

    fn known() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().chain(Self::MORE)
    }

    fn named(name: &str) -> Result<Self, String> {
        Self::known()
            .find(|stage| stage.name() == name)
            .ok_or_else(|| {
                let known: Vec<&str> = Self::known().map(Self::name).collect();
                format!(
                    "unknown stage `{name}`; the stages are {}",
                    known.join(", ")
                )
            })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Docs => "docs",
            Self::Direction => "direction",
            Self::Tidy => "tidy",
            Self::Tests => "tests",
            Self::Features => "features",
            Self::Generated => "generated",
            Self::Instructions => "instructions",
            Self::Npm => "npm",
            Self::E2e => "e2e",
            Self::Builds => "builds",
        }
    }

    pub(crate) fn summary(self) -> &'static str {
        match self {
            Self::Tools => "install what the other stages need and is missing",
            Self::Fmt => "formatting",
            Self::Clippy => "lints, on all targets",
            Self::Docs => "documentation builds without a warning",
            Self::Direction => "crates and modules use only what they may",
            Self::Tidy => "no file is too long",
            Self::Tests => "unit, integration and documentation tests",
            Self::Features => {
                "the library with each of its features alone and without any, the binary without any"
            }
            Self::Generated => "the TypeScript of the examples' channels is up to date",
            Self::Instructions => "hot paths execute hardly more instructions than before",
            Self::Npm => "the npm package: types, tests, exports and size",
            Self::E2e => {
                "the examples, the npm package and apps of npm inngest, on a terminal and in a browser"
            }
            Self::Builds => {
                "the packed npm package in build tools and test runners: webpack, Next.js, Jest and others"
            }
        }
    }

    pub(crate) fn run(self, workspace: &Workspace) -> Result<(), String> {
        match self {
            Self::Tools => tools::install_missing(workspace),
            Self::Fmt => cargo(workspace, &["fmt", "--all", "--check"]).run(),
            Self::Clippy => cargo(
                workspace,
                &[
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--all-features",
                    "--",
                    "-D",
                    "warnings",
                ],
            )
            .run(),
            Self::Docs => cargo(
                workspace,
                &["doc", "--workspace", "--all-features", "--no-deps"],
            )
            .env("RUSTDOCFLAGS", "-D warnings")
            .run(),
            Self::Direction => direction::check(workspace),
            Self::Tidy => tidy::check(workspace),
            Self::Tests => {
                cargo(
                    workspace,
                    &["nextest", "run", "--workspace", "--all-features"],
                )
                .run()?;
                cargo(
                    workspace,
                    &["test", "--workspace", "--all-features", "--doc"],
                )
                .run()
            }
            Self::Features => {
                let without = [
                    "clippy",
                    "--package",
                    "stepcast-cli",
                    "--",
                    "-D",
                    "warnings",
                ];
                cargo(workspace, &without).run()?;
                FEATURES
                    .iter()
                    .try_for_each(|features| check_with(workspace, features).run())
            }
            Self::Generated => generated::check(workspace),
            Self::Instructions => instructions::check(workspace),
            Self::Npm => {
                tools::npm_packages(&workspace.package())?;
                Tool::new("npm", &["run", "check"])
                    .within(workspace.package())
                    .run()
            }
            Self::E2e => {
                // With the features that users get.
                let examples = ["build", "--example", "quickstart", "--example", "react"];
                cargo(workspace, &examples).run()?;
                cargo(workspace, &["build", "--package", "stepcast-cli"]).run()?;
                let built = workspace.target.join("debug");
                Tool::new("npm", &["test"])
                    .within(workspace.e2e())
                    .env("STEPCAST_QUICKSTART", built.join("examples/quickstart"))
                    .env("STEPCAST_REACT", built.join("examples/react"))
                    .env("STEPCAST_BINARY", built.join("stepcast"))
                    .run()
            }
            Self::Builds => {
                let builds = workspace.package().join("builds");
                tools::npm_packages(&workspace.package())?;
                tools::npm_packages(&builds)?;
                Tool::new("npm", &["run", "check"]).within(builds).run()
            }
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The library with these features alone; its lints count as errors.
fn check_with(workspace: &Workspace, features: &str) -> Tool {
    let arguments = [
        "clippy",
        "--package",
        "stepcast",
        "--no-default-features",
        "--features",
        features,
        "--",
        "-D",
        "warnings",
    ];
    cargo(workspace, &arguments)
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Tool {
    Tool::new("cargo", arguments).within(workspace.root.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_every_stage() {
        assert_eq!(Stage::select(&[]), Ok(Stage::ALL.to_vec()));
    }

    #[test]
    fn what_takes_long_is_run_when_it_is_asked_for() {
        assert!(!Stage::ALL.contains(&Stage::Builds));
        let all = Stage::select(&["--all"]).unwrap();
        assert_eq!(all, [&Stage::ALL[..], &Stage::MORE].concat());
        assert_eq!(Stage::select(&["builds"]), Ok(vec![Stage::Builds]));
    }

    #[test]
    fn names_are_run_in_the_order_given() {
        assert_eq!(
            Stage::select(&["tidy", "fmt"]),
            Ok(vec![Stage::Tidy, Stage::Fmt])
        );
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let refusal = Stage::select(&["fnt"]).unwrap_err();
        assert!(
            refusal.contains("`fnt`")
                && refusal.contains("fmt, clippy")
                && refusal.contains("builds"),
            "{refusal}"
        );
    }
}

//! What cargo says about the repository.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::command::Tool;

/// The repository: where it is, where it builds, and its crates.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    #[serde(rename = "packages")]
    pub(crate) crates: Vec<Crate>,
}

/// One crate of the workspace, with what its manifest names.
#[derive(Debug, Deserialize)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependencies.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal dependency.
    pub(crate) kind: Option<Purpose>,
}

/// Why a dependency is there, when it is not for the crate's own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Purpose {
    Dev,
    Build,
}

impl Workspace {
    /// Asks cargo; no dependency is resolved, so it works without a network.
    pub(crate) fn read() -> Result<Self, String> {
        let text =
            Tool::new("cargo", &["metadata", "--no-deps", "--format-version", "1"]).output()?;
        serde_json::from_str(&text)
            .map_err(|error| format!("cannot read what `cargo metadata` printed: {error}"))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Crate> {
        self.crates.iter().find(|krate| krate.name == name)
    }

    /// The npm package for browsers and Node.
    pub(crate) fn package(&self) -> PathBuf {
        self.root.join("packages/stepcast")
    }

    /// The npm project with the browser and npm-client tests.
    pub(crate) fn e2e(&self) -> PathBuf {
        self.root.join("e2e")
    }
}

impl Crate {
    /// Its `src` folder.
    pub(crate) fn sources(&self) -> PathBuf {
        self.manifest_path
            .parent()
            .unwrap_or_else(|| Path::new("."))
            .join("src")
    }
}

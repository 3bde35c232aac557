//! Generated files that are committed: what an example's manifest gives must be what is there.

use std::fs;

use crate::{command::Tool, workspace::Workspace};

/// Examples, and the TypeScript of their channels.
const FILES: [(&str, &str); 2] = [
    ("quickstart", "examples/quickstart/channels.ts"),
    ("import", "examples/import/channels.ts"),
];

/// Builds the examples and the generator, and fails when a file is stale.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    let cargo = |arguments: &[&str]| Tool::new("cargo", arguments).within(workspace.root.clone());
    let mut examples = vec!["build", "--package", "stepcast-examples"];
    examples.extend(
        FILES
            .iter()
            .flat_map(|(example, _)| ["--example", *example]),
    );
    cargo(&examples).run()?;
    cargo(&["build", "--package", "stepcast-cli"]).run()?;
    let built = workspace.target.join("debug");
    let generator = built.join("stepcast").display().to_string();
    for (example, file) in FILES {
        let program = built.join("examples").join(example).display().to_string();
        let manifest = Tool::new(&program, &["--manifest"]).output()?;
        let from = workspace.target.join(format!("{example}.manifest.json"));
        fs::write(&from, manifest)
            .map_err(|error| format!("cannot write `{}`: {error}", from.display()))?;
        let from = from.display().to_string();
        let check = ["gen", "ts", "--from", &from, "--out", file, "--check"];
        Tool::new(&generator, &check)
            .within(workspace.root.clone())
            .run()?;
    }
    Ok(())
}

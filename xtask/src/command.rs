//! Running a program in the foreground, with its own output.

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A program with its arguments, not yet started.
#[must_use]
pub(crate) struct Tool {
    command: Command,
    line: String,
}

impl Tool {
    pub(crate) fn new(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        let line = std::iter::once(&program)
            .chain(arguments)
            .copied()
            .collect::<Vec<_>>()
            .join(" ");
        Self { command, line }
    }

    pub(crate) fn within(mut self, folder: PathBuf) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref();
        self.line = format!("{name}='{}' {}", value.display(), self.line);
        self.command.env(name, value);
        self
    }

    /// Runs it with its output on this terminal; anything but success is an error.
    pub(crate) fn run(mut self) -> Result<(), String> {
        println!("$ {}", self.line);
        let status = self
            .command
            .status()
            .map_err(|error| format!("cannot start `{}`: {error}", self.line))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("`{}` ended with {status}", self.line))
        }
    }

    /// What it prints, without showing it.
    pub(crate) fn output(mut self) -> Result<String, String> {
        let output = self
            .command
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| format!("cannot start `{}`: {error}", self.line))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "`{}` ended with {}: {}",
                self.line,
                output.status,
                said.trim()
            ));
        }
        String::from_utf8(output.stdout)
            .map_err(|error| format!("`{}` did not print UTF-8: {error}", self.line))
    }
}

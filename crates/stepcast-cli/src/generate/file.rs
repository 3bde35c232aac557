//! The generated file.

use std::{fs, io, path::PathBuf};

use super::source::Source;
use crate::exit::Failure;

/// Where generated text goes, or has gone.
pub(super) struct Target(PathBuf);

impl Target {
    pub(super) fn new(file: PathBuf) -> Self {
        Self(file)
    }

    pub(super) fn shown(&self) -> String {
        self.0.display().to_string()
    }

    /// Writes the text, unless the file has it; says whether it did.
    pub(super) fn write(&self, text: &str) -> Result<bool, Failure> {
        if self.holds(text)? {
            return Ok(false);
        }
        fs::write(&self.0, text).map_err(|error| {
            let file = self.0.display();
            Failure::failed(format!(
                "`{file}` cannot be written: {error}; its folder has to be there"
            ))
        })?;
        Ok(true)
    }

    /// Fails when the file is not what would be written.
    pub(super) fn check(&self, text: &str, from: &Source) -> Result<(), Failure> {
        if self.holds(text)? {
            return Ok(());
        }
        let file = self.0.display();
        Err(Failure::failed(format!(
            "`{file}` is stale: the app's channels have changed; run `stepcast gen ts --from {from} --out {file}` and commit what it writes"
        )))
    }

    /// Line ends are those of whoever has checked the file out.
    fn holds(&self, text: &str) -> Result<bool, Failure> {
        match fs::read_to_string(&self.0) {
            Ok(held) => Ok(held.replace("\r\n", "\n") == text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => {
                let file = self.0.display();
                Err(Failure::failed(format!("`{file}` cannot be read: {error}")))
            }
        }
    }
}

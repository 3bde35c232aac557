//! The files people wrote, as opposed to those that tools did.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Folders that tools fill.
const GENERATED: [&str; 5] = ["target", "node_modules", "dist", "generated", "artifacts"];

/// Every file below `folder` with one of these extensions, sorted, without generated and hidden folders.
pub(crate) fn list(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    collect(folder, extensions, &mut files)
        .map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    files.sort();
    Ok(files)
}

pub(crate) fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

fn collect(folder: &Path, extensions: &[&str], files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && !GENERATED.contains(&name.as_ref()) {
                collect(&path, extensions, files)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
        {
            files.push(path);
        }
    }
    Ok(())
}

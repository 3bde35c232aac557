//! TypeScript of a manifest. Pure: the same manifest gives the same text.
//!
//! - [`schema`] reads a JSON Schema as a [`types::Type`], and refuses what has none.
//! - [`names`]: what things are called; [`text`]: how types and comments are written.
//! - [`module`]: all channels and types of one file, and whether their names are distinct.
//! - [`problem`]: why nothing can be written.

mod module;
mod names;
mod problem;
mod schema;
#[cfg(test)]
mod tests;
mod text;
mod types;

use stepcast_protocol::Manifest;

use self::{module::Module, problem::Problem};

/// A file's text, and what its reader may want to know.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) text: String,
    pub(super) warnings: Vec<String>,
}

/// The channels of an app and the types of their payloads.
pub(super) fn write(manifest: &Manifest) -> Result<Code, Problem> {
    let mut module = Module::default();
    for channel in &manifest.channels {
        module.add(channel)?;
    }
    Ok(module.finish())
}

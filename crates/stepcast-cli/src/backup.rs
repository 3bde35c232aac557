//! `stepcast backup`: a copy of a database, while its server goes on.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use stepcast_engine::store::sqlite::back_up;

use crate::{exit::Failure, output::Output};

/// Copy the database of a server on this machine into a new file, while it serves or not
///
/// The copy is one moment of the database, whatever is written meanwhile, and is a database like the other: give it to a server as its --db.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The new file
    #[arg(value_name = "FILE")]
    to: PathBuf,
    /// The server's database
    #[arg(
        long,
        value_name = "FILE",
        env = "STEPCAST_DB",
        hide_env_values = true,
        default_value = "stepcast.db"
    )]
    db: PathBuf,
}

impl Backup {
    pub(crate) fn run(self, output: Output) -> Result<(), Failure> {
        let Self { to, db } = self;
        back_up(&db, &to).map_err(Failure::failed)?;
        let bytes = std::fs::metadata(&to).map_or(0, |file| file.len());
        let (db, to) = (db.display(), to.display());
        let fact = json!({ "database": db.to_string(), "backup": to.to_string(), "bytes": bytes });
        output.fact(&fact, format_args!("copied {db} into {to}, {bytes} bytes"))
    }
}

//! Without a page: one run, its messages as JSON lines, its final status.

use std::io::Write;

use serde::Serialize;
use serde_json::value::RawValue;
use stepcast::{Message, prelude::*};

use crate::generate::{Generate, Pipeline};

/// One message, as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    data: Box<RawValue>,
    offset: u64,
}

pub(crate) async fn run(stepcast: &Stepcast) -> Result<(), Error> {
    let mut out = std::io::stdout();
    let job = new_job();
    let pipeline = Pipeline::at(&job);
    // Opened before the run begins, so that every message comes by itself.
    let updates = stepcast.subscribe(&pipeline).opened().await?;
    let run = stepcast.send(Generate { job }).await?.run().await?;
    let mut updates = updates.until_run_ends(run);
    while let Some(update) = updates.try_next().await? {
        match update {
            Update::Message(Message {
                data,
                topic,
                cursor,
                ..
            }) => {
                let line = Line {
                    topic: &topic,
                    data: serde_json::from_slice(&data.encode()?)?,
                    offset: cursor.offset.0,
                };
                writeln!(out, "{}", serde_json::to_string(&line)?)?;
            }
            Update::Run(run) => writeln!(out, "{}", run.status)?,
            _ => {}
        }
    }
    Ok(())
}

/// A name that no earlier start has used: the process's id and the time.
pub(crate) fn new_job() -> String {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}-{}", std::process::id(), since_1970.as_nanos())
}

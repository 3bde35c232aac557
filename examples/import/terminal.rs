//! What is shown: progress on stderr while it goes, the outcome on stdout.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where the example talks to its terminal"
)]

use std::{io::IsTerminal, time::SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use stepcast::{Message, RunStatus, RunView, Subscription, Timestamp, prelude::*};

use crate::{
    function::{Feed, Import, Totals},
    source::counted,
};

/// A line beside the data.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

pub(crate) fn complain(error: &Error) {
    eprintln!("error: {}", error.message());
}

/// Follows one import.
pub(crate) struct Terminal<'a> {
    import: &'a Import,
    display: Display,
    since: Timestamp,
}

/// One message, as `--json` prints it.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    data: Box<RawValue>,
    offset: u64,
}

enum Display {
    Bar(ProgressBar),
    Lines,
    Json,
}

impl<'a> Terminal<'a> {
    pub(crate) fn new(import: &'a Import, json: bool) -> Self {
        let display = if json {
            Display::Json
        } else if std::io::stderr().is_terminal() {
            Display::Bar(bar(import.source.rows))
        } else {
            Display::Lines
        };
        Self {
            import,
            display,
            since: SystemTime::now().into(),
        }
    }

    /// Shows updates until the run has ended.
    pub(crate) async fn show(self, mut updates: Subscription<Feed>) -> Result<(), Error> {
        while let Some(update) = updates.try_next().await? {
            match update {
                Update::Message(message) => self.message(message)?,
                // What an earlier start has come to.
                Update::Snapshot(snapshot) => {
                    for message in snapshot.pieces {
                        self.message(message)?;
                    }
                }
                Update::Run(run) => return self.end(&run),
                _ => {}
            }
        }
        Err(Error::msg("the channel ended before the run"))
    }

    fn message(&self, message: Message<Feed>) -> Result<(), Error> {
        let is_news = message.created_at >= self.since;
        match (&self.display, &message.data) {
            (Display::Json, data) => {
                let line = Line {
                    topic: &message.topic,
                    data: serde_json::from_slice(&data.encode()?)?,
                    offset: message.cursor.offset.0,
                };
                println!("{}", serde_json::to_string(&line)?);
            }
            (Display::Bar(bar), Feed::Progress { rows, bad, .. }) => {
                bar.set_position(*rows);
                bar.set_message(format!("{bad} bad"));
            }
            // What was told before this start is on the channel still; lines of it would be lines again.
            (Display::Lines, Feed::Progress { rows, total, bad }) if is_news => {
                eprintln!("{rows} of {}, {bad} bad", counted(*total, "row"));
            }
            (Display::Bar(_) | Display::Lines, _) => {}
        }
        Ok(())
    }

    fn end(&self, run: &RunView) -> Result<(), Error> {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
        if let Display::Json = self.display {
            println!("{}", json!({ "run_id": run.run_id, "status": run.status }));
        }
        let out = self.import.out.display();
        match (run.status, &run.error) {
            (RunStatus::Completed, _) => {
                let output = run.output.as_ref().map_or("null", |output| output.get());
                self.totals(&serde_json::from_str(output)?);
                Ok(())
            }
            (status, error) => {
                let cause = error.as_ref().map_or("", |error| error.message.as_str());
                Err(Error::msg(format!(
                    "the import {status}: {cause}; delete `{out}` to import anew (run {})",
                    run.run_id
                )))
            }
        }
    }

    fn totals(&self, totals: &Totals) {
        let (file, out) = (self.import.source.file.display(), self.import.out.display());
        let Totals {
            rows,
            imported,
            bad,
            first_bad,
        } = totals;
        let print = |line: String| match self.display {
            Display::Json => eprintln!("{line}"),
            Display::Bar(_) | Display::Lines => println!("{line}"),
        };
        print(format!(
            "{file}: {imported} of {} imported into {out}, {bad} bad",
            counted(*rows, "row")
        ));
        for bad in first_bad {
            print(format!("  line {}: {}", bad.line, bad.reason));
        }
        let unnamed = *bad - first_bad.len() as u64;
        if unnamed > 0 {
            print(format!("  and {unnamed} more; --json prints all of them"));
        }
    }
}

fn bar(rows: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} rows, {msg}")
        .expect("the template is well formed");
    let bar = ProgressBar::with_draw_target(Some(rows), ProgressDrawTarget::stderr());
    bar.with_style(style)
}

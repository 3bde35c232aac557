//! `stepcast runs`: lists runs, or shows one.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use stepcast::{Client, RunId, RunStatus, RunView};
use stepcast_protocol::limits;

use crate::{exit::Failure, output::Output, target::Target};

/// Runs that are looked at for those of a status.
const LOOKED_AT: usize = 10_000;

/// List runs, newest first, or show one with its result
#[derive(Debug, Args)]
pub(crate) struct Runs {
    /// Show this run only, with its result or error
    id: Option<RunId>,
    /// How many runs at most
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "id")]
    limit: u32,
    /// Only runs of this status, among the newest 10,000
    #[arg(long, conflicts_with = "id")]
    status: Option<Status>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    fn is_of(self, run: &RunView) -> bool {
        run.status
            == match self {
                Self::Queued => RunStatus::Queued,
                Self::Running => RunStatus::Running,
                Self::Completed => RunStatus::Completed,
                Self::Failed => RunStatus::Failed,
                Self::Cancelled => RunStatus::Cancelled,
            }
    }
}

impl Runs {
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self {
            id,
            limit,
            status,
            target,
        } = self;
        let client = target.client()?;
        if let Some(id) = id {
            let run = client.run(id).view().await?;
            return output.fact(&run, details(&run));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut pages = Pages::new(client);
        let mut shown = 0;
        while let Some(run) = pages.next().await? {
            if status.is_some_and(|status| !status.is_of(&run)) {
                continue;
            }
            if shown == 0 {
                output.note(HEADING);
            }
            output.fact(&run, line(&run))?;
            shown += 1;
            if shown == limit {
                return Ok(());
            }
        }
        if shown == 0 {
            output.note("no runs");
        }
        Ok(())
    }
}

/// The newest runs, one after the other.
struct Pages {
    client: Client,
    page: std::vec::IntoIter<RunView>,
    last: Option<RunId>,
    seen: usize,
}

impl Pages {
    fn new(client: Client) -> Self {
        Self {
            client,
            page: Vec::new().into_iter(),
            last: None,
            seen: 0,
        }
    }

    async fn next(&mut self) -> Result<Option<RunView>, Failure> {
        if self.seen == LOOKED_AT {
            return Ok(None);
        }
        if self.page.len() == 0 {
            let list = self.client.list_runs().limit(limits::RUNS_ON_PAGE_MAX);
            let list = match self.last {
                Some(last) => list.before(last),
                None => list,
            };
            self.page = list.await?.into_iter();
        }
        let next = self.page.next();
        if let Some(run) = &next {
            self.last = Some(run.run_id);
            self.seen += 1;
        }
        Ok(next)
    }
}

const HEADING: &str = "RUN                         STATUS     CREATED                   FUNCTION";

fn line(run: &RunView) -> String {
    let mut line = format!(
        "{:<26}  {:<9}  {:<24}  {}",
        run.run_id.to_string(),
        run.status.as_str(),
        run.created_at,
        run.function_id
    );
    if !run.ignored.is_empty() {
        write!(line, "  (without {})", run.ignored.join(", ")).expect("a string takes everything");
    }
    line
}

fn details(run: &RunView) -> String {
    let mut text = String::new();
    let mut say = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "{name:<9} {value}").expect("a string takes everything");
    };
    say("run", &run.run_id);
    say("function", &run.function_id);
    if !run.ignored.is_empty() {
        let ignored = run.ignored.join(", ");
        say(
            "without",
            &format_args!("{ignored}, which the function asks for and which is not done yet"),
        );
    }
    say("event", &run.event_id);
    say("status", &run.status);
    say("attempt", &run.attempt);
    say("created", &run.created_at);
    if let Some(started) = &run.run_started_at {
        say("started", started);
    }
    if let Some(ended) = &run.ended_at {
        say("ended", ended);
    }
    if let Some(output) = &run.output {
        say("result", output);
    }
    if let Some(error) = &run.error {
        say("error", error);
        for cause in &error.causes {
            say("", &format_args!("caused by: {cause}"));
        }
    }
    text.truncate(text.trim_end().len());
    text
}

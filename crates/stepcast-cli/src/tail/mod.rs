//! `stepcast tail`: follows a channel.
//!
//! [`shown`] is how each update looks.

mod shown;

use std::time::Duration;

use clap::Args;
use stepcast::{Client, JsonChannel, Position, RunId, RunStatus, Update};
use tokio::time::sleep;

use self::shown::Shown;
use crate::{exit::Failure, output::Output, target::Target};

/// How often a channel that nobody has written yet is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Follow a channel: what is kept of it, then what comes
///
/// Goes on after broken connections and restarts of the server where it was, and says what was taken back and what is gone.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// The channel's name, e.g. pipeline:j1; a run's id for its topics $run and $step
    channel: String,
    /// The topics; those that the server knows of the channel when it begins, when none is named
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// Where to begin: start, now, last:N (1 to 1000 messages), or after a cursor that was printed
    #[arg(long, value_name = "POSITION", default_value = "start")]
    from: Position,
    /// Stop after the last message of this run; ends with code 4 when it has failed or was cancelled
    #[arg(long, value_name = "RUN")]
    until_run_ends: Option<RunId>,
    #[command(flatten)]
    target: Target,
}

impl Tail {
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self {
            channel,
            topics,
            from,
            until_run_ends,
            target,
        } = self;
        let client = target.client()?;
        let named = client.json_channel(&channel);
        let (topics, from) = if topics.is_empty() {
            known(&named, &channel, from, output).await?
        } else {
            (topics, from)
        };
        follow(&client, &named, &topics, from, until_run_ends, output).await
    }
}

/// The topics that there are, once there are some. Whoever has waited for the first message wants to see it.
async fn known(
    channel: &JsonChannel,
    name: &str,
    from: Position,
    output: Output,
) -> Result<(Vec<String>, Position), Failure> {
    let mut has_waited = false;
    loop {
        let topics = channel.topics().await?;
        if !topics.is_empty() {
            let topics: Vec<_> = topics.iter().map(ToString::to_string).collect();
            output.note(format_args!("reading {} of `{name}`", topics.join(", ")));
            let from = if has_waited { Position::Start } else { from };
            return Ok((topics, from));
        }
        if !has_waited {
            output.note(format_args!(
                "nothing is known of channel `{name}` yet; waiting for its first message"
            ));
        }
        has_waited = true;
        sleep(LOOK_AGAIN).await;
    }
}

async fn follow(
    client: &Client,
    channel: &JsonChannel,
    topics: &[String],
    from: Position,
    until: Option<RunId>,
    output: Output,
) -> Result<(), Failure> {
    let updates = channel.subscribe(topics).from(from);
    let mut updates = match until {
        Some(run) => updates.until_run_ends(client.run(run)),
        None => updates,
    };
    let mut end = None;
    while let Some(update) = updates.try_next().await? {
        if let Update::Run(run) = &update {
            end = Some((run.run_id, run.status));
        }
        let Some(shown) = Shown::of(&update) else {
            continue;
        };
        output.fact(&shown, &shown)?;
    }
    match end {
        Some((run, status @ (RunStatus::Failed | RunStatus::Cancelled))) => {
            Err(Failure::Run(format!("{run} {status}")))
        }
        Some((_, RunStatus::Completed | RunStatus::Queued | RunStatus::Running)) | None => Ok(()),
    }
}

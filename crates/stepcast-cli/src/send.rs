//! `stepcast send`: sends an event.

use clap::Args;
use serde::Serialize;
use stepcast::{EventId, RunId};
use stepcast_protocol::limits;

use crate::{data, exit::Failure, output::Output, target::Target};

/// Send an event; says which runs it has started
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The event's name, e.g. app/generate
    name: String,
    /// Its data, one JSON object; `-` reads it from the standard input [default: {}]
    #[arg(allow_hyphen_values = true)]
    data: Option<String>,
    /// A key under which the same event starts each function once within 24 h
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Sent {
    event_id: EventId,
    runs: Vec<RunId>,
}

impl Send {
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self {
            name,
            data,
            idempotency_key,
            target,
        } = self;
        let data = data::read(data.as_deref(), "{}", limits::EVENT_BYTES)?;
        let send = target.client()?.send_json(&name, &data);
        let send = match idempotency_key {
            Some(key) => send.idempotency_key(key),
            None => send,
        };
        let accepted = send.await?;
        let sent = Sent {
            event_id: accepted.event_id(),
            runs: accepted.runs().iter().map(|run| run.id()).collect(),
        };
        output.fact(&sent, text(&sent))
    }
}

fn text(Sent { event_id, runs }: &Sent) -> String {
    let runs = match runs.as_slice() {
        [] => "no run: no function is triggered by it".to_owned(),
        runs => runs
            .iter()
            .map(|run| format!("run {run}"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    format!("event {event_id} started {runs}")
}

//! `stepcast publish`: publishes a message.

use clap::Args;
use serde_json::json;
use stepcast_protocol::limits;

use crate::{data, exit::Failure, output::Output, target::Target};

/// Publish a message; says where in the channel it is
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The channel's name, e.g. pipeline:j1
    channel: String,
    /// The topic
    topic: String,
    /// The payload, any JSON; `-` reads it from the standard input [default: null]
    #[arg(allow_hyphen_values = true)]
    data: Option<String>,
    /// Wait for the commit: no crash takes the message back
    #[arg(long)]
    durable: bool,
    /// A key under which the channel takes one message within 24 h; waits for the commit
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Publish {
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self {
            channel,
            topic,
            data,
            durable,
            idempotency_key,
            target,
        } = self;
        let data = data::read(data.as_deref(), "null", limits::MESSAGE_BYTES)?;
        let publish = target
            .client()?
            .json_channel(&channel)
            .publish(&topic, &data);
        let publish = if durable { publish.durable() } else { publish };
        let publish = match idempotency_key {
            Some(key) => publish.idempotency_key(key),
            None => publish,
        };
        let cursor = publish.await?;
        let fact = json!({ "channel": channel, "topic": topic, "cursor": cursor });
        output.fact(&fact, cursor)
    }
}

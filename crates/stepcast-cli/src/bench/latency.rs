//! `stepcast bench latency`: one reader, one message at a time.

use clap::Args;
use serde_json::json;

use super::{
    Measure,
    broadcast::{Broadcast, Counted, Pace},
    load::{Payload, TimeBound, count},
    report::Report,
    subject::Subject,
};
use crate::exit::Failure;

/// One reader and one message at a time: from the publish over HTTP to its arrival on a WebSocket
#[derive(Debug, Args)]
pub(super) struct Latency {
    /// Messages at most
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    #[command(flatten)]
    payload: Payload,
    #[command(flatten)]
    time: TimeBound,
}

impl Measure for Latency {
    fn measure(self, subject: &Subject) -> Result<Report, Failure> {
        let Self {
            messages,
            payload,
            time,
        } = self;
        let load = json!({ "bytes": payload.bytes() });
        let broadcast = Broadcast {
            counted: Counted::Publishes,
            channels: 1,
            readers: 1,
            stalled: 0,
            burst: 1,
            pace: Pace::Delivered,
            messages: count(messages),
            bytes: payload.bytes(),
        };
        broadcast.measure("latency", load, &time, subject)
    }
}

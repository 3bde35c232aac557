//! `stepcast bench channels`: many channels with few readers each.

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

/// Many channels with few readers each: CPU time of a publish and its delivery, where nothing is shared
#[derive(Debug, Args)]
pub(super) struct Channels {
    /// Channels
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    channels: u32,
    /// Readers of each
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    readers: u32,
    /// Messages at most, one channel after the other
    #[arg(long, value_name = "COUNT", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// Messages that are published back to back, each to another channel; the next ones when all are delivered
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    burst: u32,
    #[command(flatten)]
    payload: Payload,
    #[command(flatten)]
    time: TimeBound,
}

impl Measure for Channels {
    fn measure(self, subject: &Subject) -> Result<Report, Failure> {
        let Self {
            channels,
            readers,
            messages,
            burst,
            payload,
            time,
        } = self;
        let load = json!({ "channels": channels, "readers": readers, "burst": burst, "bytes": payload.bytes() });
        let broadcast = Broadcast {
            counted: Counted::Publishes,
            channels: count(channels),
            readers: count(readers),
            stalled: 0,
            burst: count(burst),
            pace: Pace::Delivered,
            messages: count(messages),
            bytes: payload.bytes(),
        };
        broadcast.measure("channels", load, &time, subject)
    }
}

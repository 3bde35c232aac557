//! `stepcast bench fanout`: one channel, many readers.

use clap::Args;
use serde_json::json;

use super::{
    Measure,
    broadcast::{Broadcast, Pace},
    load::{Payload, TimeBound, count},
    report::Report,
    subject::Subject,
};
use crate::exit::Failure;

/// One channel and many readers: CPU time per delivery, and how soon all have a message
#[derive(Debug, Args)]
pub(super) struct Fanout {
    /// Readers
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    readers: u32,
    /// Messages at most
    #[arg(long, value_name = "COUNT", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// Messages that are published back to back
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    burst: u32,
    /// Deliveries per second over all readers; 0 publishes the next burst when all readers have the one before
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    rate: u32,
    #[command(flatten)]
    payload: Payload,
    #[command(flatten)]
    time: TimeBound,
}

impl Measure for Fanout {
    fn measure(self, subject: &Subject) -> Result<Report, Failure> {
        let Self {
            readers,
            messages,
            burst,
            rate,
            payload,
            time,
        } = self;
        let pace = match rate {
            0 => Pace::Delivered,
            rate => Pace::PerSecond((rate / readers).max(1)),
        };
        let load =
            json!({ "readers": readers, "burst": burst, "rate": rate, "bytes": payload.bytes() });
        let broadcast = Broadcast {
            channels: 1,
            readers: count(readers),
            stalled: 0,
            burst: count(burst),
            pace,
            messages: count(messages),
            bytes: payload.bytes(),
        };
        broadcast.measure("fanout", load, &time, subject)
    }
}

//! `stepcast bench slow-reader`: a burst to many readers, of whom some do not read.

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

/// A burst to many readers while one does not read: what that does to the others and to memory, and whether it gets the rest later
///
/// Times are those of the others. Once everything is published the one reads on: it gets what is kept and is told of the rest, or was closed
/// because its socket took nothing for too long. A server waits half a minute each for it to read, and to read that it is closed; so
/// publishing should take less than a minute.
#[derive(Debug, Args)]
pub(super) struct SlowReader {
    /// Readers that read
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    readers: u32,
    /// Readers beside them that do not
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    stalled: u32,
    /// Messages at most
    #[arg(long, value_name = "COUNT", default_value_t = 12_000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// Messages per second; 0 publishes as fast as they are accepted
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    rate: u32,
    #[command(flatten)]
    payload: Payload,
    #[command(flatten)]
    time: TimeBound,
}

/// Messages in one write, when nothing holds them back.
const BURST: usize = 16;

impl Measure for SlowReader {
    fn measure(self, subject: &Subject) -> Result<Report, Failure> {
        let Self {
            readers,
            stalled,
            messages,
            rate,
            payload,
            time,
        } = self;
        let (pace, burst) = match rate {
            0 => (Pace::Accepted, BURST),
            rate => (Pace::PerSecond(f64::from(rate)), 1),
        };
        let load = json!({ "readers": readers, "stalled": stalled, "rate": rate, "bytes": payload.bytes() });
        let broadcast = Broadcast {
            counted: Counted::Deliveries,
            channels: 1,
            readers: count(readers),
            stalled: count(stalled),
            burst,
            pace,
            messages: count(messages),
            bytes: payload.bytes(),
        };
        broadcast.measure("slow-reader", load, &time, subject)
    }
}

//! `stepcast bench fanout`: one channel, many readers.

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
    /// Deliveries per second over all readers, whether or not the server keeps up; times then count from when a message is due; 0 publishes the next burst when all readers have the one before
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
        let load =
            json!({ "readers": readers, "burst": burst, "rate": rate, "bytes": payload.bytes() });
        let broadcast = Broadcast {
            counted: Counted::Deliveries,
            channels: 1,
            readers: count(readers),
            stalled: 0,
            burst: count(burst),
            pace: pace(rate, readers),
            messages: count(messages),
            bytes: payload.bytes(),
        };
        broadcast.measure("fanout", load, &time, subject)
    }
}

/// So many deliveries per second are fewer messages, maybe less than one.
fn pace(rate: u32, readers: u32) -> Pace {
    match rate {
        0 => Pace::Delivered,
        rate => Pace::PerSecond(f64::from(rate) / f64::from(readers)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_deliveries() {
        for (rate, readers, expected) in [
            (0, 1_000, Pace::Delivered),
            (20_000, 5_000, Pace::PerSecond(4.0)),
            (1_000, 5_000, Pace::PerSecond(0.2)),
            (7, 2, Pace::PerSecond(3.5)),
        ] {
            assert_eq!(pace(rate, readers), expected, "{rate} of {readers}");
        }
    }
}

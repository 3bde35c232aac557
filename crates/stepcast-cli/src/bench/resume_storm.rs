//! `stepcast bench resume-storm`: everybody comes back at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::json;
use serde_json::value::RawValue;

use super::{
    Measure,
    crowd::{Crowd, First, ON_ITS_WAY, Reading},
    frame::Mark,
    load::{Payload, TimeBound, count},
    publisher::{OpenLoop, Promise, Publisher, publish_last},
    report::Report,
    subject::{Meter, Subject, TOPIC},
};
use crate::exit::Failure;

/// Everybody comes back at once, behind, while messages flow: how long until all are where their channels are
///
/// Half of what each channel has got is missing to its readers, who resume from a cursor. Publishing goes on until they have caught up, at its
/// rate and whether or not the server keeps up. The CPU time is that of everything: handshakes, publishes and deliveries.
#[derive(Debug, Args)]
pub(super) struct ResumeStorm {
    /// Channels
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    channels: u32,
    /// Readers, spread over the channels
    #[arg(long, value_name = "COUNT", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    readers: u32,
    /// Messages that each reader is behind
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=4_000))]
    behind: u32,
    /// Messages per second over all channels, while they come
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    #[command(flatten)]
    payload: Payload,
    #[command(flatten)]
    time: TimeBound,
}

/// How often messages are published while readers come.
const TICK: Duration = Duration::from_millis(10);
/// Messages of one write at most.
const BURST: u64 = 256;

/// A channel that its readers have left.
struct Left {
    channel: String,
    target: Arc<str>,
}

impl Measure for ResumeStorm {
    fn measure(self, subject: &Subject) -> Result<Report, Failure> {
        let behind = u64::from(self.behind);
        let left = self.prepare(subject)?;
        let readings = (0..count(self.readers)).map(|reader| {
            let channel = reader % left.len();
            Reading {
                target: Arc::clone(&left[channel].target),
                channel,
                first: First::Is(behind + 1),
                caught_up: 2 * behind,
                is_stalled: false,
            }
        });
        let readings: Vec<_> = readings.collect();
        let readers = readings.len();
        let channels: Vec<_> = left.into_iter().map(|left| left.channel).collect();
        let before = subject.resident();
        let (meter, deadline) = (Meter::start(subject), self.time.deadline());
        let begin = Instant::now();
        let crowd = Crowd::start(&subject.door(), begin, readings)?;
        let is_over = AtomicBool::new(false);
        let (caught_up, last) = thread::scope(|scope| {
            let publishing = scope.spawn(|| self.flow(subject, &channels, &is_over));
            let patience = deadline.saturating_duration_since(Instant::now());
            let caught_up = crowd.wait_for(patience, |sums| sums.caught_up == readers);
            is_over.store(true, Ordering::Release);
            let last = publishing.join();
            let last = last.unwrap_or_else(|_| Err(Failure::failed("the publisher has panicked")));
            (caught_up, last)
        });
        let (caught_up, mut last) = (caught_up?, last?);
        if !caught_up {
            let so_far = crowd.sums();
            return Err(Failure::failed(format!(
                "{} of {readers} readers have caught up within --time; {} are connected",
                so_far.caught_up, so_far.connected
            )));
        }
        let each = |reader: usize| last[reader % last.len()] - behind;
        let wanted: u64 = (0..readers).map(each).sum();
        // What does not come counts as lost.
        let _ = crowd.wait_for(ON_ITS_WAY, |sums| sums.delivered >= wanted)?;
        let spent = meter.read(subject);
        let deliveries = crowd.sums().delivered;
        publish_last(subject, &channels, &mut last)?;
        let _ = crowd.wait_for(ON_ITS_WAY, |sums| sums.ended == readers)?;
        let sight = crowd.end(&last)?;
        let load = json!({
            "channels": self.channels, "readers": readers, "behind": behind, "rate": self.rate, "bytes": self.payload.bytes()
        });
        let operation = (
            "delivery with its share of handshakes and publishes",
            deliveries,
        );
        let report = Report::new("resume-storm", load, subject, operation, spent);
        Ok(report
            .with_latency(
                "from the storm's beginning to a reader that has caught up",
                &sight.catching_up,
            )
            .with_sight(&sight)
            .with_memory(subject, readers, before, None))
    }
}

impl ResumeStorm {
    /// Fills the channels, each twice as far as its readers have come.
    fn prepare(&self, subject: &Subject) -> Result<Vec<Left>, Failure> {
        let behind = u64::from(self.behind);
        let fill = |number| -> Result<Left, Failure> {
            let channel = subject.channel(number);
            let mut publisher = Publisher::connect(subject, Promise::AtOnce)?;
            self.publish(&mut publisher, &channel, 1..behind)?;
            let payload = self.payload(behind);
            let payload: Box<RawValue> = serde_json::from_str(&payload).map_err(Failure::failed)?;
            let publish = subject
                .client
                .json_channel(&channel)
                .publish(TOPIC, &payload);
            let cursor = subject.wait(async { publish.await })?;
            self.publish(&mut publisher, &channel, behind + 1..2 * behind + 1)?;
            let target = subject.reading_target(&channel, &cursor.to_string())?;
            Ok(Left { channel, target })
        };
        (0..count(self.channels)).map(fill).collect()
    }

    fn publish(
        &self,
        publisher: &mut Publisher,
        channel: &str,
        numbers: std::ops::Range<u64>,
    ) -> Result<(), Failure> {
        let mut sent = 0;
        for number in numbers {
            publisher.add(channel, &self.payload(number));
            sent += 1;
        }
        publisher.send()?;
        publisher.accepted(sent)
    }

    /// Nobody asks when these were published.
    fn payload(&self, number: u64) -> String {
        Mark { number, at: 0 }.payload(self.payload.bytes())
    }

    /// Publishes to one channel after the other until it is over; says the last number of each.
    fn flow(
        &self,
        subject: &Subject,
        channels: &[String],
        is_over: &AtomicBool,
    ) -> Result<Vec<u64>, Failure> {
        let mut publisher = OpenLoop::of(Publisher::connect(subject, Promise::AtOnce)?)?;
        let mut last = vec![2 * u64::from(self.behind); channels.len()];
        let (begin, mut published) = (Instant::now(), 0_u64);
        let mut turns = (0..channels.len()).cycle();
        while !is_over.load(Ordering::Acquire) {
            let burst = (due_by(begin.elapsed(), self.rate) - published).min(BURST);
            if burst == 0 {
                thread::sleep(TICK);
                continue;
            }
            for channel in turns.by_ref().take(usize::try_from(burst).unwrap_or(0)) {
                last[channel] += 1;
                publisher.add(&channels[channel], &self.payload(last[channel]));
            }
            publisher.send()?;
            published += burst;
        }
        publisher.accepted()?;
        Ok(last)
    }
}

/// How many messages are due by then.
fn due_by(elapsed: Duration, rate: u32) -> u64 {
    let due = elapsed.as_micros() * u128::from(rate) / 1_000_000;
    u64::try_from(due).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_their_rate() {
        for (millis, rate, expected) in [
            (0, 1_000, 0),
            (10, 1_000, 10),
            (999, 1, 0),
            (1_000, 1, 1),
            (1, 1_000_000, 1_000),
        ] {
            let due = due_by(Duration::from_millis(millis), rate);
            assert_eq!(due, expected, "{millis} ms at {rate}/s");
        }
    }
}

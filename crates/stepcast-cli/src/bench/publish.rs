//! `stepcast bench publish`: publishing that nobody reads.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use clap::Args;
use hdrhistogram::Histogram;
use serde_json::json;

use super::{
    Measure,
    broadcast::nanos_between,
    crowd::{Crowd, ON_ITS_WAY, Reading, Sight},
    frame::Mark,
    load::{Kept, Payload, TimeBound, count},
    publisher::{Promise, Publisher, publish_last},
    report::Report,
    samples,
    subject::{Meter, Subject},
};
use crate::exit::Failure;

/// Publishing over HTTP that nobody reads: CPU time and duration of a request
///
/// Every publisher has a connection and a channel of its own. What is left of the channels is read afterwards, to see that nothing is missing.
#[derive(Debug, Args)]
pub(super) struct Publish {
    /// Connections that publish
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    publishers: u32,
    /// Requests that each sends in one write before it waits for the answers
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    burst: u32,
    /// Messages of a request, one per line
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    lines: u32,
    /// Wait for the commit of each message
    #[arg(long)]
    durable: bool,
    /// Do not read what is left afterwards, for servers that keep nothing
    #[arg(long)]
    unchecked: bool,
    /// Messages at most, over all publishers
    #[arg(long, value_name = "COUNT", default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    payload: Payload,
    #[command(flatten)]
    time: TimeBound,
}

/// What one publisher has done.
struct Done {
    channel: String,
    /// Its last number.
    last: u64,
    times: Histogram<u64>,
}

impl Measure for Publish {
    fn measure(self, subject: &Subject) -> Result<Report, Failure> {
        let before = subject.resident();
        let deadline = self.time.deadline();
        let left = AtomicU64::new(u64::from(self.messages));
        let connect = |number| -> Result<_, Failure> {
            let promise = if self.durable {
                Promise::Durable
            } else {
                Promise::AtOnce
            };
            let publisher = match self.lines {
                1 => Publisher::connect(subject, promise)?,
                _ => Publisher::of_lines(subject, promise)?,
            };
            Ok((subject.channel(number), publisher))
        };
        let publishers = (0..count(self.publishers)).map(connect);
        let publishers = publishers.collect::<Result<Vec<_>, _>>()?;
        let meter = Meter::start(subject);
        let done = thread::scope(|scope| {
            let start = |(channel, publisher)| {
                scope.spawn(|| self.publish(channel, publisher, &left, deadline))
            };
            let threads: Vec<_> = publishers.into_iter().map(start).collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|_| Err(Failure::failed("a publisher has panicked")))
                })
                .collect::<Result<Vec<_>, _>>()
        })?;
        let spent = meter.read(subject);
        let mut times = samples::histogram();
        for done in &done {
            samples::add(&mut times, &done.times);
        }
        let sight = if self.unchecked || subject.is_live {
            Sight::new()
        } else {
            self.read_back(subject, &done)?
        };
        let load = json!({
            "publishers": self.publishers, "burst": self.burst, "lines": self.lines, "durable": self.durable, "bytes": self.payload.bytes()
        });
        let published = done.iter().map(|done| done.last).sum();
        let report = Report::new("publish", load, subject, ("publish", published), spent);
        Ok(report
            .with_latency("from the request to its answer", &times)
            .with_sight(&sight)
            .with_memory(subject, 0, before, None))
    }
}

impl Publish {
    /// Publishes as long as messages and time are left.
    fn publish(
        &self,
        channel: String,
        mut publisher: Publisher,
        left: &AtomicU64,
        deadline: Instant,
    ) -> Result<Done, Failure> {
        let begin = Instant::now();
        let (mut last, mut times) = (0, samples::histogram());
        let lines = u64::from(self.lines);
        loop {
            let burst = take(left, u64::from(self.burst) * lines);
            if burst == 0 || Instant::now() >= deadline {
                return Ok(Done {
                    channel,
                    last,
                    times,
                });
            }
            let requests = burst.div_ceil(lines);
            for request in 0..requests {
                let mut body = String::new();
                for _ in 0..lines.min(burst - request * lines) {
                    last += 1;
                    let mark = Mark {
                        number: last,
                        at: nanos_between(begin, Instant::now()),
                    };
                    body.push_str(&mark.payload(self.payload.bytes()));
                    if self.lines > 1 {
                        body.push('\n');
                    }
                }
                publisher.add(&channel, &body);
            }
            let sent = Instant::now();
            publisher.send()?;
            for _ in 0..requests {
                publisher.accepted(1)?;
                samples::record(&mut times, sent.elapsed());
            }
        }
    }

    /// Reads what bounds have left of each channel. What is missing of that counts as lost.
    fn read_back(&self, subject: &Subject, done: &[Done]) -> Result<Sight, Failure> {
        let used = || done.iter().filter(|done| done.last > 0);
        let mut readings = Vec::new();
        for (channel, done) in used().enumerate() {
            readings.push(Reading {
                target: subject.reading_target(&done.channel, "start")?,
                channel,
                first: self.kept.first(done.last, &self.payload),
                caught_up: done.last,
                is_stalled: false,
            });
        }
        let readers = readings.len();
        let crowd = Crowd::start(&subject.door(), Instant::now(), readings)?;
        crowd.connected(readers)?;
        // What does not come counts as lost.
        let _ = crowd.wait_for(ON_ITS_WAY, |sums| sums.caught_up == readers)?;
        let channels: Vec<_> = used().map(|done| done.channel.clone()).collect();
        let mut last: Vec<_> = used().map(|done| done.last).collect();
        publish_last(subject, &channels, &mut last)?;
        let _ = crowd.wait_for(ON_ITS_WAY, |sums| sums.ended == readers)?;
        crowd.end(&last)
    }
}

/// Takes so many, or what is left.
fn take(left: &AtomicU64, wanted: u64) -> u64 {
    let less = |left: u64| Some(left.saturating_sub(wanted));
    let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    before.unwrap_or_default().min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_share_what_is_left() {
        let left = AtomicU64::new(5);
        let taken: Vec<_> = (0..4).map(|_| take(&left, 2)).collect();
        assert_eq!(taken, [2, 2, 1, 0]);
    }
}

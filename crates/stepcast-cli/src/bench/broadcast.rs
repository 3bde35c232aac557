//! Publishing to readers of some channels, at some pace: what several loads are.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    crowd::{Crowd, First, ON_ITS_WAY, Reading, Sums},
    frame::Mark,
    load::TimeBound,
    publisher::{OpenLoop, Promise, Publisher, publish_last},
    report::Report,
    subject::{Meter, Spent, Subject},
};
use crate::exit::Failure;

/// When the next burst is published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// When every reader has the one before.
    Delivered,
    /// When the server has accepted the one before.
    Accepted,
    /// So many messages per second, whatever readers have and whether or not the server has answered. Times count from when a message is due.
    PerSecond(f64),
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counted {
    /// Each message at each reader, with its share of the publish.
    Deliveries,
    /// Each message once.
    Publishes,
}

/// Who reads, and what is published to them.
#[derive(Debug)]
pub(super) struct Broadcast {
    pub(super) counted: Counted,
    pub(super) channels: usize,
    /// Of each channel.
    pub(super) readers: usize,
    /// Readers of the first channel that read nothing until everything is published.
    pub(super) stalled: usize,
    /// Messages that are sent in one write; they go round over the channels.
    pub(super) burst: usize,
    pub(super) pace: Pace,
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// Readers that are connected.
struct Audience {
    crowd: Crowd,
    begin: Instant,
    channels: Vec<String>,
    /// The last number of each.
    last: Vec<u64>,
    before: Option<u64>,
    connected: Option<u64>,
}

impl Broadcast {
    /// Puts it on the server.
    pub(super) fn measure(
        self,
        bench: &'static str,
        load: Value,
        time: &TimeBound,
        subject: &Subject,
    ) -> Result<Report, Failure> {
        let mut audience = self.gather(subject)?;
        let spent = self.publish(&mut audience, time, subject)?;
        let Audience {
            crowd,
            channels,
            mut last,
            before,
            connected,
            ..
        } = audience;
        let operation = self.operation(crowd.sums().delivered);
        publish_last(subject, &channels, &mut last)?;
        let readers = self.channels * self.readers;
        // What does not come counts as lost below.
        let _ = crowd.wait_for(ON_ITS_WAY, |sums| sums.ended == readers)?;
        if self.stalled > 0 {
            crowd.read_all()?;
            let _ = crowd.wait_for(ON_ITS_WAY, |sums| sums.ended_late == self.stalled)?;
        }
        let sight = crowd.end(&last)?;
        let report = Report::new(bench, load, subject, operation, spent);
        Ok(report
            .with_latency("from publish to arrival", &sight.latency)
            .with_sight(&sight)
            .with_memory(subject, self.connections(), before, connected))
    }

    fn connections(&self) -> usize {
        self.channels * self.readers + self.stalled
    }

    fn operation(&self, deliveries: u64) -> (&'static str, u64) {
        match self.counted {
            Counted::Deliveries => ("delivery", deliveries),
            Counted::Publishes => (
                "publish with its deliveries",
                deliveries / self.readers as u64,
            ),
        }
    }

    fn gather(&self, subject: &Subject) -> Result<Audience, Failure> {
        let channels: Vec<_> = (0..self.channels).map(|n| subject.channel(n)).collect();
        let mut readings = Vec::with_capacity(self.connections());
        for (channel, name) in channels.iter().enumerate() {
            let reading = Reading {
                target: subject.reading_target(name, "now")?,
                channel,
                first: First::Is(1),
                caught_up: 0,
                is_stalled: false,
            };
            if channel == 0 {
                let stalled = Reading {
                    is_stalled: true,
                    ..reading.clone()
                };
                readings.extend(std::iter::repeat_n(stalled, self.stalled));
            }
            readings.extend(std::iter::repeat_n(reading, self.readers));
        }
        let before = subject.resident();
        let begin = Instant::now();
        let crowd = Crowd::start(&subject.door(), begin, readings)?;
        crowd.connected(self.connections())?;
        Ok(Audience {
            crowd,
            begin,
            last: vec![0; channels.len()],
            channels,
            before,
            connected: subject.resident(),
        })
    }

    /// Publishes until a bound is met and waits for what is on its way.
    fn publish(
        &self,
        audience: &mut Audience,
        time: &TimeBound,
        subject: &Subject,
    ) -> Result<Spent, Failure> {
        let publisher = Publisher::connect(subject, Promise::AtOnce)?;
        let (meter, deadline) = (Meter::start(subject), time.deadline());
        let published = match self.pace {
            Pace::PerSecond(rate) => {
                let publisher = OpenLoop::of(publisher)?;
                self.publish_at(rate, audience, deadline, publisher)?
            }
            Pace::Delivered | Pace::Accepted => {
                self.publish_in_turn(audience, deadline, publisher)?
            }
        };
        // What does not come counts as lost.
        let _ = self.is_delivered(audience, published)?;
        Ok(meter.read(subject))
    }

    /// Waits for the server, and where that is the pace for readers, before each next burst; says how many messages were published.
    fn publish_in_turn(
        &self,
        audience: &mut Audience,
        deadline: Instant,
        mut publisher: Publisher,
    ) -> Result<usize, Failure> {
        let mut published = 0;
        while published < self.messages && Instant::now() < deadline {
            let burst = self.burst_after(published);
            for _ in 0..burst {
                let at = nanos_between(audience.begin, Instant::now());
                let (channel, payload) = audience.next_message(published, at, self.bytes);
                publisher.add(channel, &payload);
                published += 1;
            }
            publisher.send()?;
            publisher.accepted(burst)?;
            if self.pace == Pace::Delivered && !self.is_delivered(audience, published)? {
                break;
            }
        }
        Ok(published)
    }

    /// Publishes each burst when it is due, and waits for nothing; says how many messages were published.
    fn publish_at(
        &self,
        rate: f64,
        audience: &mut Audience,
        deadline: Instant,
        mut publisher: OpenLoop,
    ) -> Result<usize, Failure> {
        let began = Instant::now();
        let mut published = 0;
        while published < self.messages && Instant::now() < deadline {
            let due = began + due(published, rate);
            if due >= deadline {
                break;
            }
            sleep_until(due);
            // A burst that is late has waited since then.
            let at = nanos_between(audience.begin, due);
            for _ in 0..self.burst_after(published) {
                let (channel, payload) = audience.next_message(published, at, self.bytes);
                publisher.add(channel, &payload);
                published += 1;
            }
            publisher.send()?;
        }
        publisher.accepted()?;
        Ok(published)
    }

    fn burst_after(&self, published: usize) -> usize {
        self.burst.min(self.messages - published)
    }

    fn is_delivered(&self, audience: &Audience, published: usize) -> Result<bool, Failure> {
        let wanted = (published * self.readers) as u64;
        let all = |sums: Sums| sums.delivered >= wanted;
        audience.crowd.wait_for(ON_ITS_WAY, all)
    }
}

impl Audience {
    /// The message after so many: its channel and payload.
    fn next_message(&mut self, published: usize, at: u64, bytes: usize) -> (&str, String) {
        let channel = published % self.channels.len();
        self.last[channel] += 1;
        let mark = Mark {
            number: self.last[channel],
            at,
        };
        (&self.channels[channel], mark.payload(bytes))
    }
}

/// When the message after so many is due.
fn due(published: usize, rate: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let seconds = published as f64 / rate;
    Duration::from_secs_f64(seconds)
}

fn sleep_until(moment: Instant) {
    let now = Instant::now();
    if moment > now {
        thread::sleep(moment - now);
    }
}

/// A moment on the benchmark's clock, on which 0 means no time.
pub(super) fn nanos_between(begin: Instant, moment: Instant) -> u64 {
    let nanos = moment.saturating_duration_since(begin).as_nanos();
    u64::try_from(nanos).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_their_rate_also_below_one_per_second() {
        for (published, rate, expected) in [
            (0, 0.2, 0.0),
            (1, 0.2, 5.0),
            (3, 1.5, 2.0),
            (500, 20_000.0, 0.025),
            (1, 1e-6, 1e6),
        ] {
            let due = due(published, rate).as_secs_f64();
            assert!((due - expected).abs() < 1e-9 * expected.max(1.0), "{due}");
        }
    }

    #[test]
    fn the_clock_knows_moments_that_have_passed() {
        let begin = Instant::now();
        let after = begin + Duration::from_micros(7);
        assert_eq!(nanos_between(begin, after), 7_000);
        assert_eq!(nanos_between(after, begin), 1);
    }
}

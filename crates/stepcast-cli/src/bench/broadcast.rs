//! Publishing to readers of some channels, at some pace: what several loads are.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    crowd::{Crowd, ON_ITS_WAY, Reading, Sums},
    frame::Mark,
    load::TimeBound,
    publisher::{Promise, Publisher},
    report::Report,
    subject::{Meter, Spent, Subject},
};
use crate::exit::Failure;

/// When the next burst is published.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// When every reader has the one before.
    Delivered,
    /// When the server has accepted the one before.
    Accepted,
    /// So many messages per second, whatever readers have.
    PerSecond(u32),
}

/// Who reads, and what is published to them.
#[derive(Debug)]
pub(super) struct Broadcast {
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
            last,
            before,
            connected,
            ..
        } = audience;
        if self.stalled > 0 {
            crowd.read_all(last[0])?;
            // What does not come counts as lost below.
            let _ = crowd.wait_for(ON_ITS_WAY, |sums| sums.ended_late == self.stalled)?;
        }
        let deliveries = crowd.sums().delivered;
        let sight = crowd.end(&last)?;
        let report = Report::new(bench, load, subject, ("delivery", deliveries), spent);
        Ok(report
            .with_latency("from publish to arrival", &sight.latency)
            .with_sight(&sight)
            .with_memory(subject, self.connections(), before, connected))
    }

    fn connections(&self) -> usize {
        self.channels * self.readers + self.stalled
    }

    fn gather(&self, subject: &Subject) -> Result<Audience, Failure> {
        let channels: Vec<_> = (0..self.channels).map(|n| subject.channel(n)).collect();
        let mut readings = Vec::with_capacity(self.connections());
        for (channel, name) in channels.iter().enumerate() {
            let reading = Reading {
                target: subject.reading_target(name, "now")?,
                channel,
                first: Some(1),
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
        let mut publisher = Publisher::connect(subject, Promise::AtOnce)?;
        let (meter, deadline) = (Meter::start(subject), time.deadline());
        let began = Instant::now();
        let mut published = 0;
        while published < self.messages && Instant::now() < deadline {
            if let Pace::PerSecond(rate) = self.pace {
                sleep_until(began + due(published, rate));
            }
            let burst = self.burst.min(self.messages - published);
            for _ in 0..burst {
                audience.add_next(&mut publisher, published, self.bytes);
                published += 1;
            }
            publisher.send()?;
            publisher.accepted(burst)?;
            match self.pace {
                Pace::Delivered if !self.is_delivered(audience, published)? => break,
                Pace::Delivered | Pace::Accepted | Pace::PerSecond(_) => {}
            }
        }
        // What does not come counts as lost.
        let _ = self.is_delivered(audience, published)?;
        Ok(meter.read(subject))
    }

    fn is_delivered(&self, audience: &Audience, published: usize) -> Result<bool, Failure> {
        let wanted = (published * self.readers) as u64;
        let all = |sums: Sums| sums.delivered >= wanted;
        audience.crowd.wait_for(ON_ITS_WAY, all)
    }
}

impl Audience {
    fn add_next(&mut self, publisher: &mut Publisher, published: usize, bytes: usize) {
        let channel = published % self.channels.len();
        self.last[channel] += 1;
        let mark = Mark {
            number: self.last[channel],
            at: nanos_since(self.begin),
        };
        publisher.add(&self.channels[channel], &mark.payload(bytes));
    }
}

/// When the message after so many is due.
fn due(published: usize, rate: u32) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let seconds = published as f64 / f64::from(rate.max(1));
    Duration::from_secs_f64(seconds)
}

pub(super) fn sleep_until(moment: Instant) {
    let now = Instant::now();
    if moment > now {
        thread::sleep(moment - now);
    }
}

/// The benchmark's clock; 0 means no time.
pub(super) fn nanos_since(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_nanos())
        .unwrap_or(u64::MAX)
        .max(1)
}

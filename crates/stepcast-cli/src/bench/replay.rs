//! `stepcast bench replay`: readers that begin at the start.

use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::{
    Measure,
    crowd::{Crowd, ON_ITS_WAY, Reading},
    frame::Mark,
    load::{Kept, Payload, count},
    publisher::{BURST, Promise, Publisher, publish_last},
    report::Report,
    subject::{Meter, Subject},
};
use crate::exit::Failure;

/// Readers that begin at the start of a channel: CPU time per message with its share of their handshakes, and how long each takes
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Messages that the channel gets first; what the server does not keep of them is not replayed
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// Readers, which come at once
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    readers: u32,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    payload: Payload,
}

impl Measure for Replay {
    fn measure(self, subject: &Subject) -> Result<Report, Failure> {
        let (channel, messages) = (subject.channel(0), u64::from(self.messages));
        self.fill(subject, &channel)?;
        let reading = Reading {
            target: subject.reading_target(&channel, "start")?,
            channel: 0,
            first: self.kept.first(messages, &self.payload),
            caught_up: messages,
            is_stalled: false,
        };
        let readers = count(self.readers);
        let before = subject.resident();
        let meter = Meter::start(subject);
        let crowd = Crowd::start(&subject.door(), Instant::now(), vec![reading; readers])?;
        crowd.connected(readers)?;
        // What does not come counts as lost.
        let _ = crowd.wait_for(6 * ON_ITS_WAY, |sums| sums.caught_up == readers)?;
        let spent = meter.read(subject);
        let replayed = ("message replayed", crowd.sums().delivered);
        let mut last = [messages];
        publish_last(subject, &[channel], &mut last)?;
        let _ = crowd.wait_for(ON_ITS_WAY, |sums| sums.ended == readers)?;
        let sight = crowd.end(&last)?;
        let load =
            json!({ "messages": messages, "readers": readers, "bytes": self.payload.bytes() });
        let report = Report::new("replay", load, subject, replayed, spent);
        Ok(report
            .with_latency(
                "from the first reader's connecting to a reader's last message",
                &sight.catching_up,
            )
            .with_sight(&sight)
            .with_memory(subject, readers, before, None))
    }
}

impl Replay {
    /// The last message is on disk with all before it.
    fn fill(&self, subject: &Subject, channel: &str) -> Result<(), Failure> {
        let numbers: Vec<u64> = (1..=u64::from(self.messages)).collect();
        let (last, others) = numbers.split_last().expect("there is at least one");
        let payload = |number: &u64| {
            let mark = Mark {
                number: *number,
                at: 0,
            };
            mark.payload(self.payload.bytes())
        };
        let mut publisher = Publisher::connect(subject, Promise::AtOnce)?;
        for burst in others.chunks(BURST) {
            for number in burst {
                publisher.add(channel, &payload(number));
            }
            publisher.send()?;
            publisher.accepted(burst.len())?;
        }
        let mut publisher = Publisher::connect(subject, Promise::Durable)?;
        publisher.add(channel, &payload(last));
        publisher.send()?;
        publisher.accepted(1)
    }
}

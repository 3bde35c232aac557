//! `stepcast bench idle`: connections on which nothing is said.

use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::{
    Measure,
    crowd::{Crowd, First, Reading},
    load::count,
    report::Report,
    subject::{Meter, Subject},
};
use crate::exit::Failure;

/// Connections that come before those that are counted, so that what all share has grown.
const FIRST: usize = 100;

/// Readers to whom nothing is said: memory of a connection, and CPU time and duration of its handshake
#[derive(Debug, Args)]
pub(super) struct Idle {
    /// Connections
    #[arg(long, value_name = "COUNT", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
}

impl Measure for Idle {
    fn measure(self, subject: &Subject) -> Result<Report, Failure> {
        let connections = count(self.connections);
        let reading = Reading {
            target: subject.reading_target(&subject.channel(0), "now")?,
            channel: 0,
            first: First::Is(1),
            caught_up: 0,
            is_stalled: false,
        };
        let gather = |readers| -> Result<Crowd, Failure> {
            let readings = vec![reading.clone(); readers];
            let crowd = Crowd::start(&subject.door(), Instant::now(), readings)?;
            crowd.connected(readers)?;
            Ok(crowd)
        };
        let first = gather(FIRST)?;
        let before = subject.resident();
        let meter = Meter::start(subject);
        let crowd = gather(connections)?;
        let spent = meter.read(subject);
        let connected = subject.resident();
        let sight = crowd.end(&[0])?;
        first.end(&[0])?;
        let operation = ("connection", u64::from(self.connections));
        let load = json!({ "connections": connections });
        let report = Report::new("idle", load, subject, operation, spent);
        Ok(report
            .with_latency(
                "from connecting to the end of the handshake",
                &sight.connecting,
            )
            .with_sight(&sight)
            .with_memory(subject, connections, before, connected))
    }
}

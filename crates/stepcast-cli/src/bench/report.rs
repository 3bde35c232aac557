//! What was measured, for people and scripts.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::Value;

use super::{
    crowd::Sight,
    samples::Quantiles,
    subject::{Spent, Subject},
    tally::Seen,
};
use crate::exit::Failure;

/// Connections below which memory says little of each of them.
const WORTH_SHARING: usize = 100;

/// The figures of one load.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    bench: &'static str,
    /// What was done, as the options said it.
    load: Value,
    server: ShownServer,
    /// What is counted, in the singular.
    operation: &'static str,
    operations: u64,
    seconds: f64,
    /// Operations per second.
    rate: f64,
    /// What `latency_us` is from and to.
    latency_of: &'static str,
    latency_us: Option<Quantiles>,
    lost: u64,
    duplicated: u64,
    out_of_order: u64,
    /// Gaps that the server has told its readers.
    gaps: u64,
    /// Messages that readers did not get and were told about.
    told_lost: u64,
    /// Messages that bounds had taken before readers came, who begin with what is left.
    trimmed: u64,
    server_cpu_seconds: Option<f64>,
    server_cpu_us_per_operation: Option<f64>,
    connections: usize,
    memory_bytes_per_connection: Option<f64>,
    memory: Option<Memory>,
}

#[derive(Debug, Serialize)]
struct ShownServer {
    url: String,
    pid: Option<u32>,
    /// Whether it was started for this.
    own: bool,
}

/// Bytes of the server's process.
#[derive(Debug, Clone, Copy, Serialize)]
struct Memory {
    /// Before its readers came.
    before: u64,
    /// When they were there and nothing was said, in a load that has such a moment.
    connected: Option<u64>,
    /// The most it has had since it was started.
    peak: u64,
}

impl Report {
    /// Of a load that has taken this long.
    pub(super) fn new(
        bench: &'static str,
        load: Value,
        subject: &Subject,
        operation: (&'static str, u64),
        spent: Spent,
    ) -> Self {
        let (operation, operations) = operation;
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let count = operations as f64;
        let cpu = spent.cpu.map(|cpu| cpu.as_secs_f64());
        let seconds = spent.wall.as_secs_f64();
        let none = Seen::default();
        Self {
            bench,
            load,
            server: ShownServer {
                url: subject.url.to_string(),
                pid: subject.process.map(|process| process.pid),
                own: subject.is_own,
            },
            operation,
            operations,
            seconds,
            rate: count / seconds,
            latency_of: "",
            latency_us: None,
            lost: none.lost,
            duplicated: none.duplicated,
            out_of_order: none.out_of_order,
            gaps: none.gaps,
            told_lost: none.told_lost,
            trimmed: none.trimmed,
            server_cpu_seconds: cpu,
            server_cpu_us_per_operation: cpu
                .filter(|_| operations > 0)
                .map(|cpu| cpu * 1e6 / count),
            connections: 0,
            memory_bytes_per_connection: None,
            memory: None,
        }
    }

    /// From where to where times were measured, and the times.
    pub(super) fn with_latency(self, of: &'static str, times: &Histogram<u64>) -> Self {
        Self {
            latency_of: of,
            latency_us: Quantiles::of(times),
            ..self
        }
    }

    /// Operations that did not come to their end.
    pub(super) fn with_lost(self, lost: u64) -> Self {
        Self { lost, ..self }
    }

    /// What readers have seen.
    pub(super) fn with_sight(self, sight: &Sight) -> Self {
        let Seen {
            lost,
            duplicated,
            out_of_order,
            gaps,
            told_lost,
            trimmed,
            delivered: _,
        } = sight.seen;
        Self {
            lost,
            duplicated,
            out_of_order,
            gaps,
            told_lost,
            trimmed,
            ..self
        }
    }

    /// The server's memory before so many connections, and with them while nothing was said, where that was looked at.
    pub(super) fn with_memory(
        self,
        subject: &Subject,
        connections: usize,
        before: Option<u64>,
        connected: Option<u64>,
    ) -> Self {
        let peak = subject.process.and_then(super::process::Process::peak);
        let memory = before.zip(peak).map(|(before, peak)| Memory {
            before,
            connected,
            peak,
        });
        #[expect(clippy::cast_precision_loss, reason = "bytes are far below 2^52")]
        let each = before.zip(connected).map(|(before, connected)| {
            (connected as f64 - before as f64) / connections.max(1) as f64
        });
        Self {
            connections,
            memory_bytes_per_connection: each.filter(|_| connections >= WORTH_SHARING),
            memory,
            ..self
        }
    }

    /// A failure when a promise was broken.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let Self {
            lost,
            duplicated,
            out_of_order,
            ..
        } = self;
        if lost + duplicated + out_of_order == 0 {
            return Ok(());
        }
        Err(Failure::failed(format!(
            "{lost} messages were lost without a word, {duplicated} came twice, {out_of_order} came out of order"
        )))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bench,
            load,
            operation,
            operations,
            seconds,
            rate,
            ..
        } = self;
        write!(f, "{bench}:")?;
        for (name, value) in load.as_object().into_iter().flatten() {
            write!(f, " {name} {value}")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "  rate     {rate:.0} per s ({operations} × {operation} in {seconds:.2} s)"
        )?;
        if let Some(Quantiles { p50, p99, max }) = self.latency_us {
            let of = self.latency_of;
            writeln!(
                f,
                "  time     p50 {p50:.0} µs, p99 {p99:.0} µs, max {max:.0} µs, {of}"
            )?;
        }
        writeln!(
            f,
            "  lost     {}, twice {}, out of order {}; gaps told {}, for {} messages",
            self.lost, self.duplicated, self.out_of_order, self.gaps, self.told_lost
        )?;
        if self.trimmed > 0 {
            let trimmed = self.trimmed;
            writeln!(
                f,
                "  bounds   had taken {trimmed} messages before their readers came"
            )?;
        }
        match self.server_cpu_us_per_operation {
            Some(each) => write!(f, "  CPU      {each:.2} µs of the server per {operation}")?,
            None => write!(f, "  CPU      not known; --pid names the server's process")?,
        }
        if let Some(Memory {
            connected, peak, ..
        }) = self.memory
        {
            write!(f, "\n  memory   {} KiB at most", peak / 1_024)?;
            if let Some((each, connected)) = self.memory_bytes_per_connection.zip(connected) {
                let (connections, kib) = (self.connections, connected / 1_024);
                write!(
                    f,
                    ", {kib} KiB with {connections} idle connections, {each:.0} bytes for each"
                )?;
            }
        }
        Ok(())
    }
}

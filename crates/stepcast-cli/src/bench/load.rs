//! What bounds every load, as options.

use std::time::Instant;

use clap::Args;

use crate::span::Span;

/// The payload of a message: what it says of itself, and then as many bytes as asked for.
#[derive(Debug, Clone, Args)]
pub(super) struct Payload {
    /// Bytes of a message's payload, at least about 40
    #[arg(long, value_name = "BYTES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=500_000))]
    bytes: u32,
}

impl Payload {
    pub(super) fn bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }
}

/// How long a load goes on at most.
#[derive(Debug, Clone, Args)]
pub(super) struct TimeBound {
    /// How long load is put on at most, with a unit: ms, s, m
    #[arg(long, value_name = "TIME", default_value = "10s")]
    time: Span,
}

impl TimeBound {
    /// When a load that begins now has to end.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.time.0
    }
}

/// How many of something there are, in messages and errors.
pub(super) fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

//! What bounds every load, as options.

use std::time::Instant;

use clap::Args;
use stepcast_protocol::limits;

use super::{crowd::First, frame::Mark};
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

/// What the server keeps of a channel at least, so that the rest may be missing to a reader that begins at the start, and no more.
#[derive(Debug, Clone, Args)]
pub(super) struct Kept {
    /// Messages that the server keeps of a channel, where they are no more than --kept-bytes; fewer are lost
    #[arg(long, value_name = "COUNT", default_value_t = limits::LOG_MESSAGES)]
    kept_messages: u64,
    /// Bytes of payloads that the server keeps of a channel, where they are no more than --kept-messages
    #[arg(long, value_name = "BYTES", default_value_t = limits::LOG_BYTES)]
    kept_bytes: u64,
}

impl Kept {
    /// Which of so many messages comes first.
    pub(super) fn first(&self, last: u64, payload: &Payload) -> First {
        let longest = Mark {
            number: last,
            at: u64::MAX,
        };
        let bytes = longest.payload(payload.bytes()).len() as u64;
        match last.saturating_sub(self.kept_messages.min(self.kept_bytes / bytes)) {
            0 => First::Is(1),
            trimmed => First::AtLatest(trimmed + 1),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_take_what_is_beyond_the_narrower_one() {
        let first = |kept_messages, kept_bytes, last| {
            let kept = Kept {
                kept_messages,
                kept_bytes,
            };
            kept.first(last, &Payload { bytes: 100 })
        };
        for last in [0, 1, 10] {
            assert_eq!(first(10, 1_000, last), First::Is(1), "{last}");
        }
        assert_eq!(first(10, 1_000, 11), First::AtLatest(2));
        assert_eq!(first(9, 1_000, 10), First::AtLatest(2));
        assert_eq!(first(10, 499, 10), First::AtLatest(7));
        assert_eq!(first(0, 1_000, 3), First::AtLatest(4), "nothing is kept");
    }
}

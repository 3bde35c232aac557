//! When an SDK wants its next attempt.

use std::time::Duration;

use crate::{limits, timestamp::Timestamp};

/// The value of a `Retry-After` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// So long after the answer.
    After(Duration),
    /// At this time.
    At(Timestamp),
}

impl RetryAfter {
    /// Reads whole seconds, an ISO 8601 time or the date of HTTP; nothing for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Self::After(Duration::from_secs(seconds)));
        }
        let iso = text.parse::<jiff::Timestamp>();
        let http = || jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
        let time = iso.or_else(|_| http()).ok()?;
        Some(Self::At(time.into()))
    }

    /// The wait from now on, at least [`limits::RETRY_AFTER_MIN`] and at most [`limits::RETRY_AFTER_MAX`].
    #[must_use]
    pub fn wait(self, now: Timestamp) -> Duration {
        let wait = match self {
            Self::After(duration) => duration,
            Self::At(time) => time.since(now),
        };
        wait.clamp(limits::RETRY_AFTER_MIN, limits::RETRY_AFTER_MAX)
    }
}

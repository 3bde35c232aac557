//! How long something lasts, or until when: durations like `1w2d3h` and points in time.

use std::{fmt, time::Duration};

use crate::{limits, timestamp::Timestamp};

/// When a sleep, a wait or a timeout is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// So long after it began.
    After(Duration),
    /// At this time.
    At(Timestamp),
}

/// Why a text is no duration or time, or one that is too far away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UntilError {
    /// Neither of the two forms.
    #[error("`{0}` is neither a duration like `1h30m` nor a time like `2026-11-23T19:40:59Z`")]
    Unreadable(String),
    /// Not a duration, where only a duration makes sense.
    #[error("`{0}` is not a duration like `1h30m`")]
    NotADuration(String),
    /// Longer than [`limits::WAIT`].
    #[error("`{0}` is more than 366 days away, which is the longest that a run may wait")]
    TooFar(String),
}

impl Until {
    /// The longest that is allowed.
    pub const LONGEST: Self = Self::After(limits::WAIT);

    /// Reads a duration or an ISO 8601 time with its offset.
    ///
    /// ```
    /// use std::time::Duration;
    /// use stepcast_protocol::{Timestamp, sdk::Until};
    ///
    /// assert_eq!(Until::parse("1m30s")?, Until::After(Duration::from_secs(90)));
    /// assert_eq!(Until::parse("1970-01-01T00:00:01Z")?, Until::At(Timestamp::from_millis(1000)));
    /// # Ok::<_, stepcast_protocol::sdk::UntilError>(())
    /// ```
    ///
    /// # Errors
    /// [`UntilError`] names the text.
    pub fn parse(text: &str) -> Result<Self, UntilError> {
        let duration = match duration(text) {
            Ok(duration) => return Ok(Self::After(duration)),
            Err(error) => error,
        };
        if let UntilError::TooFar(_) = duration {
            return Err(duration);
        }
        text.parse::<jiff::Timestamp>()
            .map(|time| Self::At(time.into()))
            .map_err(|_| UntilError::Unreadable(start(text)))
    }

    /// The point in time, for something that began at `began`.
    ///
    /// # Errors
    /// [`UntilError::TooFar`] when it is more than [`limits::WAIT`] later.
    pub fn due(self, began: Timestamp) -> Result<Timestamp, UntilError> {
        let due = match self {
            Self::After(duration) => began + duration,
            Self::At(time) => time,
        };
        if due.since(began) > limits::WAIT {
            return Err(UntilError::TooFar(self.to_string()));
        }
        Ok(due)
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(duration) => write!(f, "{duration:?}"),
            Self::At(time) => time.fmt(f),
        }
    }
}

/// Units and their nanoseconds. A unit stands before those that it begins with.
const UNITS: [(&str, u64); 10] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
    ("w", 604_800 * 1_000_000_000),
];

/// Reads a duration: one number with unit (ns, us, ms, s, m, h, d, w) after the other.
///
/// # Errors
/// [`UntilError`] names the text.
pub fn duration(text: &str) -> Result<Duration, UntilError> {
    let not_a_duration = || UntilError::NotADuration(start(text));
    let mut total = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(not_a_duration());
    }
    while !rest.is_empty() {
        let (nanos, after) = part(rest).ok_or_else(not_a_duration)?;
        total += nanos;
        rest = after;
    }
    Duration::try_from_secs_f64(total / 1e9)
        .ok()
        .filter(|duration| *duration <= limits::WAIT)
        .ok_or_else(|| UntilError::TooFar(start(text)))
}

/// The nanoseconds of the first number and its unit, and what comes after them.
fn part(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|char: char| !(char.is_ascii_digit() || char == '.'))?;
    let (number, rest) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let (unit, nanos) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a week of nanoseconds has an exact floating-point form"
    )]
    Some((number * *nanos as f64, &rest[unit.len()..]))
}

fn start(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;

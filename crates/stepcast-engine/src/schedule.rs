//! When a function that has a cron trigger runs next.
//!
//! Five fields, in the time zone that the trigger names (`TZ=Europe/Berlin 0 9 * * MON-FRI`), in UTC otherwise. When clocks are set
//! forward, times that are skipped run once, at the next minute there is; when they are set back, times that come twice run the first
//! time. A schedule for every hour (`*/15 * * * *`) is not bound to the local hour and runs on through both, so that it neither pauses
//! for an hour nor runs out of turn.
//!
//! Pure: the time is passed in, and zones come from the database built into the program, not from the machine. Used by
//! [`runs`](crate::runs).

mod pattern;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use jiff::{
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use stepcast_protocol::{ErrorCode, Timestamp, limits};

use pattern::Pattern;

/// A cron schedule. Cheap to clone; stored and shown as its text.
///
/// ```
/// use stepcast_engine::schedule::Schedule;
/// use stepcast_protocol::Timestamp;
///
/// let mornings = Schedule::parse("TZ=Europe/Berlin 0 9 * * MON-FRI")?;
/// let saturday = Timestamp::from_millis(1_774_688_400_000); // 2026-03-28T09:00:00Z
/// let next = mornings.next_after(saturday).map(|next| next.to_string());
/// assert_eq!(next.as_deref(), Some("2026-03-30T07:00:00.000Z"));
/// # Ok::<_, stepcast_engine::schedule::ScheduleError>(())
/// ```
#[derive(Clone)]
pub struct Schedule {
    text: Arc<str>,
    zone: TimeZone,
    pattern: Pattern,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It has too many bytes.
    #[error(
        "schedule of {bytes} bytes, at most {} are allowed; use ranges such as 1-5",
        limits::SCHEDULE_BYTES
    )]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// Its time zone is not known.
    #[error(
        "schedule `{text}`: there is no time zone `{zone}`; use a name such as Europe/Berlin, as in `TZ=Europe/Berlin 0 9 * * *`"
    )]
    UnknownZone {
        /// The schedule.
        text: String,
        /// The zone.
        zone: String,
    },
    /// Its fields cannot be read.
    #[error("schedule `{text}`: {problem}")]
    Unreadable {
        /// The schedule.
        text: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A jitter that is too short or too long.
    #[error(
        "jitter of {longest:?} is not between {:?} and {:?}; use one such as 30s",
        limits::JITTER_MIN,
        limits::JITTER_MAX
    )]
    Jitter {
        /// What was asked for.
        longest: Duration,
    },
}

impl ScheduleError {
    /// The code this error has on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLong { .. } => ErrorCode::TooLarge,
            Self::UnknownZone { .. } | Self::Unreadable { .. } | Self::Jitter { .. } => {
                ErrorCode::BadRequest
            }
        }
    }
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// [`ScheduleError`] when the text is none.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        if text.len() > limits::SCHEDULE_BYTES {
            return Err(ScheduleError::TooLong { bytes: text.len() });
        }
        let trimmed = text.trim();
        let prefix = ["TZ=", "CRON_TZ="]
            .into_iter()
            .find_map(|prefix| trimmed.strip_prefix(prefix));
        let (zone, fields) = match prefix {
            Some(zoned) => {
                let (name, fields) = zoned.split_once(char::is_whitespace).unwrap_or((zoned, ""));
                (zone(text, name)?, fields)
            }
            None => (TimeZone::UTC, trimmed),
        };
        let pattern = Pattern::parse(fields).map_err(|problem| ScheduleError::Unreadable {
            text: text.to_owned(),
            problem,
        })?;
        Ok(Self {
            text: text.into(),
            zone,
            pattern,
        })
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after this one; nothing when there is none, as on the 30th of February.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(after.as_millis()).ok()?;
        let next = if self.pattern.is_every_hour() {
            self.next_elapsed(after)
        } else {
            self.next_local(after)
        };
        next.map(Timestamp::from)
    }

    /// By the local clock: each of its times has one instant, and instants are in the order of local times.
    fn next_local(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut local = self.zone.to_datetime(after);
        loop {
            local = self.pattern.next_after(local)?;
            let instant = self.instant_of(local)?;
            if instant > after {
                return Some(instant);
            }
        }
    }

    /// The first instant that has this local time, or the first full minute after those that skip it.
    fn instant_of(&self, local: DateTime) -> Option<jiff::Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                ambiguous.earlier().ok()
            }
            AmbiguousOffset::Gap { before, .. } => {
                // With the offset from before the gap, the skipped time would come when the gap is over already.
                let within = before.to_timestamp(local).ok()?;
                let next_second = within
                    .checked_add(jiff::SignedDuration::from_secs(1))
                    .ok()?;
                let change = self.zone.preceding(next_second).next()?.timestamp();
                let first = self.zone.to_datetime(change);
                let into_minute = i64::from(first.second());
                let left = if into_minute == 0 {
                    0
                } else {
                    60 - into_minute
                };
                change
                    .checked_add(jiff::SignedDuration::from_secs(left))
                    .ok()
            }
        }
    }

    /// By the time that passes: between two changes of the clocks, local times are as regular as those of UTC.
    fn next_elapsed(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut from = after;
        loop {
            let offset = self.zone.to_offset(from);
            let local = self.pattern.next_after(offset.to_datetime(from))?;
            let instant = offset.to_timestamp(local).ok()?;
            let Some(change) = self.zone.following(from).next() else {
                return Some(instant);
            };
            let change = change.timestamp();
            if instant < change {
                return Some(instant);
            }
            if self.pattern.is_at(self.zone.to_datetime(change)) {
                return Some(change);
            }
            from = change;
        }
    }
}

fn zone(text: &str, name: &str) -> Result<TimeZone, ScheduleError> {
    let zone = TimeZoneDatabase::bundled().get(name).ok();
    zone.filter(|zone| !zone.is_unknown())
        .ok_or_else(|| ScheduleError::UnknownZone {
            text: text.to_owned(),
            zone: name.to_owned(),
        })
}

/// By how much the runs of a schedule are spread, so that not all of them start at the full minute.
///
/// The next time of a schedule is asked for after the planned time of the one before, not after the delayed one.
///
/// ```
/// use std::time::Duration;
/// use stepcast_engine::schedule::Jitter;
///
/// let jitter = Jitter::new(Duration::from_secs(30))?;
/// assert_eq!(jitter.delay(0.5), Duration::from_secs(15));
/// # Ok::<_, stepcast_engine::schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(Duration);

impl Jitter {
    /// Delays of at most so much.
    ///
    /// # Errors
    /// [`ScheduleError::Jitter`] when it is shorter than a second or longer than five minutes.
    pub fn new(longest: Duration) -> Result<Self, ScheduleError> {
        if (limits::JITTER_MIN..=limits::JITTER_MAX).contains(&longest) {
            return Ok(Self(longest));
        }
        Err(ScheduleError::Jitter { longest })
    }

    /// The longest delay.
    #[must_use]
    pub const fn longest(self) -> Duration {
        self.0
    }

    /// The delay for a number from 0 to below 1, as [`Entropy::fraction`](crate::clock::Entropy::fraction) draws them.
    #[must_use]
    pub fn delay(self, fraction: f64) -> Duration {
        self.0.mul_f64(fraction.clamp(0.0, 1.0))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schedule").field(&self.text).finish()
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schedule {}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

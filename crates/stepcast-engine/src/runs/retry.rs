//! When a failed attempt is tried again.

use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often, and after what pause, something is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    retries: u32,
    forgiven: u32,
    pauses: Pauses,
}

/// How long to wait before the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pauses {
    /// Each is twice as long as the one before. Half to all of it is taken, by chance, so that many failures do not come back together.
    Doubling {
        /// The first.
        base: Duration,
        /// None is longer.
        cap: Duration,
    },
    /// As they stand in a list, the last one over and over.
    Listed {
        /// The list.
        pauses: &'static [Duration],
        /// Nothing to all of this is added, by chance.
        jitter: Duration,
    },
    /// Always the same.
    Fixed(Duration),
}

impl Pauses {
    /// The pause after so many failures, with chance given as a number from 0 to 1.
    fn after(self, failures: u32, chance: f64) -> Duration {
        let (before, chance) = (failures.saturating_sub(1), chance.clamp(0.0, 1.0));
        match self {
            Self::Doubling { base, cap } => {
                let full = base.saturating_mul(1 << before.min(31)).min(cap);
                full.mul_f64(chance.mul_add(0.5, 0.5))
            }
            Self::Listed { pauses, jitter } => {
                let place = usize::try_from(before).unwrap_or(usize::MAX);
                let listed = pauses.get(place).or(pauses.last());
                listed.copied().unwrap_or_default() + jitter.mul_f64(chance)
            }
            Self::Fixed(pause) => pause,
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::times(4)
    }
}

impl Retry {
    /// So many tries after the first. Pauses start at 1 s and reach at most 5 min.
    #[must_use]
    pub const fn times(retries: u32) -> Self {
        Self {
            retries,
            forgiven: 0,
            pauses: Pauses::Doubling {
                base: FIRST_PAUSE,
                cap: LONGEST_PAUSE,
            },
        }
    }

    /// No second try.
    #[must_use]
    pub const fn never() -> Self {
        Self::times(0)
    }

    /// The pause before the first retry (1 s), when each is twice as long as the one before.
    #[must_use]
    pub const fn with_base(self, base: Duration) -> Self {
        let (_, cap) = self.doubling();
        self.with_pauses(Pauses::Doubling { base, cap })
    }

    /// The longest pause (5 min), when each is twice as long as the one before.
    #[must_use]
    pub const fn with_cap(self, cap: Duration) -> Self {
        let (base, _) = self.doubling();
        self.with_pauses(Pauses::Doubling { base, cap })
    }

    /// Other pauses.
    #[must_use]
    pub const fn with_pauses(self, pauses: Pauses) -> Self {
        Self { pauses, ..self }
    }

    /// So many failures do not count, because there has been progress since.
    #[must_use]
    pub const fn forgiving(self, forgiven: u32) -> Self {
        Self { forgiven, ..self }
    }

    /// How many tries there are after the first.
    #[must_use]
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// The pause after so many failures, with chance given as a number from 0 to 1; nothing when no try is left.
    #[must_use]
    pub fn pause(&self, failures: u32, chance: f64) -> Option<Duration> {
        let counted = failures.saturating_sub(self.forgiven);
        (counted <= self.retries).then(|| self.pauses.after(counted, chance))
    }

    /// The first and the longest pause.
    const fn doubling(&self) -> (Duration, Duration) {
        match self.pauses {
            Pauses::Doubling { base, cap } => (base, cap),
            Pauses::Listed { .. } | Pauses::Fixed(_) => (FIRST_PAUSE, LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_with_jitter_until_the_cap_and_then_end() {
        let retry = Retry::times(20);
        assert_eq!(retry.pause(1, 1.0), Some(Duration::from_secs(1)));
        assert_eq!(retry.pause(1, 0.0), Some(Duration::from_millis(500)));
        assert_eq!(retry.pause(3, 1.0), Some(Duration::from_secs(4)));
        assert_eq!(retry.pause(20, 1.0), Some(Duration::from_secs(300)));
        assert_eq!(retry.pause(21, 1.0), None);
        assert_eq!(Retry::never().pause(1, 1.0), None);
    }

    #[test]
    fn listed_pauses_have_jitter_on_top_and_the_last_one_repeats() {
        const LIST: &[Duration] = &[Duration::from_secs(15), Duration::from_secs(30)];
        let jitter = Duration::from_secs(30);
        let retry = Retry::times(20).with_pauses(Pauses::Listed {
            pauses: LIST,
            jitter,
        });
        assert_eq!(retry.pause(1, 0.0), Some(Duration::from_secs(15)));
        assert_eq!(retry.pause(2, 1.0), Some(Duration::from_secs(60)));
        assert_eq!(retry.pause(9, 0.0), Some(Duration::from_secs(30)));
        let fixed = retry.with_pauses(Pauses::Fixed(jitter));
        assert_eq!(fixed.pause(7, 0.3), Some(jitter));
    }

    #[test]
    fn forgiven_failures_do_not_count() {
        let retry = Retry::times(1).forgiving(3);
        assert_eq!(retry.pause(4, 1.0), Some(Duration::from_secs(1)));
        assert_eq!(retry.pause(5, 1.0), None);
    }
}

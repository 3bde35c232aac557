//! When a failed attempt is tried again.

use std::time::Duration;

/// How often, and after what pause, something is tried again.
///
/// The pause doubles from `base` up to `cap`; half to all of it is taken, by chance, so that many failures do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    retries: u32,
    base: Duration,
    cap: Duration,
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
            base: Duration::from_secs(1),
            cap: Duration::from_secs(300),
        }
    }

    /// No second try.
    #[must_use]
    pub const fn never() -> Self {
        Self::times(0)
    }

    /// The pause before the first retry (1 s).
    #[must_use]
    pub const fn with_base(self, base: Duration) -> Self {
        Self { base, ..self }
    }

    /// The longest pause (5 min).
    #[must_use]
    pub const fn with_cap(self, cap: Duration) -> Self {
        Self { cap, ..self }
    }

    /// How many tries there are after the first.
    #[must_use]
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// The pause after so many failures, with chance given as a number from 0 to 1; nothing when no try is left.
    #[must_use]
    pub fn pause(&self, failures: u32, chance: f64) -> Option<Duration> {
        if failures > self.retries {
            return None;
        }
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.base.saturating_mul(1 << doublings).min(self.cap);
        Some(full.mul_f64(chance.clamp(0.0, 1.0).mul_add(0.5, 0.5)))
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
}

//! How long to wait before the next try: longer each time, and never as long as others who lost the same server.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// Waits that grow from 0.1 s to 30 s by doubling, each cut by up to a half by chance.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    chance: u64,
}

impl Backoff {
    /// One whose chance is decided by a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            failures: 0,
            chance: seed | 1,
        }
    }

    /// The next wait.
    pub(super) fn wait(&mut self) -> Duration {
        let whole = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Marsaglia's xorshift: nobody has to be kept from guessing it.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let part = u32::try_from(self.chance >> 48).unwrap_or_default();
        whole / 2 + whole / 2 * part / 0x1_0000
    }

    /// It has worked: the next wait is a short one.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let (mut one, mut other) = (Backoff::new(1), Backoff::new(0x9E37_79B9_7F4A_7C15));
        let mut are_equal = true;
        for failures in 0..40_u32 {
            let whole = FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST);
            let (first, second) = (one.wait(), other.wait());
            for wait in [first, second] {
                assert!(wait >= whole / 2 && wait <= whole, "{failures}: {wait:?}");
            }
            are_equal &= first == second;
        }
        assert!(!are_equal);
        one.reset();
        assert!(one.wait() <= FIRST);
    }
}

//! Everything that is left to chance, from one seed.

use std::sync::{Arc, Mutex};

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Random numbers. A cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Chance(Arc<Mutex<StdRng>>);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Numbers of its own, so that what draws them does not disturb others.
    pub(crate) fn fork(&self) -> Self {
        Self::new(self.number())
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.lock().unwrap().random()
    }

    /// From 0 to below `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.number() % end
    }

    pub(crate) fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    /// One of the kinds, which come as often as their weights say.
    pub(crate) fn weighted<T: Copy>(&self, kinds: &[(u64, T)]) -> T {
        let mut left = self.below(kinds.iter().map(|(weight, _)| weight).sum());
        for (weight, kind) in kinds {
            if left < *weight {
                return *kind;
            }
            left -= weight;
        }
        unreachable!("the number is below the sum")
    }
}

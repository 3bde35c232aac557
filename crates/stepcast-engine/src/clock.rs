//! Time and chance, passed in.
//!
//! The engine reads the time and draws numbers only through these two values, so that a test can hold both in its hand.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use stepcast_protocol::{EventId, RunId, Timestamp};
use tokio::sync::Notify;

/// What time it is.
///
/// Never goes back: each reading is the one before plus the larger of what the monotonic and the wall clock say has passed, so
/// that a wall clock set back stops nothing and a suspended machine catches up.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

enum Source {
    System(Mutex<Reading>),
    Manual {
        now: Mutex<Timestamp>,
        moved: Notify,
    },
}

struct Reading {
    now: Timestamp,
    monotonic: Instant,
    wall: Timestamp,
}

/// How long a wait on the system clock may take before the wall clock is looked at again (it may have jumped).
const LONGEST_NAP: Duration = Duration::from_secs(1);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        let wall = wall_time();
        Self(Arc::new(Source::System(Mutex::new(Reading {
            now: wall,
            monotonic: Instant::now(),
            wall,
        }))))
    }

    /// A clock that only [`Self::advance`] moves.
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self(Arc::new(Source::Manual {
            now: Mutex::new(now),
            moved: Notify::new(),
        }))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::Manual { now, .. } => *now.lock(),
            Source::System(reading) => reading.lock().advance(Instant::now(), wall_time()),
        }
    }

    /// Moves a manual clock. The system's clock cannot be moved and ignores it.
    pub fn advance(&self, by: Duration) {
        match &*self.0 {
            Source::System(_) => {}
            Source::Manual { now, moved } => {
                let mut now = now.lock();
                *now = *now + by;
                moved.notify_waiters();
            }
        }
    }

    /// Waits until the time has come.
    pub async fn wait_until(&self, at: Timestamp) {
        match &*self.0 {
            Source::System(_) => loop {
                let left = at.since(self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LONGEST_NAP)).await;
            },
            Source::Manual { now, moved } => loop {
                let next_move = moved.notified();
                tokio::pin!(next_move);
                // Registers before looking, so that a move between the look and the wait is not missed.
                next_move.as_mut().enable();
                if *now.lock() >= at {
                    return;
                }
                next_move.await;
            },
        }
    }
}

impl Reading {
    fn advance(&mut self, monotonic: Instant, wall: Timestamp) -> Timestamp {
        let passed = monotonic
            .saturating_duration_since(self.monotonic)
            .max(wall.since(self.wall));
        // Below a millisecond nothing is consumed, so that many short steps add up.
        if passed >= Duration::from_millis(1) {
            *self = Self {
                now: self.now + passed,
                monotonic,
                wall,
            };
        }
        self.now
    }
}

fn wall_time() -> Timestamp {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// Where random numbers come from.
#[derive(Clone)]
pub struct Entropy(Arc<Mutex<StdRng>>);

impl Entropy {
    /// The operating system's.
    ///
    /// # Panics
    /// When the operating system gives no random bytes, without which no secret can be made.
    #[must_use]
    pub fn system() -> Self {
        let rng = StdRng::try_from_rng(&mut rand::rngs::SysRng)
            .expect("the operating system gives random bytes");
        Self(Arc::new(Mutex::new(rng)))
    }

    /// The same numbers for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// A number from 0 to below 1.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        self.0.lock().random()
    }

    /// Random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        self.0.lock().random()
    }

    /// A new run's id.
    #[must_use]
    pub fn run_id(&self, now: Timestamp) -> RunId {
        let (millis, random) = self.id_parts(now);
        RunId::from_parts(millis, random)
    }

    /// A new event's id.
    #[must_use]
    pub fn event_id(&self, now: Timestamp) -> EventId {
        let (millis, random) = self.id_parts(now);
        EventId::from_parts(millis, random)
    }

    fn id_parts(&self, now: Timestamp) -> (u64, u128) {
        const RANDOM_BITS: u32 = 80;
        let random = self.0.lock().random::<u128>() & ((1 << RANDOM_BITS) - 1);
        (u64::try_from(now.as_millis()).unwrap_or(0), random)
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_set_back_stops_nothing_and_one_set_forward_is_followed() {
        let start = Instant::now();
        let mut reading = Reading {
            now: Timestamp::from_millis(1_000),
            monotonic: start,
            wall: Timestamp::from_millis(1_000),
        };
        let back = Timestamp::from_millis(-86_400_000);
        assert_eq!(
            reading
                .advance(start + Duration::from_millis(5), back)
                .as_millis(),
            1_005
        );
        let suspended = back + Duration::from_secs(60);
        assert_eq!(
            reading
                .advance(start + Duration::from_millis(6), suspended)
                .as_millis(),
            61_005
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let now = Timestamp::from_millis(1_000);
        assert_eq!(
            Entropy::seeded(7).run_id(now),
            Entropy::seeded(7).run_id(now)
        );
        assert_ne!(
            Entropy::seeded(7).run_id(now),
            Entropy::seeded(8).run_id(now)
        );
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_those_who_wait() {
        let clock = Clock::manual(Timestamp::from_millis(0));
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.wait_until(Timestamp::from_millis(10)).await }
        });
        clock.advance(Duration::from_millis(10));
        waiting.await.unwrap();
    }
}

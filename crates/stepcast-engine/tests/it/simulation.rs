//! The whole engine over a store in memory, in one thread, with everything left to chance: what functions do, when batches are committed,
//! what crashes and fails. A model holds what it sees against what is promised. `SEED=n` repeats one simulation,
//! `STEPCAST_SIM_SEEDS=n` makes it many more.

mod chance;
mod journal;
mod ledger;
mod player;
mod program;
mod reader;
pub(crate) mod sdk;
mod world;

use std::{
    env,
    panic::catch_unwind,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use self::world::simulate;

const SEEDS: u64 = 100;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_happens_twice() {
    let (first, count) = match number("SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("STEPCAST_SIM_SEEDS").unwrap_or(SEEDS)),
    };
    let next = AtomicU64::new(first);
    let live = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            if catch_unwind(|| simulate(seed)).is_err() {
                next.store(u64::MAX / 2, Ordering::Relaxed);
                panic!("this simulation has failed; repeat it with SEED={seed}");
            }
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            scope.spawn(live);
        }
    });
}

#[test]
fn the_same_seed_gives_the_same_simulation() {
    let hashes = |_| [3, 17, 40].map(simulate);
    assert_eq!(hashes(()), hashes(()));
    assert_ne!(simulate(3), simulate(17));
}

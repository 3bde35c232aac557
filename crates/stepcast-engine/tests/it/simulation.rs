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
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use self::world::simulate;

const SEEDS: u64 = 400;
/// Seeds that once found a mistake. They live through the same as long as nobody draws otherwise.
const FOUND: [u64; 12] = [
    242, 296, 300, 338, 569, 616, 1_186, 1_262, 1_929, 3_681, 3_826, 4_507,
];

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_happens_twice() {
    let seeds: Vec<_> = match number("SEED") {
        Some(seed) => vec![seed],
        None => {
            let count = number("STEPCAST_SIM_SEEDS").unwrap_or(SEEDS);
            FOUND.into_iter().chain(0..count).collect()
        }
    };
    let next = AtomicUsize::new(0);
    let live = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            if catch_unwind(|| simulate(*seed)).is_err() {
                next.store(seeds.len(), Ordering::Relaxed);
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

//! The calls that this process has made to apps, by the ids that they know them by.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use stepcast_engine::clock::Entropy;
use stepcast_protocol::{RequestId, Timestamp, limits};

/// Bytes of an id that say when it was made; those of the life come next.
const TIME_BYTES: usize = 6;
const LIFE_BYTES: usize = 5;
/// The rest of an id counts the calls of a life.
const COUNTED_BITS: u32 = 40;

/// Gives calls their ids, and knows which calls came to nothing, up to a bound: their apps may go on without knowing it.
#[derive(Debug)]
pub(super) struct Calls {
    /// At random, and in every id: calls of an earlier process were lost with it.
    life: [u8; LIFE_BYTES],
    made: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls under way.
    open: BTreeSet<RequestId>,
    /// Calls that came to nothing.
    lost: BTreeSet<RequestId>,
    /// The same in the order in which they were lost.
    order: VecDeque<RequestId>,
}

impl Calls {
    pub(super) fn new(entropy: &Entropy) -> Self {
        Self {
            life: entropy.bytes(),
            made: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// The id of a call that begins.
    pub(super) fn begin(&self, now: Timestamp) -> RequestId {
        let life = self.life.iter();
        let life = life.fold(0, |bits, byte| bits << 8 | u128::from(*byte));
        let number = u128::from(self.made.fetch_add(1, Ordering::Relaxed));
        let counted = number & ((1 << COUNTED_BITS) - 1);
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let call = RequestId::from_parts(millis, life << COUNTED_BITS | counted);
        self.state.lock().open.insert(call);
        call
    }

    /// A call has ended, and what it had on its way counts.
    pub(super) fn end(&self, call: RequestId) {
        self.state.lock().open.remove(&call);
    }

    /// A call has no result that counts. When there are too many, the one that was lost first is forgotten.
    pub(super) fn lose(&self, call: RequestId) {
        let State { open, lost, order } = &mut *self.state.lock();
        open.remove(&call);
        if lost.insert(call) {
            order.push_back(call);
        }
        if order.len() > limits::LOST_CALLS_REMEMBERED
            && let Some(first) = order.pop_front()
        {
            lost.remove(&first);
        }
    }

    /// Whether a call has come to nothing: another goes on in its place.
    pub(super) fn is_lost(&self, call: RequestId) -> bool {
        let bytes = call.to_bytes();
        let life = &bytes[TIME_BYTES..TIME_BYTES + LIFE_BYTES];
        life != self.life || self.state.lock().lost.contains(&call)
    }

    /// Whether a call is under way.
    pub(super) fn is_open(&self, call: RequestId) -> bool {
        self.state.lock().open.contains(&call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_462_334_977);

    #[test]
    fn calls_are_told_apart() {
        let calls = Calls::new(&Entropy::seeded(1));
        let [one, other] = [calls.begin(NOW), calls.begin(NOW)];
        assert_ne!(one, other);
        assert_eq!(one.created_at(), NOW);
        calls.lose(one);
        assert!(calls.is_lost(one) && !calls.is_lost(other));
        assert!(!calls.is_open(one) && calls.is_open(other));
        calls.end(other);
        assert!(!calls.is_open(other) && !calls.is_lost(other));
    }

    #[test]
    fn those_of_another_process_are_lost() {
        let [before, now] = [1, 2].map(|seed| Calls::new(&Entropy::seeded(seed)));
        let call = before.begin(NOW);
        assert!(!before.is_lost(call) && now.is_lost(call));
    }

    #[test]
    fn a_bound_keeps_those_that_were_lost_last_however_long_they_took() {
        let calls = Calls::new(&Entropy::seeded(1));
        let [long, first] = [calls.begin(NOW), calls.begin(NOW)];
        calls.lose(first);
        for _ in 1..limits::LOST_CALLS_REMEMBERED {
            calls.lose(calls.begin(NOW));
        }
        calls.lose(long);
        assert!(!calls.is_lost(first) && calls.is_lost(long));
    }
}

//! Waits of which an event may end only one, while they are on their way to the store: two that come together are not both on record yet.
//! From their commit on they are known to `waits`.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use stepcast_protocol::{EventName, RunId, StepId, sdk::Conflict};

/// A step of a run.
pub(super) type Waiter = (RunId, StepId);

/// All claims. A cheap handle.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    by_event: HashMap<EventName, Held>,
    next: u64,
}

struct Held {
    by: Waiter,
    number: u64,
}

/// The right of one step to be the one that waits. It goes with what was to be committed: after the commit, when that is refused, and when
/// the run leaves memory.
pub(super) struct Claim {
    claims: Claims,
    event: EventName,
    number: u64,
}

impl Claims {
    /// Says that a step is about to wait, and whose claim that replaces.
    ///
    /// # Errors
    /// The one who has a claim and is not to be replaced.
    pub(super) fn take(
        &self,
        event: &EventName,
        by: Waiter,
        conflict: Conflict,
    ) -> Result<(Claim, Option<Waiter>), Waiter> {
        let mut state = self.0.lock();
        let held = state.by_event.get(event).map(|held| held.by.clone());
        let other = held.filter(|held| *held != by);
        if let (Some(other), Conflict::Fail) = (&other, conflict) {
            return Err(other.clone());
        }
        let number = state.next;
        state.next += 1;
        state.by_event.insert(event.clone(), Held { by, number });
        let claim = Claim {
            claims: self.clone(),
            event: event.clone(),
            number,
        };
        Ok((claim, other))
    }
}

impl Claim {
    /// Whether nobody has replaced it.
    pub(super) fn is_current(&self) -> bool {
        let state = self.claims.0.lock();
        let held = state.by_event.get(&self.event);
        held.is_some_and(|held| held.number == self.number)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.claims.0.lock();
        let held = state.by_event.get(&self.event);
        if held.is_some_and(|held| held.number == self.number) {
            state.by_event.remove(&self.event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(n: u128) -> Waiter {
        (RunId::from_parts(1, n), StepId::parse("w").unwrap())
    }

    #[test]
    fn a_claim_lasts_until_it_is_let_go_of_or_replaced() {
        let (claims, event) = (Claims::default(), EventName::parse("e").unwrap());
        let take = |n, conflict| claims.take(&event, waiter(n), conflict);
        let (first, _) = take(1, Conflict::Fail).ok().unwrap();
        assert_eq!(take(2, Conflict::Fail).err(), Some(waiter(1)));
        let (again, other) = take(1, Conflict::Fail).ok().unwrap();
        assert_eq!(other, None);
        drop(first);
        assert!(again.is_current());
        let (second, other) = take(2, Conflict::Replace).ok().unwrap();
        assert_eq!(other, Some(waiter(1)));
        assert!(!again.is_current());
        drop(again);
        assert!(second.is_current());
        drop(second);
        assert!(take(3, Conflict::Fail).is_ok());
    }
}

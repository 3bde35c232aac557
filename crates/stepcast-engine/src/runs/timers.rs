//! What happens at a time. Holds the next timers in memory and leaves later ones in the store.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use stepcast_protocol::Timestamp;
use tokio::sync::Notify;

use crate::store::Timer;

/// Timers that are read from the store at a time; twice as many are held at most.
pub(super) const PAGE: usize = 10_000;

#[derive(Default)]
struct State {
    timers: BTreeSet<Timer>,
    /// Later timers than this one are in the store only; nothing when all are here.
    horizon: Option<Timer>,
}

/// The timers of all runs.
#[derive(Default)]
pub(super) struct Timers {
    state: Mutex<State>,
    pub(super) changed: Notify,
}

/// What to do about timers.
pub(super) enum Due {
    /// These have come.
    Fire(Vec<Timer>),
    /// Look again at this time.
    At(Timestamp),
    /// Read the next page of the store, after this timer.
    Load(Option<Timer>),
    /// Nothing, until something changes.
    Never,
}

impl Timers {
    /// Forgets all; the store knows them.
    pub(super) fn clear(&self) {
        let beginning = Timer {
            at: Timestamp::from_millis(i64::MIN),
            run: stepcast_protocol::RunId::from_bytes([0; 16]),
            step: None,
        };
        *self.state.lock() = State {
            timers: BTreeSet::new(),
            horizon: Some(beginning),
        };
        self.changed.notify_one();
    }

    pub(super) fn set(&self, timer: Timer) {
        let mut state = self.state.lock();
        if state
            .horizon
            .as_ref()
            .is_some_and(|horizon| timer > *horizon)
        {
            return;
        }
        state.timers.insert(timer);
        if state.timers.len() > 2 * PAGE {
            let later = state
                .timers
                .iter()
                .nth(PAGE)
                .cloned()
                .expect("there are more than a page");
            drop(state.timers.split_off(&later));
            state.horizon = state.timers.last().cloned();
        }
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn remove(&self, timer: &Timer) {
        self.state.lock().timers.remove(timer);
    }

    /// What the store answered to [`Due::Load`].
    pub(super) fn loaded(&self, page: Vec<Timer>) {
        let mut state = self.state.lock();
        state.horizon = if page.len() < PAGE {
            None
        } else {
            page.last().cloned()
        };
        state.timers.extend(page);
    }

    /// What there is to do now. Timers to fire are taken out.
    pub(super) fn due(&self, now: Timestamp) -> Due {
        let mut state = self.state.lock();
        let Some(first) = state.timers.first() else {
            return state
                .horizon
                .clone()
                .map_or(Due::Never, |horizon| Due::Load(Some(horizon)));
        };
        if first.at > now {
            return Due::At(first.at);
        }
        let mut fired = Vec::new();
        while state.timers.first().is_some_and(|timer| timer.at <= now) {
            fired.extend(state.timers.pop_first());
        }
        Due::Fire(fired)
    }
}

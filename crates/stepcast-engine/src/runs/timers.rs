//! What happens at a time. Holds the next timers in memory and leaves later ones in the store.

use std::{collections::BTreeSet, sync::Arc};

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
    /// Later timers that were set while the store is being read, and may not be among what was read.
    set_meanwhile: Option<Vec<Timer>>,
}

/// The timers of all runs.
#[derive(Default)]
pub(super) struct Timers {
    state: Mutex<State>,
    changed: Arc<Notify>,
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
    /// Told when there may be something else to do than [`Self::due`] said.
    pub(super) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Forgets all; the store knows them.
    pub(super) fn clear(&self) {
        let beginning = Timer {
            at: Timestamp::from_millis(i64::MIN),
            run: stepcast_protocol::RunId::from_bytes([0; 16]),
            step: None,
        };
        *self.state.lock() = State {
            horizon: Some(beginning),
            ..State::default()
        };
        self.changed.notify_one();
    }

    /// How many are in memory.
    pub(super) fn len(&self) -> usize {
        self.state.lock().timers.len()
    }

    pub(super) fn set(&self, timer: Timer) {
        let mut state = self.state.lock();
        if state
            .horizon
            .as_ref()
            .is_some_and(|horizon| timer > *horizon)
        {
            if let Some(set_meanwhile) = &mut state.set_meanwhile {
                set_meanwhile.push(timer);
            }
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
        let mut state = self.state.lock();
        state.timers.remove(timer);
        if let Some(set_meanwhile) = &mut state.set_meanwhile {
            set_meanwhile.retain(|set| set != timer);
        }
    }

    /// What the store answered to [`Due::Load`]. An answer from before [`Self::clear`] counts no more.
    pub(super) fn loaded(&self, page: Vec<Timer>) {
        let mut state = self.state.lock();
        let Some(set_meanwhile) = state.set_meanwhile.take() else {
            return;
        };
        state.horizon = if page.len() < PAGE {
            None
        } else {
            page.last().cloned()
        };
        state.timers.extend(page);
        let State {
            timers, horizon, ..
        } = &mut *state;
        let is_near = |timer: &Timer| horizon.as_ref().is_none_or(|horizon| timer <= horizon);
        timers.extend(set_meanwhile.into_iter().filter(is_near));
    }

    /// What there is to do now. Timers to fire are taken out.
    pub(super) fn due(&self, now: Timestamp) -> Due {
        let mut state = self.state.lock();
        let Some(first) = state.timers.first() else {
            let Some(horizon) = state.horizon.clone() else {
                return Due::Never;
            };
            state.set_meanwhile = Some(Vec::new());
            return Due::Load(Some(horizon));
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

#[cfg(test)]
mod tests {
    use stepcast_protocol::RunId;

    use super::*;

    fn timer(at: i64) -> Timer {
        Timer {
            at: Timestamp::from_millis(at),
            run: RunId::from_parts(1, 1),
            step: None,
        }
    }

    fn fires(timers: &Timers, at: i64) -> Vec<i64> {
        match timers.due(Timestamp::from_millis(at)) {
            Due::Fire(fired) => fired.iter().map(|timer| timer.at.as_millis()).collect(),
            Due::At(_) | Due::Load(_) | Due::Never => Vec::new(),
        }
    }

    #[test]
    fn a_timer_set_while_the_store_is_read_is_kept() {
        let timers = Timers::default();
        timers.clear();
        timers.set(timer(1));
        assert!(matches!(
            timers.due(Timestamp::from_millis(9)),
            Due::Load(_)
        ));
        timers.set(timer(5));
        timers.set(timer(6));
        timers.remove(&timer(6));
        timers.loaded(vec![timer(1), timer(3)]);
        assert_eq!(fires(&timers, 9), [1, 3, 5]);
        assert!(matches!(timers.due(Timestamp::from_millis(9)), Due::Never));
    }

    #[test]
    fn an_answer_from_before_a_new_start_counts_no_more() {
        let timers = Timers::default();
        timers.clear();
        assert!(matches!(
            timers.due(Timestamp::from_millis(9)),
            Due::Load(_)
        ));
        timers.clear();
        timers.loaded(vec![]);
        assert!(matches!(
            timers.due(Timestamp::from_millis(9)),
            Due::Load(_)
        ));
    }

    #[test]
    fn many_timers_are_held_in_part_and_all_fire_once_in_order() {
        let (timers, count) = (Timers::default(), 3 * PAGE as i64);
        let mut stored: BTreeSet<_> = (0..count).map(timer).collect();
        for set in &stored {
            timers.set(set.clone());
        }
        let mut fired = Vec::new();
        loop {
            match timers.due(Timestamp::from_millis(count)) {
                Due::Fire(now) => {
                    now.iter().for_each(|timer| assert!(stored.remove(timer)));
                    fired.extend(now.iter().map(|timer| timer.at.as_millis()));
                }
                Due::Load(after) => {
                    let later = stored.iter().filter(|timer| Some(*timer) > after.as_ref());
                    timers.loaded(later.take(PAGE).cloned().collect());
                }
                Due::At(_) => panic!("all are due"),
                Due::Never => break,
            }
        }
        assert_eq!(fired, (0..count).collect::<Vec<_>>());
    }
}

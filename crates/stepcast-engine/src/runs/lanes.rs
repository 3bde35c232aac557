//! Who may execute: one lane per function with its bounds, and one bound for all. Runs that find no place wait in their lane, those that were
//! executed before in front of new ones; a lane holds the ids of some and leaves the rest in the store.
//!
//! Beside its own bound a function may have [`Limit`]s that count its runs by a key, by themselves or together with those of other
//! functions. A run that finds its key taken lets those with other keys pass, also when they stand far behind it in the store.

mod lane;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use stepcast_protocol::{FunctionId, RunId};
use tokio::sync::Notify;

pub(super) use self::lane::Depth;
use self::lane::Lane;
use crate::store::{DuePlace, RunRow};

/// What a lane asks for. Called while nothing is locked but by the caller: start tasks and return.
pub(super) trait Dispatch: Send + Sync {
    /// Lease this run; the place is its own.
    fn lease(&self, run: RunId, place: Place);
    /// Read the runs of this function that are queued and due, after a place among them, and call [`Lanes::loaded`].
    fn load(&self, function: FunctionId, after: Option<DuePlace>);
    /// All places are taken while runs wait: ask idle ones to go.
    fn relieve(&self);
}

/// How many runs of one key execute at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) runs: usize,
    /// The name of what is counted together with it, where that is more than the function.
    pub(super) shared: Option<&'static str>,
}

/// A run that wants a place: one key per [`Limit`] of its function.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) place: DuePlace,
    pub(super) keys: Vec<String>,
}

impl From<&RunRow> for Candidate {
    fn from(row: &RunRow) -> Self {
        Self {
            place: DuePlace::of(row),
            keys: row.keys.clone(),
        }
    }
}

/// What is counted: by one function or by all that share it, with one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slot {
    of: Counted,
    key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    /// The limit of this number.
    Function(FunctionId, usize),
    Shared(&'static str),
}

struct State {
    lanes: BTreeMap<FunctionId, Lane>,
    taken: HashMap<Slot, usize>,
    running: usize,
    limit: usize,
    closed: bool,
    dispatch: Option<Weak<dyn Dispatch>>,
}

/// All lanes. A cheap handle.
#[derive(Clone)]
pub(super) struct Lanes(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    left: Notify,
}

/// A run's place in memory. Dropping it lets the next one in.
pub(super) struct Place {
    lanes: Lanes,
    function: FunctionId,
    slots: Vec<Slot>,
}

enum Next {
    Lease(RunId, FunctionId, Vec<Slot>),
    Load(FunctionId, Option<DuePlace>),
}

impl Lanes {
    pub(super) fn new(limit: usize) -> Self {
        let state = State {
            lanes: BTreeMap::new(),
            taken: HashMap::new(),
            running: 0,
            limit,
            closed: true,
            dispatch: None,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            left: Notify::new(),
        }))
    }

    /// Sets a function's bounds. Runs that have a place keep it.
    pub(super) fn set(&self, function: &FunctionId, limit: usize, limits: Vec<Limit>) {
        {
            let mut state = self.0.state.lock();
            let lane = state.lanes.entry(function.clone()).or_insert_with(|| {
                let mut lane = Lane::default();
                lane.start_over();
                lane
            });
            lane.set(limit, limits);
        }
        self.fill();
    }

    /// Lets no more runs of a function in: this program does not have it any more. Those that have a place are counted until they leave it.
    pub(super) fn remove(&self, function: &FunctionId) {
        let mut state = self.0.state.lock();
        if let Some(lane) = state.lanes.get_mut(function) {
            lane.leave();
        }
        state.forget_if_over(function);
    }

    /// Starts to let runs in.
    pub(super) fn open(&self, dispatch: Weak<dyn Dispatch>) {
        {
            let mut state = self.0.state.lock();
            state.closed = false;
            state.dispatch = Some(dispatch);
            state.lanes.values_mut().for_each(Lane::start_over);
        }
        self.fill();
    }

    /// Lets nobody in any more.
    pub(super) fn close(&self) {
        self.0.state.lock().closed = true;
    }

    /// Whether nobody is let in any more.
    pub(super) fn is_closed(&self) -> bool {
        self.0.state.lock().closed
    }

    /// Whether every place is taken while somebody waits for one.
    pub(super) fn is_full(&self) -> bool {
        let state = self.0.state.lock();
        let wants = |lane: &Lane| lane.running < lane.limit && lane.has_waiting();
        state.running >= state.limit && state.lanes.values().any(wants)
    }

    /// How many runs of each function have a place or wait for one.
    pub(super) fn depths(&self) -> Vec<(FunctionId, Depth)> {
        let state = self.0.state.lock();
        let lanes = state.lanes.iter();
        lanes
            .map(|(function, lane)| (function.clone(), lane.depth()))
            .collect()
    }

    /// How many runs have a place.
    pub(super) fn running(&self) -> usize {
        self.0.state.lock().running
    }

    /// Waits until nobody has a place.
    pub(super) async fn empty(&self) {
        loop {
            let left = self.0.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.running() == 0 {
                return;
            }
            left.await;
        }
    }

    /// A place at once, unless others with the same keys wait already.
    pub(super) fn admit(&self, function: &FunctionId, keys: &[String]) -> Option<Place> {
        let mut state = self.0.state.lock();
        if state.closed || state.running >= state.limit {
            return None;
        }
        let lane = state.lanes.get(function)?;
        if lane.is_gone() || lane.may_have_waiting(keys) || lane.running >= lane.limit {
            return None;
        }
        let slots = lane.slots(function, keys);
        if !state.has_room(lane, &slots) {
            return None;
        }
        state.take(function, &slots);
        Some(Place {
            lanes: self.clone(),
            function: function.clone(),
            slots,
        })
    }

    /// A run is queued and due.
    pub(super) fn ready(&self, function: &FunctionId, candidate: Candidate) {
        {
            let mut state = self.0.state.lock();
            // Runs of a function that this program does not have wait in the store.
            match state.lanes.get_mut(function) {
                Some(lane) if !lane.is_gone() => lane.on_ready(candidate),
                Some(_) | None => return,
            }
        }
        self.fill();
    }

    /// What the store answered to [`Dispatch::load`]; `complete` when there was no more.
    pub(super) fn loaded(&self, function: &FunctionId, runs: Vec<Candidate>, complete: bool) {
        {
            let mut state = self.0.state.lock();
            state.loaded(function, runs, complete);
        }
        self.fill();
    }

    /// Gives free places to those who wait.
    pub(super) fn fill(&self) {
        loop {
            let (next, dispatch) = {
                let mut state = self.0.state.lock();
                let Some(dispatch) = state.dispatch.as_ref().and_then(Weak::upgrade) else {
                    return;
                };
                (state.next(), dispatch)
            };
            match next {
                Ok(Some(Next::Lease(run, function, slots))) => {
                    let lanes = self.clone();
                    dispatch.lease(
                        run,
                        Place {
                            lanes,
                            function,
                            slots,
                        },
                    );
                }
                Ok(Some(Next::Load(function, after))) => dispatch.load(function, after),
                Ok(None) => return,
                Err(Full) => return dispatch.relieve(),
            }
        }
    }
}

/// Every place is taken and somebody waits.
struct Full;

impl State {
    fn next(&mut self) -> Result<Option<Next>, Full> {
        if self.closed {
            return Ok(None);
        }
        let full = self.running >= self.limit;
        let mut found = None;
        for (function, lane) in &self.lanes {
            if !lane.has_waiting() {
                continue;
            }
            // Also while nobody can be let in, so that it is known who waits.
            if lane.is_empty_with_more() {
                found = Some((function.clone(), None));
                break;
            }
            if lane.running >= lane.limit {
                continue;
            }
            if full {
                return Err(Full);
            }
            let first = self.first_with_room(function, lane);
            if first.is_some() || lane.can_look_further() {
                let first = first.map(|(keys, slots)| (keys.to_vec(), slots));
                found = Some((function.clone(), first));
                break;
            }
        }
        let Some((function, first)) = found else {
            return Ok(None);
        };
        let lane = self.lanes.get_mut(&function).expect("it was just found");
        let Some((keys, slots)) = first else {
            let after = lane.load();
            return Ok(Some(Next::Load(function, after)));
        };
        let run = lane.pop(&keys);
        self.take(&function, &slots);
        Ok(Some(Next::Lease(run, function, slots)))
    }

    fn loaded(&mut self, function: &FunctionId, runs: Vec<Candidate>, complete: bool) {
        // Out of the map, as it is asked who has room.
        let Some(mut lane) = self.lanes.remove(function) else {
            return;
        };
        let last = runs.last().map(|candidate| candidate.place);
        let mut has_skipped = false;
        if !lane.is_gone() {
            for candidate in runs {
                let has_space = lane.has_space_for(&candidate.keys) || {
                    let slots = lane.slots(function, &candidate.keys);
                    lane.is_first_of(&candidate.keys) && self.has_room(&lane, &slots)
                };
                if has_space {
                    lane.push(candidate);
                } else {
                    has_skipped |= !lane.knows(&candidate);
                }
            }
        }
        lane.on_loaded(last, has_skipped, complete);
        self.lanes.insert(function.clone(), lane);
        self.forget_if_over(function);
    }

    fn forget_if_over(&mut self, function: &FunctionId) {
        if self.lanes.get(function).is_some_and(Lane::is_over) {
            self.lanes.remove(function);
        }
    }

    /// The keys of the one whose turn it is among those for whom there is room.
    fn first_with_room<'a>(
        &self,
        function: &FunctionId,
        lane: &'a Lane,
    ) -> Option<(&'a [String], Vec<Slot>)> {
        let with_room = lane.queues().filter_map(|(keys, queue)| {
            let slots = lane.slots(function, keys);
            let has_room = self.has_room(lane, &slots);
            has_room.then_some((queue.turn()?, keys, slots))
        });
        let first = with_room.min_by_key(|(turn, _, _)| *turn);
        first.map(|(_, keys, slots)| (keys, slots))
    }

    fn has_room(&self, lane: &Lane, slots: &[Slot]) -> bool {
        let taken = |slot| self.taken.get(slot).copied().unwrap_or(0);
        let mut slots = slots.iter().zip(lane.limits());
        slots.all(|(slot, limit)| taken(slot) < limit.runs)
    }

    fn take(&mut self, function: &FunctionId, slots: &[Slot]) {
        if let Some(lane) = self.lanes.get_mut(function) {
            lane.running += 1;
        }
        self.running += 1;
        for slot in slots {
            *self.taken.entry(slot.clone()).or_default() += 1;
        }
    }

    fn give_back(&mut self, function: &FunctionId, slots: &[Slot]) {
        self.running -= 1;
        if let Some(lane) = self.lanes.get_mut(function) {
            lane.running = lane.running.saturating_sub(1);
        }
        for slot in slots {
            if let Some(taken) = self.taken.get_mut(slot) {
                *taken -= 1;
                if *taken == 0 {
                    self.taken.remove(slot);
                }
            }
        }
        self.lanes.values_mut().for_each(Lane::on_room);
        self.forget_if_over(function);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.lanes.0.state.lock();
            state.give_back(&self.function, &self.slots);
        }
        self.lanes.0.left.notify_waiters();
        self.lanes.fill();
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.function).finish()
    }
}

#[cfg(test)]
mod tests;

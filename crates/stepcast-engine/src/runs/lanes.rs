//! Who may execute: one lane per function with its bounds, and one bound for all. Runs that find no place wait in their lane, those that were
//! executed before in front of new ones; a lane holds the ids of some and leaves the rest in the store.
//!
//! Beside its own bound a function may have [`Limit`]s that count its runs by a key, by themselves or together with those of other
//! functions. A run that finds its key taken lets those with other keys pass.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use stepcast_protocol::{FunctionId, RunId};
use tokio::sync::Notify;

use crate::store::RunRow;

/// Ids that one lane holds in memory.
const READY: usize = 4_096;

/// What a lane asks for. Called while nothing is locked but by the caller: start tasks and return.
pub(super) trait Dispatch: Send + Sync {
    /// Lease this run; the place is its own.
    fn lease(&self, run: RunId, place: Place);
    /// Read the runs of this function that are queued and due, and call [`Lanes::loaded`].
    fn load(&self, function: FunctionId);
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
    pub(super) run: RunId,
    /// Whether it was executed before.
    pub(super) is_resumed: bool,
    pub(super) keys: Vec<String>,
}

impl From<&RunRow> for Candidate {
    fn from(row: &RunRow) -> Self {
        Self {
            run: row.id,
            is_resumed: row.lease > 0,
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

/// Those who wait with the same keys.
#[derive(Default)]
struct Queue {
    resumed: VecDeque<(u64, RunId)>,
    new: VecDeque<(u64, RunId)>,
}

impl Queue {
    /// Where its first one stands among all of the lane.
    fn turn(&self) -> Option<(bool, u64)> {
        match (self.resumed.front(), self.new.front()) {
            (Some((turn, _)), _) => Some((false, *turn)),
            (None, Some((turn, _))) => Some((true, *turn)),
            (None, None) => None,
        }
    }

    fn pop(&mut self) -> Option<RunId> {
        let first = self.resumed.pop_front().or_else(|| self.new.pop_front());
        first.map(|(_, run)| run)
    }
}

/// What a lane holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Depth {
    pub(super) running: usize,
    /// Those in memory.
    pub(super) queued: usize,
    /// Whether the store may have others.
    pub(super) has_more: bool,
}

#[derive(Default)]
struct Lane {
    limit: usize,
    limits: Vec<Limit>,
    running: usize,
    ready: BTreeMap<Vec<String>, Queue>,
    waiting: usize,
    next_turn: u64,
    /// The store has queued runs that are not in `ready`.
    more: bool,
    loading: bool,
    /// Something became ready while the store was being read, and may not be among what was read.
    missed: bool,
}

impl Lane {
    fn has_waiting(&self) -> bool {
        self.waiting > 0 || self.more
    }

    fn push(&mut self, candidate: Candidate) {
        let Candidate {
            run,
            is_resumed,
            keys,
        } = candidate;
        let queue = self.ready.entry(keys).or_default();
        let turn = (self.next_turn, run);
        if is_resumed {
            queue.resumed.push_back(turn);
        } else {
            queue.new.push_back(turn);
        }
        self.next_turn += 1;
        self.waiting += 1;
    }

    fn slots(&self, function: &FunctionId, keys: &[String]) -> Vec<Slot> {
        let slot = |(number, (limit, key)): (usize, (&Limit, &String))| Slot {
            of: match limit.shared {
                Some(name) => Counted::Shared(name),
                None => Counted::Function(function.clone(), number),
            },
            key: key.clone(),
        };
        self.limits.iter().zip(keys).enumerate().map(slot).collect()
    }
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
    Load(FunctionId),
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
            let lane = state.lanes.entry(function.clone()).or_insert_with(|| Lane {
                more: true,
                ..Lane::default()
            });
            (lane.limit, lane.limits) = (limit, limits);
        }
        self.fill();
    }

    /// Lets no more runs of a function in: this program does not have it any more.
    pub(super) fn remove(&self, function: &FunctionId) {
        self.0.state.lock().lanes.remove(function);
    }

    /// Starts to let runs in.
    pub(super) fn open(&self, dispatch: Weak<dyn Dispatch>) {
        {
            let mut state = self.0.state.lock();
            state.closed = false;
            state.dispatch = Some(dispatch);
            for lane in state.lanes.values_mut() {
                lane.more = true;
                lane.missed = lane.loading;
            }
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
        let depth = |(function, lane): (&FunctionId, &Lane)| {
            let depth = Depth {
                running: lane.running,
                queued: lane.waiting,
                has_more: lane.more,
            };
            (function.clone(), depth)
        };
        state.lanes.iter().map(depth).collect()
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
        if lane.more || lane.ready.contains_key(keys) || lane.running >= lane.limit {
            return None;
        }
        let slots = lane.slots(function, keys);
        if !state.has_room(function, &slots) {
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
            let Some(lane) = state.lanes.get_mut(function) else {
                return;
            };
            // One that was executed before goes in front of those in the store. Should a read of the store name it too, the second lease
            // finds it taken.
            let has_room = lane.waiting < READY && (!lane.more || candidate.is_resumed);
            if !has_room {
                lane.more = true;
                lane.missed = lane.loading;
            } else {
                lane.push(candidate);
            }
        }
        self.fill();
    }

    /// What the store answered to [`Dispatch::load`]; `complete` when there was no more.
    pub(super) fn loaded(&self, function: &FunctionId, runs: Vec<Candidate>, complete: bool) {
        {
            let mut state = self.0.state.lock();
            let Some(lane) = state.lanes.get_mut(function) else {
                return;
            };
            lane.loading = false;
            lane.more = std::mem::take(&mut lane.missed) || !complete;
            runs.into_iter().for_each(|run| lane.push(run));
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
                Ok(Some(Next::Load(function))) => dispatch.load(function),
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
            // Only an empty lane asks the store, which would name those again that wait for a key; also while nobody can be let in, so that
            // it is known who waits.
            if lane.waiting == 0 && !lane.loading {
                let function = function.clone();
                let lane = self.lanes.get_mut(&function).expect("it was just found");
                lane.loading = true;
                return Ok(Some(Next::Load(function)));
            }
            if lane.running >= lane.limit {
                continue;
            }
            if full {
                return Err(Full);
            }
            if let Some((keys, slots)) = self.first_with_room(function, lane) {
                found = Some((function.clone(), keys.to_vec(), slots));
                break;
            }
        }
        let Some((function, keys, slots)) = found else {
            return Ok(None);
        };
        let lane = self.lanes.get_mut(&function).expect("it was just found");
        let queue = lane.ready.get_mut(&keys).expect("it was just found");
        let run = queue.pop().expect("somebody waits in it");
        if queue.turn().is_none() {
            lane.ready.remove(&keys);
        }
        lane.waiting -= 1;
        self.take(&function, &slots);
        Ok(Some(Next::Lease(run, function, slots)))
    }

    /// The keys of the one whose turn it is among those for whom there is room.
    fn first_with_room<'a>(
        &self,
        function: &FunctionId,
        lane: &'a Lane,
    ) -> Option<(&'a [String], Vec<Slot>)> {
        let with_room = lane.ready.iter().filter_map(|(keys, queue)| {
            let slots = lane.slots(function, keys);
            let has_room = self.has_room(function, &slots);
            has_room.then_some((queue.turn()?, keys.as_slice(), slots))
        });
        let first = with_room.min_by_key(|(turn, _, _)| *turn);
        first.map(|(_, keys, slots)| (keys, slots))
    }

    fn has_room(&self, function: &FunctionId, slots: &[Slot]) -> bool {
        let Some(lane) = self.lanes.get(function) else {
            return false;
        };
        let taken = |slot| self.taken.get(slot).copied().unwrap_or(0);
        let mut slots = slots.iter().zip(&lane.limits);
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

//! Who may execute: one lane per function with its bound, and one bound for all. Runs that find no place wait in their lane; a lane holds the
//! ids of some and leaves the rest in the store.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use stepcast_protocol::{FunctionId, RunId};
use tokio::sync::Notify;

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

#[derive(Default)]
struct Lane {
    limit: usize,
    running: usize,
    ready: VecDeque<RunId>,
    /// The store has queued runs that are not in `ready`.
    more: bool,
    loading: bool,
    /// Something became ready while the store was being read, and may not be among what was read.
    missed: bool,
}

impl Lane {
    fn has_waiting(&self) -> bool {
        !self.ready.is_empty() || self.more
    }
}

struct State {
    lanes: BTreeMap<FunctionId, Lane>,
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
}

enum Next {
    Lease(RunId, FunctionId),
    Load(FunctionId),
}

impl Lanes {
    pub(super) fn new(
        functions: impl IntoIterator<Item = (FunctionId, usize)>,
        limit: usize,
    ) -> Self {
        let lane = |limit| Lane {
            limit,
            more: true,
            ..Lane::default()
        };
        let lanes = functions
            .into_iter()
            .map(|(function, limit)| (function, lane(limit)))
            .collect();
        let state = State {
            lanes,
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

    /// A place at once, unless others of the function wait already.
    pub(super) fn admit(&self, function: &FunctionId) -> Option<Place> {
        let mut state = self.0.state.lock();
        if state.closed || state.running >= state.limit {
            return None;
        }
        let lane = state.lanes.get_mut(function)?;
        if lane.has_waiting() || lane.running >= lane.limit {
            return None;
        }
        lane.running += 1;
        state.running += 1;
        Some(Place {
            lanes: self.clone(),
            function: function.clone(),
        })
    }

    /// A run is queued and due.
    pub(super) fn ready(&self, function: &FunctionId, run: RunId) {
        {
            let mut state = self.0.state.lock();
            // Runs of a function that this program does not have wait in the store.
            let Some(lane) = state.lanes.get_mut(function) else {
                return;
            };
            if lane.more || lane.ready.len() >= READY {
                lane.more = true;
                lane.missed = lane.loading;
            } else {
                lane.ready.push_back(run);
            }
        }
        self.fill();
    }

    /// What the store answered to [`Dispatch::load`]; `complete` when there was no more.
    pub(super) fn loaded(&self, function: &FunctionId, runs: Vec<RunId>, complete: bool) {
        {
            let mut state = self.0.state.lock();
            let Some(lane) = state.lanes.get_mut(function) else {
                return;
            };
            lane.loading = false;
            lane.more = std::mem::take(&mut lane.missed) || !complete;
            lane.ready.extend(runs);
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
                Ok(Some(Next::Lease(run, function))) => {
                    dispatch.lease(
                        run,
                        Place {
                            lanes: self.clone(),
                            function,
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
        for (function, lane) in &mut self.lanes {
            if lane.running >= lane.limit || !lane.has_waiting() {
                continue;
            }
            if full {
                return Err(Full);
            }
            if let Some(run) = lane.ready.pop_front() {
                lane.running += 1;
                self.running += 1;
                return Ok(Some(Next::Lease(run, function.clone())));
            }
            if !lane.loading {
                lane.loading = true;
                return Ok(Some(Next::Load(function.clone())));
            }
        }
        Ok(None)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.lanes.0.state.lock();
            state.running -= 1;
            if let Some(lane) = state.lanes.get_mut(&self.function) {
                lane.running -= 1;
            }
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

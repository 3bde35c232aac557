//! One function's lane: who waits in it, and how far the store was read for it. Knows no places: whether there is room is asked of whoever
//! holds it.
//!
//! A lane knows of every run that is queued and due: it is in memory, or stands in the store behind where that was read to, or was passed
//! over because too many were in memory, which is remembered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use stepcast_protocol::{FunctionId, RunId};

use super::{Candidate, Counted, Limit, Slot};
use crate::store::DuePlace;

/// Ids that one lane holds in memory.
pub(super) const READY: usize = 4_096;
/// The same with those that wait for keys, behind which runs with other keys are looked for.
pub(super) const READY_WITH_KEYS: usize = 65_536;

/// Those who wait with the same keys.
#[derive(Default)]
pub(super) struct Queue {
    resumed: VecDeque<(u64, RunId)>,
    new: VecDeque<(u64, RunId)>,
}

impl Queue {
    /// Where its first one stands among all of the lane.
    pub(super) fn turn(&self) -> Option<(bool, u64)> {
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
pub(in crate::runs) struct Depth {
    pub(in crate::runs) running: usize,
    /// Those in memory.
    pub(in crate::runs) queued: usize,
    /// Whether the store may have others.
    pub(in crate::runs) has_more: bool,
}

#[derive(Default)]
pub(super) struct Lane {
    pub(super) limit: usize,
    limits: Vec<Limit>,
    pub(super) running: usize,
    ready: BTreeMap<Vec<String>, Queue>,
    /// The runs of `ready`.
    known: BTreeSet<RunId>,
    next_turn: u64,
    /// The program does not have the function any more; the lane stays for those who still have a place.
    is_gone: bool,
    /// The store has queued runs that are not in `ready`.
    more: bool,
    loading: bool,
    /// How far the store was read.
    after: Option<DuePlace>,
    /// Nothing was behind that.
    is_at_end: bool,
    /// Something became ready while the store was being read, and may not be among what was read.
    missed: Option<DuePlace>,
    /// Some of what was read found no room in memory.
    has_skipped: bool,
    /// Since then somebody has left, and one of those may have room now.
    look_again: bool,
}

impl Lane {
    /// The program has the function, with these bounds.
    pub(super) fn set(&mut self, limit: usize, limits: Vec<Limit>) {
        (self.limit, self.limits) = (limit, limits);
        self.look_again = true;
        if std::mem::take(&mut self.is_gone) {
            self.start_over();
        }
    }

    /// The program has the function no more: nobody waits here.
    pub(super) fn leave(&mut self) {
        self.is_gone = true;
        self.ready.clear();
        self.known.clear();
        self.more = false;
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Whether nothing comes back to it any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_gone && self.running == 0 && !self.loading
    }

    /// The store may have others than were thought: it is read from its beginning again.
    pub(super) fn start_over(&mut self) {
        if self.is_gone {
            return;
        }
        self.more = true;
        self.after = None;
        self.is_at_end = false;
        self.missed = self.loading.then(DuePlace::first);
    }

    pub(super) fn depth(&self) -> Depth {
        Depth {
            running: self.running,
            queued: self.known.len(),
            has_more: self.more,
        }
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.known.is_empty() || self.more
    }

    /// Whether somebody may wait who has these keys, too.
    pub(super) fn may_have_waiting(&self, keys: &[String]) -> bool {
        self.more || self.ready.contains_key(keys)
    }

    /// Whether there is space in memory for one more with these keys. Many may wait for keys that others wait for as well; each set of keys
    /// costs a look whenever somebody leaves, so that of those there are few.
    pub(super) fn has_space_for(&self, keys: &[String]) -> bool {
        let is_one_of_many = !self.limits.is_empty() && self.ready.contains_key(keys);
        let bound = if is_one_of_many {
            READY_WITH_KEYS
        } else {
            READY
        };
        self.known.len() < bound
    }

    /// A run is queued and due.
    pub(super) fn on_ready(&mut self, candidate: Candidate) {
        // One that was executed before goes in front of those in the store. Should a read of the store name it too, it is known.
        let is_in_turn = !self.more || !candidate.place.is_new;
        if is_in_turn && self.has_space_for(&candidate.keys) {
            self.push(candidate);
        } else {
            self.more = true;
            self.miss(candidate.place);
        }
    }

    /// What the store has there is to be read, whatever was read before.
    fn miss(&mut self, place: DuePlace) {
        if self.loading {
            self.missed = Some(self.missed.map_or(place, |missed| missed.min(place)));
        } else {
            self.after = self.after.min(Some(place.first_of_its_time()));
            self.is_at_end = false;
        }
    }

    pub(super) fn push(&mut self, candidate: Candidate) {
        let Candidate { place, keys } = candidate;
        if !self.known.insert(place.run) {
            return;
        }
        let queue = self.ready.entry(keys).or_default();
        let turn = (self.next_turn, place.run);
        if place.is_new {
            queue.new.push_back(turn);
        } else {
            queue.resumed.push_back(turn);
        }
        self.next_turn += 1;
    }

    pub(super) fn knows(&self, candidate: &Candidate) -> bool {
        self.known.contains(&candidate.place.run)
    }

    /// Whether nobody in memory has these keys.
    pub(super) fn is_first_of(&self, keys: &[String]) -> bool {
        !self.ready.contains_key(keys)
    }

    /// Takes out the first with these keys, of which there is one.
    pub(super) fn pop(&mut self, keys: &[String]) -> RunId {
        let queue = self.ready.get_mut(keys).expect("somebody has the keys");
        let run = queue.pop().expect("somebody waits in it");
        if queue.turn().is_none() {
            self.ready.remove(keys);
        }
        self.known.remove(&run);
        run
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = (&[String], &Queue)> {
        self.ready
            .iter()
            .map(|(keys, queue)| (keys.as_slice(), queue))
    }

    /// Whether the store is to be read as nobody is in memory. It is read from its beginning: who was read before is gone.
    pub(super) fn is_empty_with_more(&self) -> bool {
        self.known.is_empty() && self.more && !self.loading
    }

    /// Whether the store is to be read further, as there is room for none of those in memory.
    pub(super) fn can_look_further(&self) -> bool {
        self.more && !self.loading && (!self.is_at_end || self.look_again)
    }

    /// Begins to read the store, and says from where on.
    pub(super) fn load(&mut self) -> Option<DuePlace> {
        self.loading = true;
        if self.known.is_empty() || self.is_at_end {
            self.after = None;
            self.is_at_end = false;
            self.has_skipped = false;
            self.look_again = false;
        }
        self.after
    }

    /// The store has answered: these were taken in, but for some that were passed over, the last stands at this place.
    pub(super) fn on_loaded(&mut self, last: Option<DuePlace>, has_skipped: bool, complete: bool) {
        self.loading = false;
        self.after = last.or(self.after);
        self.is_at_end = complete;
        self.has_skipped |= has_skipped;
        if let Some(missed) = self.missed.take() {
            self.miss(missed);
        }
        self.more = !self.is_gone && (!self.is_at_end || self.has_skipped);
    }

    /// Somebody has left; what was passed over may have room now.
    pub(super) fn on_room(&mut self) {
        self.look_again |= self.has_skipped;
    }

    pub(super) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    pub(super) fn slots(&self, function: &FunctionId, keys: &[String]) -> Vec<Slot> {
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

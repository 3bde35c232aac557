use std::collections::BTreeSet;

use stepcast_protocol::Timestamp;

use super::*;

/// Notes who is let in, and keeps their places.
#[derive(Default)]
struct Door {
    inside: Mutex<Vec<(RunId, Place)>>,
    left: Mutex<BTreeSet<RunId>>,
    loads: Mutex<Vec<(FunctionId, Option<DuePlace>)>>,
}

impl Dispatch for Door {
    fn lease(&self, run: RunId, place: Place) {
        self.inside.lock().push((run, place));
    }

    fn load(&self, function: FunctionId, after: Option<DuePlace>) {
        self.loads.lock().push((function, after));
    }

    fn relieve(&self) {}
}

fn id(name: &str) -> FunctionId {
    FunctionId::parse(name).unwrap()
}

fn run(number: u128) -> RunId {
    RunId::from_parts(1, number)
}

fn new(number: u128, keys: &[&str]) -> Candidate {
    let place = DuePlace {
        is_new: true,
        due_at: Timestamp::from_millis(1),
        run: run(number),
    };
    Candidate {
        place,
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
    }
}

struct World {
    lanes: Lanes,
    door: Arc<Door>,
}

impl World {
    fn new(limit: usize, functions: &[(&str, usize, Vec<Limit>)]) -> Self {
        let world = Self::closed(limit, functions);
        world.opens(&[]);
        world
    }

    /// One that lets nobody in yet.
    fn closed(limit: usize, functions: &[(&str, usize, Vec<Limit>)]) -> Self {
        let (lanes, door) = (Lanes::new(limit), Arc::new(Door::default()));
        for (name, limit, limits) in functions {
            lanes.set(&id(name), *limit, limits.clone());
        }
        Self { lanes, door }
    }

    fn opens(&self, stored: &[Candidate]) {
        let dispatch: Weak<dyn Dispatch> = Arc::<Door>::downgrade(&self.door);
        self.lanes.open(dispatch);
        self.reads(stored);
    }

    /// The store, in the order of places, answers what is asked of it until nothing is asked any more. Says how often that was.
    fn reads(&self, stored: &[Candidate]) -> usize {
        const PAGE: usize = 1_000;
        let mut count = 0;
        loop {
            let asked = std::mem::take(&mut *self.door.loads.lock());
            if asked.is_empty() {
                return count;
            }
            for (function, after) in asked {
                count += 1;
                let is_read = |stored: &Candidate| after.is_some_and(|after| stored.place <= after);
                let behind = &stored[stored.partition_point(is_read)..];
                let queued = |stored: &&Candidate| !self.has_let_in(stored.place.run);
                let page = behind.iter().filter(queued).take(PAGE);
                let page: Vec<_> = page.cloned().collect();
                let complete = page.len() < PAGE;
                self.lanes.loaded(&function, page, complete);
            }
        }
    }

    fn has_let_in(&self, id: RunId) -> bool {
        let known = self.door.inside.lock();
        known.iter().any(|(run, _)| *run == id) || self.door.left.lock().contains(&id)
    }

    fn ready(&self, function: &str, candidate: Candidate) {
        self.lanes.ready(&id(function), candidate);
    }

    fn inside(&self) -> Vec<u128> {
        let inside = self.door.inside.lock();
        let numbers = inside.iter().map(|(run, _)| {
            let bytes = run.to_bytes();
            u128::from_be_bytes(bytes) & 0xff_ffff
        });
        numbers.collect()
    }

    fn leaves(&self, number: u128) {
        let left = {
            let mut inside = self.door.inside.lock();
            let index = inside.iter().position(|(id, _)| *id == run(number));
            inside.remove(index.unwrap())
        };
        self.door.left.lock().insert(left.0);
        drop(left);
    }
}

fn by_key(runs: usize) -> Limit {
    Limit { runs, shared: None }
}

#[test]
fn who_was_executed_before_goes_first() {
    let world = World::new(9, &[("f", 1, vec![])]);
    (0..100).for_each(|number| world.ready("f", new(number, &[])));
    let mut resumed = new(200, &[]);
    resumed.place.is_new = false;
    world.ready("f", resumed);
    assert_eq!(world.inside(), [0]);
    world.leaves(0);
    assert_eq!(world.inside(), [200]);
    world.leaves(200);
    assert_eq!(world.inside(), [1]);
}

#[test]
fn a_taken_key_lets_others_pass() {
    let world = World::new(9, &[("f", 9, vec![by_key(1)])]);
    world.ready("f", new(1, &["a"]));
    world.ready("f", new(2, &["a"]));
    world.ready("f", new(3, &["b"]));
    assert_eq!(world.inside(), [1, 3]);
    assert!(world.lanes.admit(&id("f"), &["a".to_owned()]).is_none());
    let place = world.lanes.admit(&id("f"), &["c".to_owned()]);
    assert!(place.is_some(), "nobody with that key waits or executes");
    world.leaves(1);
    assert_eq!(world.inside(), [3, 2]);
}

#[test]
fn what_is_shared_counts_for_all_functions() {
    let shared = || Limit {
        runs: 2,
        shared: Some("environment"),
    };
    let functions = [
        ("f", 9, vec![shared()]),
        ("g", 9, vec![shared(), by_key(1)]),
    ];
    let world = World::new(9, &functions);
    world.ready("f", new(1, &["a"]));
    world.ready("g", new(2, &["a", "x"]));
    world.ready("g", new(3, &["a", "y"]));
    world.ready("g", new(4, &["b", "x"]));
    assert_eq!(world.inside(), [1, 2]);
    world.leaves(2);
    assert_eq!(world.inside(), [1, 3, 4]);
}

#[test]
fn bounds_may_change_while_runs_wait() {
    let world = World::new(9, &[("f", 1, vec![])]);
    (1..4).for_each(|number| world.ready("f", new(number, &[])));
    assert_eq!(world.inside(), [1]);
    world.lanes.set(&id("f"), 2, vec![]);
    assert_eq!(world.inside(), [1, 2]);
    world.lanes.remove(&id("f"));
    world.leaves(1);
    assert_eq!((world.inside(), world.lanes.running()), (vec![2], 1));
}

#[test]
fn a_function_that_comes_back_finds_its_runs_counted() {
    let world = World::new(9, &[("f", 2, vec![by_key(1)])]);
    world.ready("f", new(1, &["a"]));
    world.ready("f", new(2, &["b"]));
    world.lanes.remove(&id("f"));
    assert!(world.lanes.admit(&id("f"), &["c".to_owned()]).is_none());
    world.ready("f", new(3, &["c"]));
    world.lanes.set(&id("f"), 2, vec![by_key(1)]);
    let stored = [new(3, &["c"]), new(4, &["d"])];
    world.reads(&stored);
    assert_eq!(world.inside(), [1, 2]);
    world.leaves(1);
    assert_eq!(world.inside(), [2, 3]);
    // When nobody is left, nothing is.
    world.lanes.remove(&id("f"));
    assert_eq!(world.lanes.depths().len(), 1);
    world.leaves(2);
    world.leaves(3);
    assert_eq!(world.lanes.depths(), []);
}

#[test]
fn an_answer_from_before_a_function_went_counts_no_more() {
    let world = World::new(9, &[("f", 1, vec![])]);
    world.ready("f", new(1, &[]));
    (2..5_000).for_each(|number| world.ready("f", new(number, &[])));
    world.lanes.remove(&id("f"));
    world.leaves(1);
    world.lanes.set(&id("f"), 1, vec![]);
    let asked = std::mem::take(&mut *world.door.loads.lock());
    world.lanes.remove(&id("f"));
    world.lanes.set(&id("f"), 1, vec![]);
    assert_eq!(world.door.loads.lock().len(), 0, "one at a time");
    for (function, _) in asked {
        world.lanes.loaded(&function, Vec::new(), true);
    }
    world.reads(&[new(7, &[])]);
    assert_eq!(world.inside(), [7]);
}

/// A key that is taken, with so many runs before one with another key.
fn backlog(count: u128) -> Vec<Candidate> {
    let blocked = (2..count + 2).map(|number| new(number, &["a"]));
    blocked.chain([new(count + 2, &["b"])]).collect()
}

#[test]
fn a_run_with_a_free_key_is_found_behind_thousands_that_wait_in_the_store() {
    for count in [999, 1_000, 5_000, 70_000_u128] {
        let world = World::closed(9, &[("f", 9, vec![by_key(1)])]);
        let mut stored = backlog(count);
        stored.insert(0, new(1, &["a"]));
        world.opens(&stored);
        assert_eq!(world.inside(), [1, count + 2], "{count}");
        let depth = world.lanes.depths()[0].1;
        assert!(depth.queued <= 65_536, "{depth:?}");
        // Nothing is read again and again while nobody leaves.
        world.lanes.fill();
        assert_eq!(world.reads(&stored), 0);
    }
}

#[test]
fn a_run_that_comes_while_thousands_wait_is_let_in_and_so_is_the_next_with_its_key() {
    for count in [5_000, 70_000_u128] {
        let world = World::new(9, &[("f", 9, vec![by_key(1)])]);
        let mut stored: Vec<Candidate> = Vec::new();
        let comes = |stored: &mut Vec<Candidate>, candidate: Candidate| {
            stored.push(candidate.clone());
            world.ready("f", candidate);
            world.reads(stored);
        };
        world.ready("f", new(1, &["a"]));
        for candidate in (2..count).map(|number| new(number, &["a"])) {
            stored.push(candidate.clone());
            world.ready("f", candidate);
        }
        world.reads(&stored);
        comes(&mut stored, new(count + 1, &["b"]));
        comes(&mut stored, new(count + 2, &["b"]));
        assert_eq!(world.inside(), [1, count + 1], "{count}");
        world.leaves(count + 1);
        world.reads(&stored);
        assert_eq!(world.inside(), [1, count + 2], "{count}");
        // Those who waited first go on, too.
        world.leaves(1);
        world.reads(&stored);
        assert_eq!(world.inside(), [count + 2, 2], "{count}");
        // One that is due earlier than what was read is not passed over.
        let mut early = new(count + 3, &["c"]);
        early.place.due_at = Timestamp::from_millis(0);
        stored.insert(0, early.clone());
        world.ready("f", early);
        world.reads(&stored);
        assert_eq!(world.inside(), [count + 2, 2, count + 3], "{count}");
    }
}

#[test]
fn of_those_with_keys_of_their_own_few_are_held() {
    // What all share is taken, so that there is room for none of them.
    let all = Limit {
        runs: 1,
        shared: Some("environment"),
    };
    let world = World::closed(9, &[("f", 9, vec![by_key(1), all])]);
    let keys = |number: u128| [format!("{number}"), "all".to_owned()];
    let candidate = |number| Candidate {
        keys: keys(number).into(),
        ..new(number, &[])
    };
    let stored: Vec<_> = (1..5_000).map(candidate).collect();
    world.opens(&stored);
    let depth = world.lanes.depths()[0].1;
    assert_eq!((depth.running, depth.queued), (1, 4_096));
    for number in 1..5 {
        world.leaves(number);
        world.reads(&stored);
        assert_eq!(world.inside(), [number + 1]);
    }
}

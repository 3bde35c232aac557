use super::*;

/// Notes who is let in, and keeps their places.
#[derive(Default)]
struct Door {
    inside: Mutex<Vec<(RunId, Place)>>,
    loads: Mutex<Vec<FunctionId>>,
}

impl Dispatch for Door {
    fn lease(&self, run: RunId, place: Place) {
        self.inside.lock().push((run, place));
    }

    fn load(&self, function: FunctionId) {
        self.loads.lock().push(function);
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
    Candidate {
        run: run(number),
        is_resumed: false,
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
    }
}

struct World {
    lanes: Lanes,
    door: Arc<Door>,
}

impl World {
    fn new(limit: usize, functions: &[(&str, usize, Vec<Limit>)]) -> Self {
        let (lanes, door) = (Lanes::new(limit), Arc::new(Door::default()));
        for (name, limit, limits) in functions {
            lanes.set(&id(name), *limit, limits.clone());
        }
        let dispatch: Weak<dyn Dispatch> = Arc::<Door>::downgrade(&door);
        lanes.open(dispatch);
        for function in std::mem::take(&mut *door.loads.lock()) {
            lanes.loaded(&function, Vec::new(), true);
        }
        Self { lanes, door }
    }

    fn ready(&self, function: &str, candidate: Candidate) {
        self.lanes.ready(&id(function), candidate);
    }

    fn inside(&self) -> Vec<u128> {
        let inside = self.door.inside.lock();
        let numbers = inside.iter().map(|(run, _)| {
            let bytes = run.to_bytes();
            u128::from(bytes[15])
        });
        numbers.collect()
    }

    fn leaves(&self, number: u128) {
        let left = {
            let mut inside = self.door.inside.lock();
            let index = inside.iter().position(|(id, _)| *id == run(number));
            inside.remove(index.unwrap())
        };
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
    let resumed = Candidate {
        is_resumed: true,
        ..new(200, &[])
    };
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

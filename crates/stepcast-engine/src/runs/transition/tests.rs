//! The laws of a run: it ends exactly once whatever happens in whatever order, old leases change nothing, results keep their places.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use stepcast_protocol::{EventId, FunctionId};

use super::*;

fn new_run() -> RunState {
    let function = FunctionId::parse("f").unwrap();
    let now = Timestamp::from_millis(0);
    RunState::queued(
        RunId::from_parts(1, 1),
        function,
        EventId::from_parts(1, 1),
        None,
        now,
        now,
    )
}

fn key(step: u8, verb: Verb) -> StepKey {
    StepKey::new(StepId::parse(format!("step-{step}")).unwrap(), verb)
}

fn failure(terminal: bool) -> Failure {
    Failure {
        error: RunError::new(ErrorCode::FunctionFailed, "no"),
        terminal,
    }
}

/// What may happen next, without regard to whether it fits.
#[derive(Debug, Clone)]
enum Happens {
    Lease,
    Ended(u8),
    StepFailed(u8, bool),
    Abandoned(u8),
    Sleeps(u8, u16),
    WaitEnded(u8),
    Parked,
    Released,
    Returned,
    BodyFailed(bool),
    /// The process dies: every lease is void.
    Crash,
    Cancel,
    TimePasses(u16),
    /// A report of an execution that is over.
    Zombie,
}

fn happens() -> impl Strategy<Value = Happens> {
    use Happens as H;
    prop_oneof![
        6 => Just(H::Lease),
        5 => (0..4_u8).prop_map(H::Ended),
        3 => (0..4_u8, any::<bool>()).prop_map(|(step, terminal)| H::StepFailed(step, terminal)),
        2 => (0..4_u8).prop_map(H::Abandoned),
        3 => (4..6_u8, 0..2_000_u16).prop_map(|(step, millis)| H::Sleeps(step, millis)),
        2 => (4..6_u8).prop_map(H::WaitEnded),
        2 => Just(H::Parked),
        1 => Just(H::Released),
        1 => Just(H::Returned),
        2 => any::<bool>().prop_map(H::BodyFailed),
        2 => Just(H::Crash),
        1 => Just(H::Cancel),
        4 => (0..4_000_u16).prop_map(H::TimePasses),
        2 => Just(H::Zombie),
    ]
}

/// A run with what surrounds it: the timers on disk, the time, and the laws.
struct World {
    state: RunState,
    now: Timestamp,
    timers: BTreeSet<Timer>,
    ends: usize,
}

impl World {
    fn new() -> Self {
        Self {
            state: new_run(),
            now: Timestamp::from_millis(0),
            timers: BTreeSet::new(),
            ends: 0,
        }
    }

    fn command(&mut self, command: Command) -> bool {
        let before = self.state.clone();
        let Ok(transition) = apply(&before, command, self.now) else {
            return false;
        };
        assert!(
            !before.row.phase.is_final(),
            "a run that has ended changes no more"
        );
        for write in &transition.writes {
            match write {
                Write::Timer(timer) => drop(self.timers.insert(timer.clone())),
                Write::ClearTimer(timer) => drop(self.timers.remove(timer)),
                _ => {}
            }
        }
        self.ends += transition
            .effects
            .iter()
            .filter(|effect| **effect == Effect::Ended)
            .count();
        self.state = transition.state;
        self.check(&before);
        true
    }

    fn check(&self, before: &RunState) {
        let row = &self.state.row;
        assert!(row.lease >= before.row.lease && row.attempt >= before.row.attempt);
        assert_eq!(
            self.ends,
            usize::from(row.phase.is_final()),
            "a run ends once"
        );
        let mut places = BTreeSet::new();
        for (id, step) in &self.state.steps {
            if let StepState::Done { seq, .. } = step.state {
                assert!(places.insert(seq), "a place is given once");
            }
            if let Some(StepRow {
                state: done @ StepState::Done { .. },
                ..
            }) = before.steps.get(id)
            {
                assert_eq!(step.state, *done, "a result never changes");
            }
        }
        let dense: BTreeSet<u64> = (1..).take(places.len()).collect();
        assert_eq!(places, dense, "places have no gaps");
        if row.phase.is_final() {
            assert!(
                self.timers.is_empty(),
                "an ended run leaves no timer: {:?}",
                self.timers
            );
        }
        if row.phase == Phase::Parked {
            let waits = |step: &StepRow| matches!(step.state, StepState::Waiting { .. });
            let wakes = self.state.steps.values().any(waits) || !self.timers.is_empty();
            assert!(wakes, "a parked run has something that wakes it");
        }
    }

    fn work(&mut self, work: Work) -> bool {
        self.command(Command::Work(self.state.row.lease, work))
    }

    fn fire_due(&mut self) {
        let due: Vec<_> = self
            .timers
            .iter()
            .filter(|timer| timer.at <= self.now)
            .cloned()
            .collect();
        for timer in due {
            self.timers.remove(&timer);
            self.command(Command::TimerFired(timer));
        }
    }

    fn happen(&mut self, what: &Happens) {
        let retry = Retry::times(2);
        let chance = 0.5;
        match *what {
            Happens::Lease => drop(self.command(Command::Lease)),
            Happens::Ended(step) => {
                drop(self.work(Work::StepEnded(
                    key(step, Verb::Run),
                    Outcome::Ok(Bytes::from_static(b"1")),
                )));
            }
            Happens::StepFailed(step, terminal) => {
                let (step, failure) = (key(step, Verb::Run), failure(terminal));
                drop(self.work(Work::StepFailed {
                    step,
                    failure,
                    retry,
                    chance,
                }));
            }
            Happens::Abandoned(step) => drop(self.work(Work::StepAbandoned(key(step, Verb::Run)))),
            Happens::Sleeps(step, millis) => {
                let until = Some(self.now + Duration::from_millis(millis.into()));
                drop(self.work(Work::WaitStarted {
                    step: key(step, Verb::Sleep),
                    until,
                    event: None,
                }));
            }
            Happens::WaitEnded(step) => {
                let step = key(step, Verb::Sleep).id;
                drop(self.command(Command::WaitEnded(
                    step,
                    Outcome::Ok(Bytes::from_static(b"null")),
                )));
            }
            Happens::Parked => {
                let (seen, decided_at) = (self.state.next_seq - 1, self.now);
                drop(self.work(Work::Parked { seen, decided_at }));
            }
            Happens::Released => drop(self.work(Work::Released)),
            Happens::Returned => drop(self.work(Work::Returned(Bytes::from_static(b"null")))),
            Happens::BodyFailed(terminal) => {
                drop(self.work(Work::Failed {
                    failure: failure(terminal),
                    retry,
                    chance,
                }));
            }
            Happens::Crash => self.crash(),
            Happens::Cancel => drop(self.command(Command::Cancel)),
            Happens::TimePasses(millis) => {
                self.now = self.now + Duration::from_millis(millis.into());
                self.fire_due();
            }
            Happens::Zombie => {
                let lease = self.state.row.lease.wrapping_sub(1);
                let zombie = Command::Work(lease, Work::Returned(Bytes::new()));
                assert!(!self.command(zombie), "an old lease changes nothing");
            }
        }
    }

    /// As the store does it for all runs at once, when the file is opened.
    fn crash(&mut self) {
        let row = &mut self.state.row;
        if row.phase == Phase::Leased {
            row.phase = Phase::Queued;
            row.due_at = self.now;
            row.crashes += 1;
        }
    }

    /// A fair scheduler and a function that returns: the run has to end.
    fn finish(&mut self) {
        for _ in 0..200 {
            match self.state.row.phase {
                Phase::Queued | Phase::Parked => {
                    if self.command(Command::Lease) {
                        continue;
                    }
                    let next = self.timers.first().map(|timer| timer.at);
                    let next = next
                        .unwrap_or_else(|| panic!("nothing will ever happen to {:?}", self.state));
                    self.now = self.now.max(next);
                    self.fire_due();
                }
                Phase::Leased => drop(self.work(Work::Returned(Bytes::from_static(b"null")))),
                Phase::Completed | Phase::Failed | Phase::Cancelled => return,
            }
        }
        panic!("the run does not end: {:?}", self.state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_interleaving_ends_a_run_exactly_once(story in prop::collection::vec(happens(), 0..60)) {
        let mut world = World::new();
        for what in &story {
            world.happen(what);
        }
        world.finish();
        prop_assert_eq!(world.ends, 1);
        let ended = world.state.clone();
        for what in &story {
            if !matches!(what, Happens::TimePasses(_)) {
                world.happen(what);
            }
        }
        prop_assert_eq!(world.state, ended);
    }
}

#[test]
fn five_crashes_without_progress_end_a_run_and_progress_forgives() {
    let mut world = World::new();
    for _ in 0..4 {
        assert!(world.command(Command::Lease));
        world.crash();
    }
    assert!(world.command(Command::Lease));
    world.happen(&Happens::Ended(0));
    assert_eq!(world.state.row.crashes, 0);
    for _ in 0..4 {
        world.crash();
        assert!(world.command(Command::Lease));
        assert_eq!(world.state.row.phase, Phase::Leased);
    }
    world.crash();
    assert!(world.command(Command::Lease));
    let Some(Outcome::Err(error)) = &world.state.row.outcome else {
        panic!("{:?}", world.state)
    };
    assert_eq!(
        (world.state.row.phase, error.code.as_str()),
        (Phase::Failed, "crashed_repeatedly")
    );
}

#[test]
fn a_step_that_changed_names_both() {
    let mut world = World::new();
    world.command(Command::Lease);
    world.happen(&Happens::Sleeps(0, 1_000));
    let changed = Work::StepEnded(key(0, Verb::Run), Outcome::Ok(Bytes::new()));
    let refused = apply(&world.state, Command::Work(1, changed), world.now).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StepChanged);
    let text = refused.to_string();
    assert!(
        text.contains("`sleep`") && text.contains("`run`") && text.contains("step-0"),
        "{text}"
    );
}

#[test]
fn retries_are_used_up() {
    let mut world = World::new();
    world.command(Command::Lease);
    for _ in 0..2 {
        world.happen(&Happens::StepFailed(0, false));
        assert!(matches!(
            world.state.steps.values().next().unwrap().state,
            StepState::Open { .. }
        ));
    }
    world.happen(&Happens::StepFailed(0, false));
    let StepState::Done {
        outcome: Outcome::Err(error),
        ..
    } = &world.state.steps.values().next().unwrap().state
    else {
        panic!("{:?}", world.state)
    };
    assert_eq!(error.message, "no");
}

#[test]
fn results_and_steps_have_bounds() {
    let mut world = World::new();
    world.command(Command::Lease);
    let large = Outcome::Ok(Bytes::from(vec![b'1'; limits::MEMO_BYTES + 1]));
    let refused = apply(
        &world.state,
        Command::Work(1, Work::StepEnded(key(0, Verb::Run), large)),
        world.now,
    );
    assert_eq!(refused.unwrap_err().code(), ErrorCode::TooLarge);
    for n in 0..limits::STEPS_PER_RUN {
        let step = StepKey::new(StepId::parse(format!("n-{n}")).unwrap(), Verb::Run);
        assert!(world.work(Work::StepEnded(step, Outcome::Ok(Bytes::from_static(b"1")))));
    }
    let one_more = Work::StepEnded(key(0, Verb::Run), Outcome::Ok(Bytes::from_static(b"1")));
    let refused = apply(&world.state, Command::Work(1, one_more), world.now).unwrap_err();
    assert!(refused.to_string().contains("1000 steps"), "{refused}");
}

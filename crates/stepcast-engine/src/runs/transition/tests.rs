//! Laws of a run's life under any interleaving, and single cases in `cases`.

mod cases;
mod world;

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use stepcast_protocol::limits;

use self::world::{World, key};
use super::{steps::pause_of, *};
use crate::runs::CancelReason;
use crate::{
    runs::{
        command::{Failure, StepKey},
        retry::Retry,
    },
    store::{EventWait, StepRow, StepState, Verb},
};

/// Something that happens, applied if it can.
#[derive(Debug, Clone)]
enum Op {
    Lease,
    StepEnds(usize),
    StepFails {
        step: usize,
        terminal: bool,
        pause_secs: u64,
    },
    StepAbandoned(usize),
    Sleeps {
        step: usize,
        secs: u64,
    },
    WaitsForEvent {
        step: usize,
        secs: Option<u64>,
    },
    Invokes {
        step: usize,
        secs: Option<u64>,
    },
    WaitEnds {
        verb: Verb,
        step: usize,
    },
    Parks {
        unseen: u64,
        ago_secs: u64,
    },
    Released,
    Returns,
    Fails {
        terminal: bool,
    },
    Cancelled,
    Passes {
        secs: u64,
    },
    Fires {
        stale: bool,
    },
    Crashes,
    OldLeaseWorks {
        back: u32,
    },
}

const STEPS: usize = 3;

fn op() -> impl Strategy<Value = Op> {
    let step = 0..STEPS;
    let secs = || prop_oneof![0..5_u64, 60..200_u64];
    let until = || prop::option::of(secs());
    let waits = prop::sample::select(vec![Verb::Sleep, Verb::WaitForEvent, Verb::Invoke]);
    let fails = (step.clone(), prop::bool::weighted(0.1), secs());
    prop_oneof![
        6 => Just(Op::Lease),
        4 => step.clone().prop_map(Op::StepEnds),
        5 => fails.prop_map(|(step, terminal, pause_secs)| Op::StepFails { step, terminal, pause_secs }),
        2 => step.clone().prop_map(Op::StepAbandoned),
        4 => (step.clone(), secs()).prop_map(|(step, secs)| Op::Sleeps { step, secs }),
        4 => (step.clone(), until()).prop_map(|(step, secs)| Op::WaitsForEvent { step, secs }),
        3 => (step.clone(), until()).prop_map(|(step, secs)| Op::Invokes { step, secs }),
        4 => (waits, step).prop_map(|(verb, step)| Op::WaitEnds { verb, step }),
        5 => (0..2_u64, 0..3_u64).prop_map(|(unseen, ago_secs)| Op::Parks { unseen, ago_secs }),
        2 => Just(Op::Released),
        1 => Just(Op::Returns),
        2 => prop::bool::weighted(0.1).prop_map(|terminal| Op::Fails { terminal }),
        1 => prop::bool::weighted(0.3).prop_map(|cancel| if cancel { Op::Cancelled } else { Op::Crashes }),
        5 => secs().prop_map(|secs| Op::Passes { secs }),
        5 => prop::bool::weighted(0.2).prop_map(|stale| Op::Fires { stale }),
        2 => Just(Op::Crashes),
        2 => (0..3_u32).prop_map(|back| Op::OldLeaseWorks { back }),
    ]
}

impl World {
    fn happens(&mut self, op: Op) {
        let until = |world: &Self, secs: u64| world.now + Duration::from_secs(secs);
        match op {
            Op::Lease => drop(self.command(Command::Lease)),
            Op::StepEnds(step) => self.work(Work::StepEnded(
                key(Verb::Run, step),
                Outcome::Ok(Bytes::from_static(b"1")),
            )),
            Op::StepFails {
                step,
                terminal,
                pause_secs,
            } => self.work(Work::StepFailed {
                step: key(Verb::Run, step),
                failure: world::failure(terminal),
                retry: Retry::times(3).with_base(Duration::from_secs(pause_secs)),
                chance: 1.0,
            }),
            Op::StepAbandoned(step) => self.work(Work::StepAbandoned(key(Verb::Run, step))),
            Op::Sleeps { step, secs } => {
                let until = until(self, secs);
                self.waits(Verb::Sleep, step, Some(until));
            }
            Op::WaitsForEvent { step, secs } => {
                let until = secs.map(|secs| until(self, secs));
                self.waits(Verb::WaitForEvent, step, until);
            }
            Op::Invokes { step, secs } => {
                let until = secs.map(|secs| until(self, secs));
                self.waits(Verb::Invoke, step, until);
            }
            Op::WaitEnds { verb, step } => {
                let outcome = Outcome::Ok(Bytes::from_static(b"{}"));
                // A sleep is ended by its timer only.
                if verb != Verb::Sleep {
                    drop(self.command(Command::WaitEnded(key(verb, step).id, outcome)));
                }
            }
            Op::Parks { unseen, ago_secs } => {
                let told = self.state.next_seq - 1;
                let seen = told.saturating_sub(unseen);
                let ago = i64::try_from(ago_secs * 1_000).unwrap();
                let decided_at = Timestamp::from_millis(self.now.as_millis() - ago);
                let was_leased = self.state.row.phase == Phase::Leased;
                self.work(Work::Parked { seen, decided_at });
                let parked = was_leased && self.state.row.phase == Phase::Parked;
                assert!(!parked || seen == told, "a result was missed");
                let since = decided_at..=self.now;
                let came_due = |row: &std::sync::Arc<StepRow>| {
                    pause_of(row).is_some_and(|timer| since.contains(&timer.at))
                };
                let missed = self.state.steps.values().any(came_due);
                assert!(!parked || !missed, "the end of a pause was missed");
            }
            Op::Released => self.work(Work::Released),
            Op::Returns => self.work(Work::Returned(Bytes::from_static(b"2"))),
            Op::Fails { terminal } => self.work(Work::Failed {
                failure: world::failure(terminal),
                retry: Retry::times(2).with_base(Duration::from_secs(90)),
                chance: 0.5,
            }),
            Op::Cancelled => drop(self.command(Command::Cancel(CancelReason::Asked))),
            Op::Passes { secs } => self.now = until(self, secs),
            Op::Fires { stale: false } => self.fire_due(),
            Op::Fires { stale: true } => self.fire_again(),
            Op::Crashes => self.crash(),
            Op::OldLeaseWorks { back } => self.old_lease_works(back),
        }
    }

    /// What a scheduler, a clock and the world outside do until the run has ended.
    fn drive_to_the_end(&mut self) {
        for _ in 0..200 {
            self.fire_due();
            match self.state.row.phase {
                Phase::Queued => {
                    self.now = self.now.max(self.state.row.due_at);
                    self.command(Command::Lease).unwrap();
                }
                Phase::Leased => self.work(Work::Returned(Bytes::from_static(b"2"))),
                Phase::Parked => self.wake(),
                Phase::Completed | Phase::Failed | Phase::Cancelled => return,
            }
        }
        panic!("the run does not end: {:?}", self.state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn every_run_ends_once_and_leaves_nothing_behind(delay_secs in prop_oneof![Just(0_u64), 1..100_u64], ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World::new(Duration::from_secs(delay_secs));
        for op in ops {
            world.happens(op);
        }
        world.drive_to_the_end();
        prop_assert_eq!(world.ends, 1);
        world.check_that_nothing_is_left();
    }
}

//! One run with the disk, the clock and the timers around it; every transition is checked as it happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use stepcast_protocol::{Event, EventId, EventName, FunctionId, RunId, event::Extras};

use super::*;
use crate::{
    runs::CancelReason,
    store::{RunRow, StoredRun},
};

/// What is on disk.
#[derive(Debug)]
struct Disk {
    row: RunRow,
    steps: BTreeMap<StepId, StepRow>,
    timers: BTreeSet<Timer>,
    waits: BTreeSet<StepId>,
}

pub(super) struct World {
    pub(super) state: RunState,
    pub(super) now: Timestamp,
    /// How often the run has ended.
    pub(super) ends: u32,
    disk: Disk,
    /// Timers and waits as the effects say they are watched.
    timers: BTreeSet<Timer>,
    waits: BTreeSet<StepId>,
    last_fired: Option<Timer>,
    results: BTreeMap<u64, (StepId, Outcome)>,
}

pub(super) fn key(verb: Verb, n: usize) -> StepKey {
    let id = StepId::parse(format!("{}-{n}", verb.as_str())).unwrap();
    let target = match verb {
        Verb::WaitForEvent => "app/answer",
        Verb::Invoke => "other",
        Verb::WaitForSignal => "done",
        Verb::Run | Verb::Publish | Verb::Sleep | Verb::SendEvent => "",
    };
    StepKey::new(id, verb).with_target(target)
}

pub(super) fn failure(terminal: bool) -> Failure {
    let error = RunError::new(ErrorCode::Internal, "it broke");
    Failure {
        terminal,
        ..Failure::of(error)
    }
}

impl World {
    pub(super) fn new(delay: Duration) -> Self {
        let now = Timestamp::from_millis(1_000_000);
        let id = RunId::from_parts(1, 1);
        let function = FunctionId::parse("f").unwrap();
        let due_at = now + delay;
        let event = EventId::from_parts(1, 2);
        let state = RunState::queued(id, function, event, None, now, due_at);
        let first = Timer {
            at: due_at,
            run: id,
            step: None,
        };
        let timers: BTreeSet<_> = (!delay.is_zero()).then_some(first).into_iter().collect();
        let disk = Disk {
            row: state.row.clone(),
            steps: BTreeMap::new(),
            timers: timers.clone(),
            waits: BTreeSet::new(),
        };
        Self {
            state,
            now,
            ends: 0,
            disk,
            timers,
            waits: BTreeSet::new(),
            last_fired: None,
            results: BTreeMap::new(),
        }
    }

    pub(super) fn command(&mut self, command: Command) -> Result<(), Refused> {
        let was_final = self.state.row.phase.is_final();
        let Transition {
            state,
            writes,
            effects,
            verdicts: _,
        } = match apply(&self.state, command, self.now) {
            Ok(transition) => transition,
            Err(refused) => {
                assert_eq!(was_final, matches!(refused, Refused::RunEnded(_)));
                return Err(refused);
            }
        };
        assert!(!was_final, "a run that has ended never changes");
        self.state = state;
        writes.into_iter().for_each(|write| self.write(write));
        effects.into_iter().for_each(|effect| self.perform(effect));
        self.check();
        Ok(())
    }

    /// The holder of the lease reports, if there is one.
    pub(super) fn work(&mut self, work: Work) {
        self.command(Command::Work(self.state.row.lease, work)).ok();
    }

    pub(super) fn waits(&mut self, verb: Verb, step: usize, until: Option<Timestamp>) {
        let step = key(verb, step);
        let event = (verb == Verb::WaitForEvent).then(|| {
            Box::new(EventWait {
                run: self.state.row.id,
                step: step.id.clone(),
                event: EventName::parse("app/answer").unwrap(),
                matching: Vec::new(),
                condition: None,
                after: EventWait::NOW,
                until: None,
            })
        });
        self.work(Work::WaitStarted { step, until, event });
    }

    pub(super) fn fire_due(&mut self) {
        let now = self.now;
        let due: Vec<_> = self
            .timers
            .extract_if(.., |timer| timer.at <= now)
            .collect();
        for timer in due {
            self.last_fired = Some(timer.clone());
            self.command(Command::TimerFired(timer)).ok();
        }
    }

    /// A timer comes that is not needed any more.
    pub(super) fn fire_again(&mut self) {
        if let Some(timer) = self.last_fired.clone() {
            let results = self.results.len();
            self.command(Command::TimerFired(timer)).ok();
            assert_eq!(results, self.results.len(), "a stale timer ends nothing");
        }
    }

    /// The process dies; the next one finds what is on disk and voids the lease.
    pub(super) fn crash(&mut self) {
        if self.disk.row.phase == Phase::Leased {
            self.disk.row.phase = Phase::Queued;
            self.disk.row.due_at = self.now;
            self.disk.row.crashes += 1;
        }
        self.state = self.stored();
        self.timers = self.disk.timers.clone();
        self.waits = self.disk.waits.clone();
    }

    pub(super) fn old_lease_works(&mut self, back: u32) {
        let row = &self.state.row;
        let (phase, lease) = (row.phase, row.lease.saturating_sub(back));
        if phase == Phase::Leased && lease == row.lease {
            return;
        }
        let before = self.state.clone();
        let returned = Work::Returned(Bytes::from_static(b"0"));
        let refused = self.command(Command::Work(lease, returned)).unwrap_err();
        let expected = if phase.is_final() {
            ErrorCode::RunEnded
        } else {
            ErrorCode::LeaseLost
        };
        assert_eq!(refused.code(), expected);
        assert_eq!(self.state, before);
    }

    /// What wakes a parked run: the end of a wait, or else the next timer.
    pub(super) fn wake(&mut self) {
        let waits = |row: &&Arc<StepRow>| waits_for_others(row);
        if let Some(row) = self.state.steps.values().find(waits) {
            let ended = Command::WaitEnded(row.step.clone(), Outcome::Ok(Bytes::from_static(b"3")));
            self.command(ended).unwrap();
        } else {
            self.now = self.timers.first().expect("a parked run can wake").at;
            self.fire_due();
        }
        assert_ne!(self.state.row.phase, Phase::Parked);
    }

    pub(super) fn check_that_nothing_is_left(&mut self) {
        let Disk { timers, waits, .. } = &self.disk;
        assert!(timers.is_empty(), "{timers:?}");
        assert!(waits.is_empty(), "{waits:?}");
        assert!(self.timers.is_empty() && self.waits.is_empty());
        for command in [Command::Lease, Command::Cancel(CancelReason::Asked)] {
            let refused = self.command(command).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::RunEnded);
        }
        assert!(self.disk.row.ended_at.is_some() && self.disk.row.outcome.is_some());
    }

    fn write(&mut self, write: Write) {
        let disk = &mut self.disk;
        match write {
            Write::Run(row) => disk.row = *row,
            Write::Step(row) => drop(disk.steps.insert(row.step.clone(), *row)),
            Write::Timer(timer) => drop(disk.timers.insert(timer)),
            Write::ClearTimer(timer) => drop(disk.timers.remove(&timer)),
            Write::EventWait(wait) => drop(disk.waits.insert(wait.step)),
            Write::ClearEventWait(_, step) => drop(disk.waits.remove(&step)),
            other => panic!("a transition writes no {other:?}"),
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::StepDone { step, seq, outcome } => {
                assert_eq!(seq, self.results.len() as u64 + 1, "results are dense");
                self.results.insert(seq, (step, outcome));
            }
            Effect::SetTimer(timer) => drop(self.timers.insert(timer)),
            Effect::ClearTimer(timer) => drop(self.timers.remove(&timer)),
            Effect::StartEventWait(wait) => drop(self.waits.insert(wait.step)),
            Effect::EndEventWait(step, _) => drop(self.waits.remove(&step)),
            Effect::Ended => self.ends += 1,
            Effect::Start
            | Effect::StepRetry { .. }
            | Effect::Waiting(_)
            | Effect::Unheld
            | Effect::Ready => {}
        }
    }

    fn check(&self) {
        let state = &self.state;
        assert_eq!(
            self.stored(),
            *state,
            "what is in memory is what is on disk"
        );
        assert_eq!(self.waits, self.disk.waits);
        assert!(
            self.timers.is_subset(&self.disk.timers),
            "only what is on disk fires"
        );
        let mut done = 0;
        for row in state.steps.values() {
            if let StepState::Done { seq, outcome } = &row.state {
                assert_eq!(self.results[seq], (row.step.clone(), outcome.clone()));
                done += 1;
            }
        }
        assert_eq!(done, self.results.len());
        if state.row.phase == Phase::Parked {
            let can_wake =
                !self.timers.is_empty() || state.steps.values().any(|row| waits_for_others(row));
            assert!(can_wake, "a parked run can wake: {state:?}");
        }
    }

    fn stored(&self) -> RunState {
        let event = Event {
            id: self.disk.row.event,
            name: EventName::parse("app/start").unwrap(),
            data: Bytes::from_static(b"{}"),
            key: None,
            at: self.disk.row.created_at,
            extras: Extras::default(),
        };
        RunState::stored(StoredRun {
            row: self.disk.row.clone(),
            steps: self.disk.steps.values().cloned().collect(),
            event: Arc::new(event),
            body: Vec::new(),
        })
    }
}

/// Whether the step waits for something that no timer brings.
fn waits_for_others(row: &StepRow) -> bool {
    row.verb != Verb::Sleep && matches!(row.state, StepState::Waiting { .. })
}

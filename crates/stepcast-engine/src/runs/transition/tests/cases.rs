//! One rule each.

use super::{
    world::{World, failure, key},
    *,
};

fn leased() -> World {
    let mut world = World::new(Duration::ZERO);
    world.command(Command::Lease).unwrap();
    world
}

fn ended(step: StepKey, bytes: usize) -> Command {
    let json = format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)));
    Command::Work(1, Work::StepEnded(step, Outcome::Ok(json.into())))
}

fn outcome_of(world: &World, key: &StepKey) -> Outcome {
    match &world.state.steps[&key.id].state {
        StepState::Done { outcome, .. } => outcome.clone(),
        state => panic!("step `{}` should have ended, it is {state:?}", key.id),
    }
}

fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Err(error) => &error.code,
        Outcome::Ok(json) => panic!("there should be an error, there is {json:?}"),
    }
}

#[test]
fn five_crashes_without_progress_fail_the_run() {
    let mut world = leased();
    for crashes in 1..limits::CRASHES_WITHOUT_PROGRESS {
        world.crash();
        assert_eq!(world.state.row.crashes, crashes);
        world.command(Command::Lease).unwrap();
        assert_eq!(world.state.row.phase, Phase::Leased);
    }
    world.crash();
    world.command(Command::Lease).unwrap();
    let row = &world.state.row;
    assert_eq!(row.phase, Phase::Failed);
    assert_eq!(
        code(row.outcome.as_ref().unwrap()),
        ErrorCode::CrashedRepeatedly.as_str()
    );
}

#[test]
fn progress_forgives_crashes_and_a_release_is_none() {
    let mut world = leased();
    for n in 0..20 {
        for _ in 1..limits::CRASHES_WITHOUT_PROGRESS {
            world.crash();
            world.command(Command::Lease).unwrap();
        }
        let result = Outcome::Ok(Bytes::from_static(b"1"));
        world.work(Work::StepEnded(key(Verb::Run, n), result));
        world.work(Work::Released);
        let row = &world.state.row;
        assert_eq!((row.phase, row.crashes), (Phase::Queued, 0));
        world.command(Command::Lease).unwrap();
    }
}

#[test]
fn a_step_that_changed_is_refused_and_both_are_named() {
    let mut world = leased();
    world.command(ended(key(Verb::Run, 0), 4)).unwrap();
    world.waits(Verb::WaitForEvent, 0, None);
    let check = |key, expected: &str| {
        let refused = apply(&world.state, ended(key, 4), world.now).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::StepChanged);
        assert_eq!(refused.to_string(), expected);
    };
    check(
        StepKey::new(key(Verb::Run, 0).id, Verb::Publish).with_target("chat:1/text"),
        "step `run-0` is recorded as `run` and came back as `publish` of `chat:1/text`; give the new step another id",
    );
    check(
        key(Verb::WaitForEvent, 0).with_target("app/other"),
        "step `wait_for_event-0` is recorded as `wait_for_event` of `app/answer` and came back as `wait_for_event` of \
         `app/other`; give the new step another id",
    );
}

#[test]
fn a_step_is_tried_as_often_as_it_may_and_then_its_error_is_its_result() {
    let mut world = leased();
    let step = key(Verb::Run, 0);
    let fails = || Work::StepFailed {
        step: step.clone(),
        failure: failure(false),
        retry: Retry::times(2),
        chance: 1.0,
    };
    for attempts in 1..=2 {
        world.work(fails());
        let row = &world.state.steps[&step.id];
        assert_eq!(row.attempts, attempts);
        assert!(matches!(row.state, StepState::Open { next_at, .. } if next_at > world.now));
    }
    world.work(fails());
    assert_eq!(
        code(&outcome_of(&world, &step)),
        ErrorCode::Internal.as_str()
    );
    assert_eq!(
        world.state.row.phase,
        Phase::Leased,
        "the function may go on without it"
    );
}

#[test]
fn a_body_is_tried_as_often_as_it_may_and_a_terminal_failure_once() {
    let fails = |terminal| Work::Failed {
        failure: failure(terminal),
        retry: Retry::times(2),
        chance: 1.0,
    };
    let mut world = leased();
    for attempt in 2..=3 {
        world.work(fails(false));
        let row = &world.state.row;
        assert_eq!((row.phase, row.attempt), (Phase::Queued, attempt));
        world.command(Command::Lease).unwrap_err();
        world.now = world.state.row.due_at;
        world.command(Command::Lease).unwrap();
    }
    world.work(fails(false));
    assert_eq!(world.state.row.phase, Phase::Failed);
    world.check_that_nothing_is_left();
    let mut world = leased();
    world.work(fails(true));
    assert_eq!(world.state.row.phase, Phase::Failed);
}

#[test]
fn results_have_bounds_one_by_one_and_together() {
    let mut world = leased();
    let too_large = ended(key(Verb::Run, 0), limits::MEMO_BYTES + 1);
    let refused = world.command(too_large).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::TooLarge);
    for n in 0..limits::RUN_STATE_BYTES / limits::MEMO_BYTES {
        let largest = ended(key(Verb::Run, n), limits::MEMO_BYTES);
        world.command(largest).unwrap();
    }
    let refused = world.command(ended(key(Verb::Run, 99), 4)).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("all steps of a run together"), "{text}");
    // What comes from outside cannot be refused: the step fails with the bound.
    let wait = key(Verb::WaitForEvent, 0);
    world.waits(Verb::WaitForEvent, 0, None);
    let event = Outcome::Ok(Bytes::from_static(b"{\"a\":1}"));
    world
        .command(Command::WaitEnded(wait.id.clone(), event))
        .unwrap();
    assert_eq!(
        code(&outcome_of(&world, &wait)),
        ErrorCode::TooLarge.as_str()
    );
}

#[test]
fn a_run_has_a_thousand_steps_at_most() {
    let mut state = leased().state;
    let now = Timestamp::from_millis(1_000_000);
    for n in 0..limits::STEPS_PER_RUN {
        state = apply(&state, ended(key(Verb::Run, n), 4), now)
            .unwrap()
            .state;
    }
    let one_more = ended(key(Verb::Run, limits::STEPS_PER_RUN), 4);
    let refused = apply(&state, one_more, now).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::TooManySteps);
    let seqs: Vec<_> = state
        .results()
        .iter()
        .map(|row| match row.state {
            StepState::Done { seq, .. } => seq,
            StepState::Open { .. } | StepState::Waiting { .. } => panic!("all have ended"),
        })
        .collect();
    assert!(seqs.into_iter().eq(1..=limits::STEPS_PER_RUN as u64));
}

#[test]
fn a_recorded_wait_ends_only_by_what_it_waits_for() {
    let mut world = leased();
    let (step, until) = (key(Verb::Sleep, 0), world.now + Duration::from_secs(5));
    world.waits(Verb::Sleep, 0, Some(until));
    for work in [
        Work::StepEnded(step.clone(), Outcome::Ok(Bytes::from_static(b"null"))),
        Work::StepAbandoned(step.clone()),
        Work::StepFailed {
            step: step.clone(),
            failure: failure(false),
            retry: Retry::default(),
            chance: 0.0,
        },
        Work::WaitStarted {
            step: step.clone(),
            until: None,
            event: None,
        },
    ] {
        let refused = world.command(Command::Work(1, work)).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::AttemptOver);
    }
    world.now = until;
    world.fire_due();
    assert_eq!(
        outcome_of(&world, &step),
        Outcome::Ok(Bytes::from_static(b"null"))
    );
}

#[test]
fn a_run_that_parks_during_a_short_pause_is_woken_after_it() {
    let mut world = leased();
    world.work(Work::StepFailed {
        step: key(Verb::Run, 0),
        failure: failure(false),
        retry: Retry::default(),
        chance: 1.0,
    });
    let (seen, decided_at) = (0, world.now);
    world.work(Work::Parked { seen, decided_at });
    assert_eq!(world.state.row.phase, Phase::Parked);
    world.wake();
    assert_eq!(world.state.row.phase, Phase::Queued);
}

#[test]
fn a_result_that_comes_while_a_run_parks_is_not_missed() {
    let mut world = leased();
    let until = world.now + limits::PARK_AFTER;
    world.waits(Verb::Sleep, 0, Some(until));
    world.waits(Verb::WaitForEvent, 0, None);
    world.now = until;
    let (seen, decided_at) = (0, world.now);
    world.fire_due();
    world.work(Work::Parked { seen, decided_at });
    assert_eq!(world.state.row.phase, Phase::Queued);
}

#[test]
fn an_invoked_run_that_takes_too_long_is_an_error_and_a_missing_event_is_null() {
    let mut world = leased();
    let until = world.now + Duration::from_secs(5);
    world.waits(Verb::Invoke, 0, Some(until));
    world.waits(Verb::WaitForEvent, 0, Some(until));
    world.now = until;
    world.fire_due();
    let invoked = outcome_of(&world, &key(Verb::Invoke, 0));
    assert_eq!(code(&invoked), ErrorCode::TimedOut.as_str());
    let event = outcome_of(&world, &key(Verb::WaitForEvent, 0));
    assert_eq!(event, Outcome::Ok(Bytes::from_static(b"null")));
}

#[test]
fn only_a_run_that_has_never_begun_can_have_begun_too_late() {
    let late = || Command::Cancel(CancelReason::NotBegun(Duration::from_secs(10)));
    let mut world = leased();
    let refused = world.command(late()).unwrap_err();
    assert_eq!(refused, Refused::Stale("the run has begun"));
    world.work(Work::Released);
    world.command(late()).unwrap_err();
    world.crash();
    world.command(late()).unwrap_err();
    assert_eq!(world.state.row.phase, Phase::Queued);
    let mut waits = World::new(Duration::ZERO);
    waits.command(late()).unwrap();
    assert_eq!(waits.state.row.phase, Phase::Cancelled);
}

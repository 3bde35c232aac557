use stepcast_engine::store::{Outcome, StepRow, StepState, Verb};
use stepcast_protocol::{
    ErrorCode, RunError, StepId,
    sdk::{Op, op::read_ops},
};

use super::*;
use crate::worker::{
    heard::{Heard, What},
    report::News,
};

const RUN: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const NOW: Timestamp = Timestamp::from_millis(1_000);
const LATER: Timestamp = Timestamp::from_millis(2_000);

fn step(id: &str) -> StepId {
    StepId::parse(id).unwrap()
}

fn row(id: &str, state: StepState) -> StepRow {
    StepRow {
        run: RUN.parse().unwrap(),
        step: step(id),
        verb: Verb::Run,
        target: String::new(),
        attempts: 1,
        state,
        began_at: NOW,
        changed_at: NOW,
    }
}

fn done(seq: u64) -> StepState {
    let outcome = ok();
    StepState::Done { seq, outcome }
}

fn open(next_at: Timestamp) -> StepState {
    let error = Some(RunError::new(ErrorCode::FunctionFailed, "boom"));
    StepState::Open { next_at, error }
}

fn ok() -> Outcome {
    Outcome::Ok(bytes::Bytes::from_static(b"1"))
}

fn plan(rows: &[StepRow], failures: u32, remembered: Option<Remembered>) -> Plan {
    let body = Attempts {
        retries: 3,
        failures,
        forgiven: 0,
    };
    Plan::new(rows, body, remembered)
}

fn known(discovered: u64) -> Remembered {
    Remembered {
        version: ProtocolVersion::Two,
        eager: false,
        discovered: Some(discovered),
        planned: BTreeSet::new(),
        forgiven: 0,
    }
}

/// What is done next, in short.
fn shown(next: &Next) -> String {
    match next {
        Next::Call(Calling {
            target,
            attempt,
            immediate,
            ..
        }) => {
            let target = match target {
                Target::Function => "function",
                Target::Step(_) => "step",
            };
            format!("call {target} {attempt} {immediate:?}")
        }
        Next::Errand {
            attempt, errand, ..
        } => format!("errand {attempt} {errand:?}"),
        Next::Wait(until) => format!("wait {}", until.map_or(0, Timestamp::as_millis)),
        Next::Park { seen } => format!("park {seen}"),
        Next::Release => "release".to_owned(),
        Next::Fail(failure) => format!("fail {}", failure.error.code),
    }
}

#[test]
fn how_a_lease_begins() {
    let waits = || row("w", StepState::Waiting { until: None });
    let planned = Remembered {
        planned: BTreeSet::from([StepHash::of("o")]),
        ..known(0)
    };
    let eager = Remembered {
        eager: true,
        ..known(0)
    };
    let cases: [(&str, Vec<StepRow>, Option<Remembered>, &str); 10] = [
        ("a new run", vec![], None, "call function 0 Allowed"),
        (
            "results of a life before",
            vec![row("d", done(1))],
            None,
            "call function 0 Allowed",
        ),
        (
            "waits of a life before",
            vec![waits()],
            None,
            "call function 0 Planned",
        ),
        (
            "a wait that goes on",
            vec![waits()],
            Some(known(0)),
            "park 0",
        ),
        (
            "the last of a group",
            vec![row("d", done(1))],
            Some(known(0)),
            "call function 0 Allowed",
        ),
        (
            "one of a group",
            vec![row("d", done(1)), waits()],
            Some(known(0)),
            "park 1",
        ),
        (
            "one of a race",
            vec![row("d", done(1)), waits()],
            Some(eager),
            "call function 0 Planned",
        ),
        (
            "a step whose time has come",
            vec![row("o", open(NOW))],
            Some(known(0)),
            "call function 1 Allowed",
        ),
        (
            "a planned one",
            vec![row("o", open(NOW))],
            Some(planned),
            "call step 1 Planned",
        ),
        (
            "a step whose time has not come",
            vec![row("o", open(LATER))],
            Some(known(0)),
            "park 0",
        ),
    ];
    for (name, rows, remembered, expected) in cases {
        let next = plan(&rows, 0, remembered).next(NOW);
        assert_eq!(shown(&next), expected, "{name}");
    }
}

#[test]
fn whose_attempt_a_call_is() {
    let two = [row("o", open(NOW)), row("p", open(NOW))];
    let cases: [(&[StepRow], u32, &str); 4] = [
        (&[], 2, "call function 2 Allowed"),
        (&two[..1], 2, "call function 1 Allowed"),
        (&two, 2, "call function 2 Allowed"),
        // More failures than there are tries lie before progress that is not remembered.
        (&[], 5, "call function 3 Allowed"),
    ];
    for (rows, failures, expected) in cases {
        let next = plan(rows, failures, None).next(NOW);
        assert_eq!(shown(&next), expected);
    }
}

fn called(plan: &mut Plan) -> CallId {
    match plan.next(NOW) {
        Next::Call(calling) => calling.id,
        other => panic!("{other:?} instead of a call"),
    }
}

fn ops(json: &str) -> Vec<Op> {
    read_ops(
        json.replace("HASH", &StepHash::of("a").to_string())
            .as_bytes(),
    )
    .unwrap()
}

fn heard(what: What) -> Heard {
    Heard {
        what,
        pause: None,
        version: None,
    }
}

fn lost() -> What {
    What::Lost(Failure::of(RunError::new(ErrorCode::Unreachable, "down")))
}

const RAN: &str = r#"[{"op":"StepRun","id":"HASH","userland":{"id":"a"},"data":1}]"#;
const PLANNED: &str = r#"[{"op":"StepPlanned","id":"HASH","userland":{"id":"a"}}]"#;

#[test]
fn nothing_is_called_before_the_commit() {
    let mut plan = plan(&[], 0, None);
    let call = called(&mut plan);
    assert_eq!(shown(&plan.next(NOW)), "wait 0");
    let said = plan.on_answer(call, heard(What::Ops(ops(RAN))), NOW);
    assert!(matches!(&said[..], [Saying::Step(report)] if report.news == News::Ended(ok())));
    assert_eq!(shown(&plan.next(NOW)), "wait 0");
    plan.on_done(&step("a"), 1, &ok());
    assert_eq!(shown(&plan.next(NOW)), "call function 0 Allowed");
}

#[test]
fn progress_forgives_earlier_failures() {
    let mut plan = plan(&[], 3, None);
    let call = called(&mut plan);
    plan.on_answer(call, heard(What::Ops(ops(RAN))), NOW);
    plan.on_done(&step("a"), 1, &ok());
    assert_eq!(shown(&plan.next(NOW)), "call function 0 Allowed");
    let retry = plan.retry(Retry::times(3));
    assert!(retry.pause(6, 0.0).is_some() && retry.pause(7, 0.0).is_none());
}

#[test]
fn a_function_that_fails_waits_for_the_steps_in_flight() {
    let mut plan = plan(&[], 0, None);
    let call = called(&mut plan);
    plan.on_answer(
        call,
        heard(What::Ops(ops(
            &PLANNED.replace("\"op\"", r#""opts":{"parallelMode":"race"},"op""#)
        ))),
        NOW,
    );
    let of_step = called(&mut plan);
    plan.discovered = None;
    let call = called(&mut plan);
    assert_eq!(plan.on_answer(call, heard(lost()), NOW), []);
    assert_eq!(shown(&plan.next(NOW)), "wait 0");
    plan.on_answer(of_step, heard(What::Ops(ops(RAN))), NOW);
    assert_eq!(shown(&plan.next(NOW)), "wait 0");
    plan.on_done(&step("a"), 1, &ok());
    assert_eq!(shown(&plan.next(NOW)), "fail unreachable");
}

#[test]
fn what_rests_begins_nothing() {
    let mut resting = plan(&[], 0, None);
    resting.rest();
    assert_eq!(shown(&resting.next(NOW)), "release");
    let mut waiting = plan(
        &[row("w", StepState::Waiting { until: None })],
        0,
        Some(known(0)),
    );
    waiting.rest();
    assert_eq!(shown(&waiting.next(NOW)), "park 0");
    let mut busy = plan(&[], 0, None);
    let call = called(&mut busy);
    busy.rest();
    assert_eq!(shown(&busy.next(NOW)), "wait 0");
    busy.on_answer(call, heard(What::Ops(ops(PLANNED))), NOW);
    assert_eq!(shown(&busy.next(NOW)), "release");
    assert_eq!(
        busy.remembered(None).planned,
        BTreeSet::from([StepHash::of("a")])
    );
}

#[test]
fn a_refused_report_fails_its_step_or_its_run() {
    let refuse = |code, by_checkpoint: bool| {
        let mut plan = plan(&[], 0, None);
        let call = called(&mut plan);
        if by_checkpoint {
            plan.on_checkpoint(call, ops(RAN), NOW);
        } else {
            plan.on_answer(call, heard(What::Ops(ops(RAN))), NOW);
        }
        let error = RunError::new(code, "refused");
        let first = plan.on_refused(&step("a"), error.clone());
        (first, plan.on_refused(&step("a"), error))
    };
    let (first, second) = refuse(ErrorCode::TooLarge, false);
    assert!(
        matches!(&first[..], [Saying::Step(report)] if matches!(report.news, News::Ended(Outcome::Err(_))))
    );
    assert!(matches!(&second[..], [Saying::Failed(failure)] if failure.terminal));
    let (first, _) = refuse(ErrorCode::TooManySteps, false);
    assert!(matches!(&first[..], [Saying::Failed(_)]));
    let (first, second) = refuse(ErrorCode::TooLarge, true);
    assert_eq!((first, second), (vec![], vec![]));
}

const FETCHES: &str =
    r#"[{"op":"Gateway","id":"HASH","userland":{"id":"a"},"opts":{"url":"https://x"}}]"#;
const ERRAND: &str = r#"errand 0 Errand { method: GET, url: "https://x", .. }"#;

fn set_out(plan: &mut Plan) -> StepHash {
    match plan.next(NOW) {
        Next::Errand { step, .. } => step,
        other => panic!("{other:?} instead of an errand"),
    }
}

fn answered(plan: &mut Plan, ops: Vec<Op>) -> Vec<Saying> {
    let call = called(plan);
    plan.on_answer(call, heard(What::Ops(ops)), NOW)
}

#[test]
fn an_errand_holds_the_function_up_until_its_result_is_committed() {
    let mut plan = plan(&[], 0, None);
    assert_eq!(answered(&mut plan, ops(FETCHES)), []);
    let step_of_it = set_out(&mut plan);
    assert_eq!(shown(&plan.next(NOW)), "wait 0");
    let said = plan.on_brought(step_of_it, Ok(bytes::Bytes::from_static(b"1")));
    assert!(
        matches!(&said[..], [Saying::Step(report)] if report.news == News::Ended(ok()) && report.key.began_at == Some(NOW))
    );
    assert_eq!(
        plan.on_brought(step_of_it, Ok(bytes::Bytes::new())),
        [],
        "once"
    );
    assert_eq!(shown(&plan.next(NOW)), "wait 0");
    plan.on_done(&step("a"), 1, &ok());
    assert_eq!(shown(&plan.next(NOW)), "call function 0 Allowed");
}

#[test]
fn an_errand_that_failed_is_asked_for_anew_when_its_time_comes() {
    let mut plan = plan(&[], 0, None);
    answered(&mut plan, ops(FETCHES));
    let step_of_it = set_out(&mut plan);
    let failure = Failure::of(RunError::new(ErrorCode::Unreachable, "down"));
    let said = plan.on_brought(step_of_it, Err(failure));
    assert!(
        matches!(&said[..], [Saying::Step(report)] if matches!(&report.news, News::Failed(failure) if failure.body == BodyFate::Falls))
    );
    plan.on_retry(&step("a"), 1, LATER);
    assert_eq!(shown(&plan.next(NOW)), "park 0");
    // Called for something else before that, the function says it as well.
    plan.discovered = None;
    assert_eq!(shown(&plan.next(NOW)), "call function 1 Planned");
    plan.on_answer(CallId(2), heard(What::Ops(ops(FETCHES))), NOW);
    assert_eq!(shown(&plan.next(NOW)), "park 0");
    assert_eq!(shown(&plan.next(LATER)), "call function 1 Allowed");
    plan.on_answer(CallId(3), heard(What::Ops(ops(FETCHES))), LATER);
    assert_eq!(shown(&plan.next(LATER)), ERRAND.replace('0', "1"));
}

#[test]
fn what_another_call_may_have_published_stands_when_an_errand_fails() {
    let mut plan = plan(&[], 0, None);
    let planned = PLANNED.replace("HASH", &StepHash::of("b").to_string());
    let both = format!("{},{}", &FETCHES[..FETCHES.len() - 1], &planned[1..]);
    answered(&mut plan, ops(&both));
    let step_of_it = set_out(&mut plan);
    called(&mut plan);
    let failure = Failure::of(RunError::new(ErrorCode::Unreachable, "down"));
    let said = plan.on_brought(step_of_it, Err(failure));
    assert!(
        matches!(&said[..], [Saying::Step(report)] if matches!(&report.news, News::Failed(failure) if failure.body == BodyFate::Stands))
    );
}

#[test]
fn so_many_errands_go_on_at_once_and_none_begins_at_rest() {
    let many: Vec<_> = (0..=limits::CALLS_PER_RUN)
        .map(|n| FETCHES.replace("HASH", &StepHash::of(&n.to_string()).to_string()))
        .map(|ops| ops[1..ops.len() - 1].to_owned())
        .collect();
    let many = || ops(&format!("[{}]", many.join(",")));
    let mut busy = plan(&[], 0, None);
    answered(&mut busy, many());
    let first = set_out(&mut busy);
    for _ in 1..limits::CALLS_PER_RUN {
        set_out(&mut busy);
    }
    assert_eq!(shown(&busy.next(NOW)), "wait 0");
    busy.on_brought(first, Ok(bytes::Bytes::from_static(b"1")));
    set_out(&mut busy);

    let mut resting = plan(&[], 0, None);
    answered(&mut resting, many());
    resting.rest();
    assert_eq!(shown(&resting.next(NOW)), "release");
}

#[test]
fn an_errand_that_cannot_be_run_ends_its_step() {
    let mut plan = plan(&[], 0, None);
    let said = answered(&mut plan, ops(&FETCHES.replace("https", "ftp")));
    assert!(
        matches!(&said[..], [Saying::Step(report)] if matches!(&report.news, News::Ended(Outcome::Err(error)) if error.message.contains("is no URL")))
    );
    assert_eq!(shown(&plan.next(NOW)), "wait 0");
}

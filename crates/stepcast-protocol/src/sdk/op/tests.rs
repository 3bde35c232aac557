use std::time::Duration;

use super::*;
use crate::limits;

const A: &str = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8";

fn op(json: &str) -> Op {
    let ops = read_ops(json.replace("$A", A).as_bytes()).unwrap();
    let [op] = <[Op; 1]>::try_from(ops).unwrap();
    op
}

fn step(json: &str) -> StepOp {
    match op(json) {
        Op::Step(step) => step,
        other => panic!("{other:?}"),
    }
}

fn action(json: &str) -> Action {
    step(json).action
}

fn refused(json: &str) -> OpError {
    read_ops(json.replace("$A", A).as_bytes()).unwrap_err()
}

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

#[test]
fn every_opcode_has_its_own_name() {
    for opcode in Opcode::ALL {
        assert_eq!(Opcode::parse(opcode.as_str()), Some(*opcode));
    }
    assert_eq!(Opcode::parse("StepNotFound"), None);
}

#[test]
fn a_step_with_everything_that_a_checkpoint_leaks() {
    let step = step(
        r#"{"id":"$A","mode":"sync","op":"StepRun","name":"a","displayName":"A step","userland":{"id":"a"},
            "opts":{"type":"step.sendEvent","parallelMode":"race"},"rawArgs":["a",null],"hashedId":"$A","promise":{},
            "fulfilled":true,"hasStepState":true,"handled":true,"middleware":{"stepInfo":{"memoized":false}},
            "memoizationDeferred":{"promise":{}},"transformedResultPromise":{},"data":{"n": 1.50},
            "timing":{"a":1795462848013000000,"b":6000000}}"#,
    );
    assert_eq!(
        step,
        StepOp {
            hash: StepHash::of("a"),
            step: StepId::parse("a").unwrap(),
            display_name: Some("A step".to_owned()),
            flavour: Some("step.sendEvent".to_owned()),
            parallel: Parallel::Race,
            timing: Some(Timing {
                began_at: Timestamp::from_millis(1_795_462_848_013),
                took: Duration::from_millis(6),
            }),
            action: Action::Ran {
                data: json(r#"{"n": 1.50}"#)
            },
        }
    );
}

#[test]
fn steps_are_shown_as_their_user_knows_them() {
    let second = StepHash::of("a:1").to_string();
    for (json, shown) in [
        (r#"{"op":"StepPlanned","id":"$A"}"#.to_owned(), A),
        (
            r#"{"op":"StepPlanned","id":"$A","userland":{"id":"b"}}"#.to_owned(),
            A,
        ),
        (
            r#"{"op":"StepPlanned","id":"$A","userland":7}"#.to_owned(),
            A,
        ),
        (
            format!(r#"{{"op":"StepPlanned","id":"{second}","userland":{{"id":"a","index":1}}}}"#),
            "a:1",
        ),
    ] {
        let step = step(&json);
        assert_eq!(step.step, shown);
        assert_eq!(StepHash::of_step(&step.step), step.hash);
    }
}

#[test]
fn results_and_failures() {
    for (text, expected) in [
        (r#"{"op":"StepRun","id":"$A","data":null}"#, "null"),
        (r#"{"op":"StepRun","id":"$A"}"#, "null"),
        (r#"{"op":"Step","id":"$A","data":[ 1 ]}"#, "[ 1 ]"),
    ] {
        let data = json(expected);
        assert_eq!(action(text), Action::Ran { data });
    }
    for (text, message, expected) in [
        (
            r#"{"op":"StepError","id":"$A","error":{"name":"E","message":"m"},"data":null}"#,
            "m",
            Verdict::TryAgain,
        ),
        (
            r#"{"op":"StepFailed","id":"$A","data":{"name":"E","message":"d"}}"#,
            "d",
            Verdict::Final,
        ),
        (
            r#"{"op":"StepFailed","id":"$A"}"#,
            "failed without saying why",
            Verdict::Final,
        ),
    ] {
        let Action::Failed { failure, verdict } = action(text) else {
            panic!("{text}");
        };
        assert_eq!((&*failure.message, verdict), (message, expected));
    }
}

#[test]
fn waits() {
    let ten = Until::After(Duration::from_secs(10));
    for (text, expected) in [
        (
            r#"{"op":"Sleep","id":"$A","name":"10s"}"#,
            Action::Sleep { until: ten },
        ),
        (
            r#"{"op":"Sleep","id":"$A","name":""}"#,
            Action::Sleep {
                until: Until::After(Duration::ZERO),
            },
        ),
        (
            r#"{"op":"Sleep","id":"$A","name":"1970-01-01T00:00:01Z"}"#,
            Action::Sleep {
                until: Until::At(Timestamp::from_millis(1000)),
            },
        ),
        (
            r#"{"op":"WaitForEvent","id":"$A","name":"e","opts":{"timeout":"10s","if":"x"}}"#,
            Action::WaitForEvent {
                event: "e".to_owned(),
                expression: Some("x".to_owned()),
                timeout: ten,
            },
        ),
        (
            r#"{"op":"WaitForEvent","id":"$A","name":"e","opts":{"timeout":""}}"#,
            Action::WaitForEvent {
                event: "e".to_owned(),
                expression: None,
                timeout: Until::LONGEST,
            },
        ),
        (
            r#"{"op":"WaitForSignal","id":"$A","name":"s","opts":{"signal":"s","timeout":"10s","conflict":"replace"}}"#,
            Action::WaitForSignal {
                signal: "s".to_owned(),
                conflict: Conflict::Replace,
                timeout: ten,
            },
        ),
        (
            r#"{"op":"WaitForSignal","id":"$A","name":"s"}"#,
            Action::WaitForSignal {
                signal: "s".to_owned(),
                conflict: Conflict::Fail,
                timeout: Until::LONGEST,
            },
        ),
        (
            r#"{"op":"InvokeFunction","id":"$A","opts":{"function_id":"app-f","payload":{"data":{"a": 1},"v":"1"},"timeout":"10s"}}"#,
            Action::Invoke {
                function: "app-f".to_owned(),
                data: json(r#"{"a": 1}"#),
                timeout: ten,
            },
        ),
        (
            r#"{"op":"InvokeFunction","id":"$A","opts":{"function_id":"app-f","payload":{}}}"#,
            Action::Invoke {
                function: "app-f".to_owned(),
                data: json("{}"),
                timeout: Until::LONGEST,
            },
        ),
    ] {
        assert_eq!(action(text), expected, "{text}");
    }
}

#[test]
fn requests_are_passed_on_as_they_are() {
    let opts = json(r#"{"url":"http://a","timeout":7,"body": 1.0}"#);
    for (opcode, expected) in [
        (
            "Gateway",
            Action::Gateway {
                request: opts.clone(),
            },
        ),
        (
            "AIGateway",
            Action::AiGateway {
                request: opts.clone(),
            },
        ),
        (
            "DeferAdd",
            Action::DeferAdd {
                options: opts.clone(),
            },
        ),
        (
            "DeferAbort",
            Action::DeferAbort {
                options: opts.clone(),
            },
        ),
    ] {
        let text = format!(r#"{{"op":"{opcode}","id":"$A","opts":{}}}"#, opts.get());
        assert_eq!(action(&text), expected);
    }
    assert_eq!(
        action(r#"{"op":"StepPlanned","id":"$A","opts":{"input":[ 1 ]}}"#),
        Action::Planned {
            input: Some(json("[ 1 ]"))
        }
    );
}

#[test]
fn ops_about_the_run() {
    for (text, expected) in [
        (
            r#" {"op":"RunComplete","id":"0737c22d3bfae812339732d14d8c7dbd6dc4e09c","data":{"a":1}}"#,
            Op::RunComplete {
                data: json(r#"{"a":1}"#),
            },
        ),
        (
            r#"{"op":"RunComplete"}"#,
            Op::RunComplete { data: json("null") },
        ),
        (
            r#"{"op":"SyncRunComplete","data":1}"#,
            Op::SyncRunComplete { data: json("1") },
        ),
        (r#"{"op":"DiscoveryRequest"}"#, Op::DiscoveryRequest),
        (r#"{"op":"None"}"#, Op::None),
        (
            r#"{"op":"Tomorrow","id":7}"#,
            Op::Unknown {
                opcode: "Tomorrow".to_owned(),
            },
        ),
    ] {
        assert_eq!(op(text), expected);
    }
    assert!(read_ops(b"[]").unwrap().is_empty());
}

#[test]
fn each_refusal_names_op_step_value_and_limit() {
    let large = format!(
        r#"{{"op":"StepRun","id":"$A","userland":{{"id":"a"}},"data":"{}"}}"#,
        "x".repeat(limits::MEMO_BYTES)
    );
    let many = format!("[{}]", vec![r#"{"op":"None"}"#; 1001].join(","));
    for (text, part) in [
        ("<html>", "are not a list of objects with an `op`"),
        (r#"[{"id":"$A"}]"#, "missing field `op`"),
        (
            r#"{"op":"StepRun","id":"step"}"#,
            "`StepRun` has no step: step `step` is not a SHA-1",
        ),
        (r#"{"op":"StepRun"}"#, "`StepRun` has no step"),
        (
            r#"{"op":"Sleep","id":"$A","name":"400d","userland":{"id":"a"}}"#,
            "`Sleep` of step `a`: `400d` is more than 366 days",
        ),
        (
            r#"{"op":"Sleep","id":"$A","name":"soon"}"#,
            "`soon` is neither a duration",
        ),
        (
            r#"{"op":"WaitForEvent","id":"$A","opts":{}}"#,
            "has no `name`",
        ),
        (
            r#"{"op":"WaitForEvent","id":"$A","name":"e","opts":{"timeout":7}}"#,
            "`opts` of `WaitForEvent` of step",
        ),
        (
            r#"{"op":"WaitForSignal","id":"$A","opts":{}}"#,
            "has no `signal`",
        ),
        (
            r#"{"op":"WaitForSignal","id":"$A","opts":{"signal":"s","conflict":"x"}}"#,
            "has `conflict` `x`; it can be",
        ),
        (
            r#"{"op":"InvokeFunction","id":"$A","opts":{"payload":{}}}"#,
            "has no `function_id`",
        ),
        (r#"{"op":"Gateway","id":"$A"}"#, "has no `opts`"),
        (&large, "step `a` returned 4194306 bytes, at most 4194304"),
        (&many, "1001 ops at once, at most 1000"),
    ] {
        let error = refused(text);
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.is_retryable(), matches!(error, OpError::NotOps(_)));
    }
}

#[test]
fn waits_come_first_and_the_end_comes_last() {
    let ops = |opcodes: &[&str]| {
        let ops: Vec<String> = opcodes
            .iter()
            .map(|op| {
                format!(r#"{{"op":"{op}","id":"{A}","name":"1s","opts":{{"function_id":"f"}}}}"#)
            })
            .collect();
        read_ops(format!("[{}]", ops.join(",")).as_bytes()).unwrap()
    };
    let ordered: Vec<_> = in_order(ops(&[
        "RunComplete",
        "StepRun",
        "InvokeFunction",
        "WaitForEvent",
        "Sleep",
        "DeferAbort",
        "WaitForSignal",
        "DeferAdd",
        "StepPlanned",
    ]))
    .iter()
    .map(|op| op.opcode().unwrap().as_str())
    .collect();
    assert_eq!(
        ordered,
        [
            "WaitForEvent",
            "DeferAbort",
            "WaitForSignal",
            "DeferAdd",
            "StepRun",
            "InvokeFunction",
            "Sleep",
            "StepPlanned",
            "RunComplete"
        ]
    );
    assert!(op(r#"{"op":"DeferAdd","id":"$A","opts":{}}"#).is_lazy());
    assert!(!op(r#"{"op":"Sleep","id":"$A"}"#).is_lazy());
}

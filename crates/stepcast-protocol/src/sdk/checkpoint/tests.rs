use super::*;
use crate::sdk::{
    Action,
    exchange::{self, Kind},
    op::Opcode,
};

const RUN: &str = "01M84YSQC423JBQG2X418RVYAV";

fn read(body: &str) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::read(RUN.parse().unwrap(), body.as_bytes())
}

fn with(ops: &str) -> Result<Checkpoint, CheckpointError> {
    read(&format!(
        r#"{{"run_id":"{RUN}","fn_id":"f","qi_id":"q","steps":{ops}}}"#
    ))
}

#[test]
fn every_recorded_checkpoint() {
    let expected = [
        ("03", "stream-output", None, "null"),
        (
            "03",
            "final-status",
            Some("step.realtime.publish"),
            r#"{"message":"Done!","step":"complete"}"#,
        ),
        ("04", "stream-output", None, "null"),
        (
            "04",
            "final-status",
            Some("step.realtime.publish"),
            r#"{"message":"Done!","step":"complete"}"#,
        ),
        (
            "05",
            "durable",
            Some("step.realtime.publish"),
            r#"{"message":"durable attempt=0"}"#,
        ),
        ("06", "a", None, r#""A""#),
        ("07", "join", None, r#""AB""#),
        ("10", "c", None, r#"{"hello":"peer"}"#),
        (
            "10",
            "fan",
            Some("step.sendEvent"),
            r#"{"ids":["01M84YT760R0PJGV463407TP1Y","01M84YT760R0PJGV463407TP1Z"]}"#,
        ),
        ("11", "stream", None, "null"),
        ("12", "pre", None, "1"),
        ("12", "cleanup", None, r#"{"cleaned":"fatal"}"#),
        ("15", "stream-output", None, "null"),
        (
            "15",
            "final-status",
            Some("step.realtime.publish"),
            r#"{"message":"Done!","step":"complete"}"#,
        ),
    ];
    let recorded = exchange::all(Kind::Checkpoint);
    let mut seen = Vec::new();
    for (recording, exchange) in &recorded {
        let value: serde_json::Value = serde_json::from_str(&exchange.body).unwrap();
        let run = value["run_id"].as_str().unwrap().parse().unwrap();
        let checkpoint = Checkpoint::read(run, exchange.body.as_bytes()).unwrap();
        assert_eq!(checkpoint.generation, Some(1));
        assert_eq!(checkpoint.request.as_deref(), value["request_id"].as_str());
        for op in checkpoint.ops {
            let Op::Step(step) = op else { panic!("{op:?}") };
            let Action::Ran { data } = step.action else {
                panic!("{step:?}");
            };
            let row = (
                *recording,
                step.step.to_string(),
                step.flavour,
                data.get().to_owned(),
            );
            seen.push(row);
        }
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(recording, step, flavour, data)| (*recording, &**step, flavour.as_deref(), &**data))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn which_ops_a_checkpoint_may_contain() {
    let id = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8";
    for opcode in Opcode::ALL {
        let allowed = matches!(
            opcode.as_str(),
            "Step"
                | "StepRun"
                | "StepPlanned"
                | "StepFailed"
                | "RunComplete"
                | "SyncRunComplete"
                | "DeferAdd"
                | "DeferAbort"
        );
        let op = format!(
            r#"[{{"op":"{opcode}","id":"{id}","name":"1s","opts":{{"signal":"s","function_id":"f"}}}}]"#
        );
        let read = with(&op).map(|checkpoint| checkpoint.ops.len());
        match read {
            Ok(count) => assert!(allowed && count == 1, "{opcode}"),
            Err(error) => {
                assert!(!allowed, "{error}");
                assert_eq!(error.code(), ErrorCode::BadRequest);
                let expected =
                    format!("`{opcode}` cannot be in a checkpoint, only in the answer to a call");
                assert_eq!(error.to_string(), expected);
            }
        }
    }
}

#[test]
fn each_refusal_says_what_cannot_be() {
    let another = r#"{"run_id":"01KASE7J6K0000000000000000","fn_id":"f","qi_id":"q","steps":[]}"#;
    let large = format!(
        r#"[{{"op":"StepRun","id":"86f7e437faa5a7fce15d1ddcb9eaeaea377667b8","data":"{}"}}]"#,
        "x".repeat(crate::limits::MEMO_BYTES)
    );
    for (error, part, code) in [
        (
            read("").unwrap_err(),
            "cannot be read: EOF",
            ErrorCode::BadJson,
        ),
        (
            read("{}").unwrap_err(),
            "missing field `run_id`",
            ErrorCode::BadJson,
        ),
        (
            read(another).unwrap_err(),
            "is of run `01KASE7J6K0000000000000000`, but was sent to run `01M84YSQC423JBQG2X418RVYAV`",
            ErrorCode::BadRequest,
        ),
        (
            with("[7]").unwrap_err(),
            "are not a list of objects",
            ErrorCode::BadRequest,
        ),
        (
            with(r#"[{"op":"Tomorrow"}]"#).unwrap_err(),
            "`Tomorrow` cannot be in a checkpoint",
            ErrorCode::BadRequest,
        ),
        (
            with(&large).unwrap_err(),
            "at most 4194304 are allowed",
            ErrorCode::TooLarge,
        ),
    ] {
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.code(), code);
    }
}

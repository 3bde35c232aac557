use std::time::Duration;

use super::*;
use crate::{
    sdk::{
        Action, Opcode, StepHash,
        exchange::{self, Kind},
    },
    timestamp::Timestamp,
};

const SDK: &[(&str, &str)] = &[(headers::SDK, "inngest-js:v4.24.0")];

fn read(status: u16, list: &[(&str, &str)], body: &str) -> Response {
    Response::read(&Answer {
        status,
        header: &|name| {
            let found = list.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| (*value).to_owned())
        },
        body: body.as_bytes(),
    })
}

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    SDK.iter().chain(more).copied().collect()
}

/// An outcome in few words.
fn words(response: &Response) -> String {
    match &response.outcome {
        Ok(Outcome::Finished { data }) => format!("finished {}", data.get()),
        Ok(Outcome::Failed { failure, verdict }) => {
            format!("failed {verdict:?} {}", failure.message)
        }
        Ok(Outcome::Ops(ops)) => {
            let words = ops.iter().map(|op| match op {
                Op::Step(step) => format!("{} {}", step.action.opcode(), step.step),
                other => other.opcode().map_or("?", Opcode::as_str).to_owned(),
            });
            words.collect::<Vec<_>>().join(", ")
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_recorded_answer() {
    let expected = [
        ("03", "RunComplete"),
        ("04", "RunComplete"),
        ("05", "StepError flaky"),
        ("05", "StepRun flaky"),
        ("05", "RunComplete"),
        ("06", "failed TryAgain boom fn"),
        ("06", "RunComplete"),
        ("07", "StepPlanned a, StepPlanned b, StepPlanned pub"),
        ("07", "StepRun b"),
        ("07", "StepRun a"),
        ("07", "StepRun pub"),
        ("07", "RunComplete"),
        ("08", "Sleep nap"),
        ("08", "Sleep until"),
        ("08", "RunComplete"),
        ("09", "WaitForEvent approval"),
        ("09", "WaitForEvent never"),
        ("09", "RunComplete"),
        ("10", "InvokeFunction call-child"),
        ("10", "RunComplete"),
        ("10", "RunComplete"),
        ("11", "RunComplete"),
        ("12", "failed Final fatal"),
        ("12", "RunComplete"),
        ("13", "StepFailed bad"),
        ("13", "RunComplete"),
        ("14", "WaitForSignal sig"),
        ("14", "RunComplete"),
        ("15", "RunComplete"),
        ("16", "Sleep nap"),
        ("16", "Sleep until"),
        ("16", "RunComplete"),
    ];
    let read: Vec<(&str, String)> = exchange::all(Kind::Answer)
        .iter()
        .map(|(recording, answer)| {
            let response = answer.with_answer(Response::read);
            assert_eq!(response.version, Some(ProtocolVersion::Two));
            assert_eq!(response.retry_after, None);
            (*recording, words(&response))
        })
        .collect();
    let read: Vec<(&str, &str)> = read.iter().map(|(name, words)| (*name, &**words)).collect();
    assert_eq!(read, expected);
}

#[test]
fn a_recorded_error_is_kept_as_the_sdk_wrote_it() {
    let answers = exchange::all(Kind::Answer);
    let (_, answer) = answers.iter().find(|(name, _)| *name == "12").unwrap();
    let Ok(Outcome::Failed { failure, .. }) = answer.with_answer(Response::read).outcome else {
        panic!("12 failed");
    };
    assert_eq!(failure.json.get(), answer.body);
    assert_eq!(failure.name, "NonRetriableError");
    assert!(
        failure
            .stack
            .starts_with("NonRetriableError: fatal\n    at ")
    );
}

#[test]
fn statuses_and_headers() {
    let error = r#"{"name":"E","message":"m","stack":"","__serialized":true}"#;
    let no_retry = &with(&[(headers::NO_RETRY, "true")]);
    let retry = &with(&[(headers::NO_RETRY, "false")]);
    for (status, list, body, expected) in [
        (200, SDK, r#"{"a": 1.0}"#, r#"finished {"a": 1.0}"#),
        (200, SDK, "null", "finished null"),
        (200, SDK, "", "finished null"),
        (200, retry, "1", "finished 1"),
        (200, no_retry, error, "failed Final m"),
        (
            200,
            SDK,
            "<p>",
            "the function's result cannot be read: 3 bytes that should be JSON are not: expected value at line 1 column 1",
        ),
        (206, SDK, r#"{"op":"RunComplete","data":1}"#, "RunComplete"),
        (206, SDK, "[]", ""),
        (206, no_retry, "[]", ""),
        (
            206,
            SDK,
            "oops",
            "the ops are not a list of objects with an `op`: expected value at line 1 column 1",
        ),
        (400, no_retry, error, "failed Final m"),
        (400, SDK, error, "failed TryAgain m"),
        (500, retry, error, "failed TryAgain m"),
        (500, no_retry, error, "failed Final m"),
        (
            500,
            SDK,
            r#"{"error":"Could not find step"}"#,
            "failed TryAgain Could not find step",
        ),
        (503, SDK, "", "failed TryAgain failed without saying why"),
        (
            401,
            &[(headers::SDK_HANDLED, "true")],
            r#"{"message":"Unauthorized"}"#,
            "the app did not accept the signature of the call; give app and server the same signing key",
        ),
        (
            401,
            SDK,
            "",
            "the app did not accept the signature of the call; give app and server the same signing key",
        ),
        (
            405,
            SDK,
            "{}",
            "status 405 is none that an SDK answers a call with: `{}`",
        ),
        (
            302,
            SDK,
            " moved ",
            "status 302 is none that an SDK answers a call with: `moved`",
        ),
        (
            502,
            &[],
            "Bad Gateway",
            "status 502 did not come from an SDK, but from a proxy or another server: `Bad Gateway`; check the app's URL",
        ),
        (
            401,
            &[],
            "login",
            "status 401 did not come from an SDK, but from a proxy or another server: `login`; check the app's URL",
        ),
        (
            201,
            &[],
            r#"{"status":200}"#,
            r#"status 201 did not come from an SDK, but from a proxy or another server: `{"status":200}`; check the app's URL"#,
        ),
    ] {
        assert_eq!(
            words(&read(status, list, body)),
            expected,
            "{status} {body}"
        );
    }
}

#[test]
fn streams_are_unwrapped() {
    let id = StepHash::of("a");
    for (body, expected) in [
        (r#"   {"status":200,"headers":{},"body":"1","version":2}"#.to_owned(), "finished 1"),
        (r#"{"status":200}"#.to_owned(), "finished null"),
        (
            format!(r#" {{"status":206,"headers":{{"X-Inngest-Req-Version":"1","X-N":7}},"body":"[{{\"op\":\"StepPlanned\",\"id\":\"{id}\"}}]"}}"#),
            "StepPlanned 86f7e437faa5a7fce15d1ddcb9eaeaea377667b8",
        ),
        (
            r#"{"status":400,"headers":{"x-inngest-no-retry":"true"},"body":"{\"name\":\"E\",\"message\":\"m\"}"}"#.to_owned(),
            "failed Final m",
        ),
        (
            "      ".to_owned(),
            "the stream ended after 6 bytes without the answer; the app's host may limit how long it may run",
        ),
        (
            r#"  {"status":20"#.to_owned(),
            "the stream ended after 14 bytes without the answer; the app's host may limit how long it may run",
        ),
        (r#"{"status":201,"body":"{}"}"#.to_owned(), "status 201 is none that an SDK answers a call with: `{}`"),
    ] {
        assert_eq!(words(&read(201, SDK, &body)), expected, "{body}");
    }
    let body =
        r#"{"status":500,"headers":{"Retry-After":"3","X-Inngest-Req-Version":"1"},"body":"{}"}"#;
    let response = read(201, &with(&[(headers::REQUEST_VERSION, "2")]), body);
    assert_eq!(response.version, Some(ProtocolVersion::One));
    assert_eq!(
        response.retry_after,
        Some(RetryAfter::After(Duration::from_secs(3)))
    );
}

#[test]
fn which_errors_may_pass() {
    let large = "x".repeat(limits::ANSWER_FROM_SDK_BYTES + 1);
    for (status, list, body, expected) in [
        (200, SDK, &*large, false),
        (200, SDK, "oops", true),
        (206, SDK, "oops", true),
        (206, SDK, r#"{"op":"StepRun"}"#, false),
        (201, SDK, " ", true),
        (302, SDK, "", true),
        (502, &[], "", true),
        (401, SDK, "", true),
    ] {
        let error = read(status, list, body).outcome.unwrap_err();
        assert_eq!(error.is_retryable(), expected, "{error}");
    }
}

#[test]
fn when_to_try_again() {
    let now = Timestamp::from_millis(1_795_462_847_000);
    for (text, seconds) in [
        ("7", Some(7)),
        (" 7 ", Some(7)),
        ("0", Some(1)),
        ("999999", Some(86_400)),
        ("2026-11-23T19:40:50.000Z", Some(3)),
        ("2020-01-01T00:00:00Z", Some(1)),
        ("2030-01-01T00:00:00Z", Some(86_400)),
        ("Mon, 23 Nov 2026 19:41:47 GMT", Some(60)),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
    ] {
        let wait = RetryAfter::parse(text).map(|after| after.wait(now));
        assert_eq!(wait, seconds.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn a_planned_step_of_the_recordings_can_be_told_by_its_flavour() {
    let answers = exchange::all(Kind::Answer);
    let (_, answer) = answers.iter().find(|(name, _)| *name == "07").unwrap();
    let Ok(Outcome::Ops(ops)) = answer.with_answer(Response::read).outcome else {
        panic!("07 begins with three steps");
    };
    let flavours: Vec<_> = ops
        .iter()
        .map(|op| match op {
            Op::Step(step) => {
                assert_eq!(step.action, Action::Planned { input: None });
                step.flavour.as_deref()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(flavours, [None, None, Some("step.realtime.publish")]);
}

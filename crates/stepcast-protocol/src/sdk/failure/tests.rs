use super::*;

const THROWN: &str = r#"{"name":"TypeError","message":"no","stack":"TypeError: no\n  at a","code":"E1","cause":{"name":"Error","message":"why","cause":"deep"},"__serialized":true}"#;

#[test]
fn what_an_sdk_wrote_is_kept() {
    let failure = Failure::read(THROWN.as_bytes());
    assert_eq!(
        (&*failure.name, &*failure.message, &*failure.stack),
        ("TypeError", "no", "TypeError: no\n  at a")
    );
    assert_eq!(failure.json.get(), THROWN);
    assert_eq!(serde_json::to_string(&failure).unwrap(), THROWN);
    let stored = RunError::from(&failure);
    assert_eq!(Failure::from(&stored), failure);
    let as_string = serde_json::to_string(THROWN).unwrap();
    assert_eq!(Failure::read(as_string.as_bytes()), failure);
    assert_eq!(
        RunError::from(&failure),
        RunError {
            code: "function_failed".to_owned(),
            message: "TypeError: no".to_owned(),
            causes: vec!["why".to_owned(), "deep".to_owned()],
            sdk: Some(failure.json),
        }
    );
}

#[test]
fn anything_can_be_read() {
    for (body, name, message) in [
        (
            r#"{"error":"no step","requestedStep":"a"}"#,
            "Error",
            "no step",
        ),
        (
            r#"{"code":"internal_server_error"}"#,
            "Error",
            "internal_server_error",
        ),
        (r#"{"name":"E"}"#, "E", "E"),
        (r#"{"name":"E","message":"m","stack":null}"#, "E", "m"),
        (r#"{"name":7,"message":"m"}"#, "Error", "m"),
        (r#"{"a":1}"#, "Error", r#"{"a":1}"#),
        (r#""plain""#, "Error", "plain"),
        ("[1]", "Error", "[1]"),
        ("<html>", "Error", "<html>"),
        ("", "Error", "failed without saying why"),
    ] {
        let failure = Failure::read(body.as_bytes());
        assert_eq!(
            (&*failure.name, &*failure.message),
            (name, message),
            "{body}"
        );
        let json: Map<String, Value> = serde_json::from_str(failure.json.get()).unwrap();
        for key in ["name", "message", "stack", "error"] {
            assert!(json.get(key).is_none_or(Value::is_string), "{body}");
        }
    }
    assert_eq!(Failure::read(&[0xff]).message, "\u{fffd}");
}

#[test]
fn errors_of_ours_can_be_given_to_an_sdk() {
    let error = RunError {
        code: "timed_out".to_owned(),
        message: "took longer than 2h".to_owned(),
        causes: vec!["one".to_owned(), "two".to_owned()],
        sdk: None,
    };
    let failure = Failure::from(&error);
    assert_eq!(failure, Failure::read(failure.json.get().as_bytes()));
    assert_eq!(
        RunError::from(&failure),
        RunError {
            code: "function_failed".to_owned(),
            message: "timed_out: took longer than 2h".to_owned(),
            causes: error.causes,
            sdk: Some(failure.json),
        }
    );
    let plain = RunError::new(ErrorCode::FunctionFailed, "boom");
    assert_eq!(RunError::from(&Failure::from(&plain)).shown(), plain);
}

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::{super::ExpressionError, Expression, Scope, parse};

/// Reads, and evaluates and drops what could be read, on a thread with little stack.
fn survives(text: String) {
    let thread = std::thread::Builder::new().stack_size(512 * 1024);
    let outcome = thread.spawn(move || {
        if let Ok(expression) = Expression::parse(&text) {
            let event = json!({"data": {"x": [[[1]]]}});
            drop(expression.value(Scope::of(&event)));
            drop(expression.bind(&event));
        }
    });
    outcome.unwrap().join().unwrap();
}

#[test]
fn nothing_nests_so_deep_that_it_overflows_the_stack() {
    let repeated = |before: &str, middle: &str, after: &str| {
        let count = 4096 / (before.len() + after.len()) - 8;
        format!("{}{middle}{}", before.repeat(count), after.repeat(count))
    };
    for (before, middle, after) in [
        ("(", "1", ")"),
        ("(", "", ""),
        ("[", "1", "]"),
        ("{'a': ", "1", "}"),
        ("!", "true", ""),
        ("-", "event", ""),
        ("- ", "1", ""),
        ("true && ", "true", ""),
        ("true&&(", "true", ")"),
        ("true||(", "true", ")"),
        ("1 + ", "1", ""),
        ("1+(", "1", ")"),
        ("1 == ", "1", ""),
        ("1?", "1", ":1"),
        ("1?1:", "1", ""),
        ("event.data", ".x", ".x"),
        ("", "[1]", "[0]"),
        ("", "[1]", ".x"),
        ("size(", "1", ")"),
        ("", "'a'", ".size()"),
        ("event.data.x[", "0", "]"),
        ("[1].map(x,", "1", ")"),
        ("event.data.x", "", ".map(x,x)"),
    ] {
        survives(repeated(before, middle, after));
    }
    let deepest = |levels| format!("{}1{}", "(1+".repeat(levels), ")".repeat(levels));
    survives(deepest(15));
    assert!(Expression::parse(&deepest(15)).is_ok());
    let error = Expression::parse(&deepest(16)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it nests deeper than 32 levels here; split it"),
        "{error}"
    );
}

#[test]
fn long_chains_are_read_and_too_long_texts_are_not() {
    let chain = |operator: &str| vec!["event.data.x == 1"; 180].join(operator);
    for operator in ["&&", "||"] {
        let expression = parse(&chain(operator));
        assert!(
            expression
                .holds(Scope::of(&json!({"data": {"x": 1}})))
                .unwrap()
        );
    }
    let text = "x".repeat(4097);
    let error = Expression::parse(&text).unwrap_err();
    assert_eq!(error, ExpressionError::TooLong { bytes: 4097 });
    assert_eq!(
        error.to_string(),
        "expression of 4097 bytes, at most 4096 are allowed; compute the value before the event is sent, and compare that"
    );
}

#[test]
fn no_evaluation_takes_long() {
    let long = "x".repeat(1024 * 1024);
    let event = json!({"data": {
        "list": (0..3_000).collect::<Vec<_>>(), "text": long, "items": vec![json!({"a": [1, 2, 3]}); 2_000],
    }});
    for text in [
        "event.data.list.exists(a, event.data.list.exists(b, event.data.list.exists(c, a + b + c < 0)))",
        "event.data.list.map(a, event.data.text).size() == 0",
        "event.data.list.map(a, event.data.text + event.data.text).size() == 0",
        "event.data.list.exists(a, event.data.text.contains('y'))",
        "event.data.list.exists(a, event.data.text.matches('(x+x+)+y'))",
        "event.data.list.exists(a, event.data.text == event.data.text + 'y')",
        "event.data.list.exists(a, event.data.items == [event.data.items])",
        "event.data.list.exists(a, [a] in event.data.items)",
        "event.data.list.map(a, event.data.list).map(a, a.map(b, [b, b])).size() == 0",
    ] {
        let begun = Instant::now();
        let outcome = parse(text).holds(Scope::of(&event));
        assert!(
            matches!(outcome, Err(ExpressionError::TooMuchWork { .. })),
            "{text}: {outcome:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(2), "{text}");
    }
    assert!(
        parse("event.data.list.exists(a, a == 2999)")
            .holds(Scope::of(&event))
            .unwrap()
    );
}

#[test]
fn no_pattern_takes_long() {
    // About the slowest that is not refused: 100 ms for 12 KB when optimised.
    let pattern = "event.data.text.matches('x[xy]{880}[a-w]')";
    let holds = |bytes: usize| {
        let text: String = (0..bytes)
            .map(|at| if at * at % 7 < 3 { 'x' } else { 'y' })
            .collect();
        parse(pattern).holds(Scope::of(&json!({"data": {"text": text}})))
    };
    let begun = Instant::now();
    assert_eq!(holds(3_000), Ok(false));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert!(matches!(
        holds(13_000),
        Err(ExpressionError::TooMuchWork { .. })
    ));
    let few = ["event.name.matches('a')"; 8].join("||");
    assert!(Expression::parse(&few).is_ok());
    let error = Expression::parse(&format!("{few}||event.name.matches('a')")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("more than 8 patterns; join them"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,64}") {
        drop(Expression::parse(&text));
    }

    #[test]
    fn any_words_are_read_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "event", "async", ".", "data", "x", "(", ")", "[", "]", "{", "}", "==", "&&", "||", "!", "-", "+", "?", ":", "in",
                "1", "1.5", "'a'", "r'\\'", "null", "true", ",", ".exists(x,", ".size()", "has(", "\n", "//",
            ]),
            0..24,
        )
    ) {
        let event = json!({"data": {"x": [1, null, "a"]}});
        if let Ok(expression) = Expression::parse(&words.concat()) {
            drop(expression.value(Scope::of(&event)));
        }
    }
}

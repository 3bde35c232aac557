use serde_json::json;

use super::{super::ExpressionError, Expression, parse};

#[track_caller]
fn refused(text: &str, character: usize, problem: &str) {
    let expected = ExpressionError::Unreadable {
        text: text.to_owned(),
        character,
        problem: problem.to_owned(),
    };
    assert_eq!(Expression::parse(text), Err(expected), "{text}");
}

#[test]
fn an_expression_is_shown_and_stored_as_its_text() {
    let text = "event.data.x == 1 // the first\n && true";
    let expression = parse(text);
    assert_eq!(expression.to_string(), text);
    let stored = serde_json::to_value(&expression).unwrap();
    assert_eq!(stored, json!(text));
    let read: Expression = serde_json::from_value(stored).unwrap();
    assert_eq!(read, expression);
    assert!(serde_json::from_value::<Expression>(json!("event.")).is_err());
}

#[test]
fn what_cannot_be_read_is_pointed_at() {
    let error = Expression::parse("event.data.ä == ").unwrap_err();
    assert_eq!(
        error.to_string(),
        "expression `event.data.ä == ` cannot be read at character 12: `ä` has no meaning here; put text between quotes"
    );
    let value = "expected a value such as `event.data.id` or 'text', found";
    refused("", 1, &format!("{value} the end"));
    refused("event.data.x ==", 16, &format!("{value} the end"));
    refused("(event", 7, "expected `)`, found the end");
    refused(
        "event.data.x 1",
        14,
        "expected an operator such as `==` or `&&`, found `1`",
    );
    refused(
        "event.data.x = 1",
        14,
        "`=` has no meaning here; write `==` to compare",
    );
    refused("'a", 1, "the text that starts here does not end; add '");
    refused("'\\q'", 2, "no such escape; write \\\\ for a backslash");
    refused(
        "event.5",
        6,
        "expected an operator such as `==` or `&&`, found `0.5`",
    );
    refused(
        "99999999999999999999",
        1,
        "the number is too large; write it as text",
    );
    refused(
        "evnt.data.x == 1",
        1,
        "`evnt` is not known; use `event`, or `async` for the event that comes in",
    );
    refused(
        "event.ts > now()",
        12,
        "`now` is not supported; compare `event.ts`, in milliseconds since 1970, with a number",
    );
    refused(
        "startsWith('a')",
        1,
        "`startsWith` is not called like that; write event.data.id.startsWith('text')",
    );
    refused(
        "event.name.matches(event.data.x)",
        12,
        "`matches` takes a pattern in quotes, as in event.data.id.matches('^a')",
    );
    refused(
        "event.name.matches('(a{1000}){1000}')",
        12,
        "the pattern of `matches` is too large for 65536 bytes; repeat less, or use `*`",
    );
    refused(
        "event.name.matches('(a')",
        12,
        "the pattern of `matches` cannot be read: unclosed group; write \\\\ before a character that stands for itself",
    );
    refused(
        "has(1)",
        1,
        "`has` takes one field, as in has(event.data.id)",
    );
    refused(
        "[1].exists(1, true)",
        12,
        "expected a name for the element, as in exists(x, x == 1), found `1`",
    );
}

#[test]
fn a_name_of_an_element_ends_with_its_list() {
    refused(
        "[1].exists(x, x == 1) && x == 1",
        26,
        "`x` is not known; use `event`, or `async` for the event that comes in",
    );
}

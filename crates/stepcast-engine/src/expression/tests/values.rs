use serde_json::{Value, json};

use super::{Scope, events, parse};

fn value(text: &str) -> Value {
    let (event, incoming) = events();
    parse(text)
        .value(Scope::of(&event).with_incoming(&incoming))
        .unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn check(cases: &[(&str, Value)]) {
    for (text, expected) in cases {
        assert_eq!(value(text), *expected, "{text}");
    }
}

#[track_caller]
fn holds(texts: &[&str]) {
    for text in texts {
        assert_eq!(value(text), json!(true), "{text}");
    }
}

#[track_caller]
fn fails(text: &str, problem: &str) {
    let (event, incoming) = events();
    let error = parse(text)
        .holds(Scope::of(&event).with_incoming(&incoming))
        .unwrap_err();
    let expected = format!(
        "expression `{text}` has no value for this event: {problem}; convert with string() or double(), or ask has() first"
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn fields_are_found_by_name_and_by_index() {
    check(&[
        ("event.name", json!("shop/order")),
        ("event.ts", json!(1_700_000_000_000_i64)),
        ("event.user.id", json!("u1")),
        ("event.data['a-b']", json!("dash")),
        ("event['data'].deep.er.est", json!(3)),
        ("event.data.lines[1].sku", json!("s2")),
        ("event.data.lines[event.data.x].count", json!(5)),
        ("event.data.lines[7].sku", json!(null)),
        ("event.data.lines[-1]", json!(null)),
        ("event.data.nil.deeper.still", json!(null)),
        ("event.data.x.y", json!(null)),
        ("async.data.other", json!(2)),
        ("{'a': [1, 2]}.a[1]", json!(2)),
    ]);
}

#[test]
fn numbers_compare_by_value() {
    holds(&[
        "event.data.x == async.data.x",
        "event.data.x == 1.0",
        "event.data.whole == 1",
        "event.data.half < 1 && event.data.half > 0",
        "1u == 1",
        "event.data.big == 9007199254740993",
        "event.data.big != 9007199254740992.0",
        "event.data.big > 9007199254740992.0",
        "-1 < 0 && -0.5 > -1",
        "[1, {'a': 2}] == [1.0, {'a': 2.0}]",
        "0x10 == 16 && 1e3 == 1000",
    ]);
}

#[test]
fn a_field_that_is_not_there_equals_null_and_nothing_else() {
    holds(&[
        "event.data.gone == null",
        "null == event.data.gone.deeper",
        "event.data.gone == event.data.nil",
        "event.data.nil == null",
        "event.data.nil == async.data.nil",
        "!(event.data.gone == async.data.gone)",
        "event.data.gone != async.data.gone",
        "event.data.gone != ''",
        "event.data.nil != ''",
        "event.data.text != null",
    ]);
}

#[test]
fn and_is_less_than_everything_has_no_size_and_adds_nothing() {
    check(&[
        ("event.data.gone < -5", json!(true)),
        ("event.data.gone >= -5", json!(false)),
        ("5 > event.data.gone", json!(true)),
        ("5 <= event.data.gone", json!(false)),
        ("event.data.nil < 5", json!(true)),
        ("event.data.nil > -5", json!(true)),
        ("'a' > event.data.nil", json!(true)),
        ("size(event.data.gone)", json!(0)),
        ("event.data.gone.size()", json!(0)),
        ("event.data.gone.contains('a')", json!(false)),
        ("event.data.gone.matches('a')", json!(false)),
        ("'a' in event.data.gone", json!(false)),
        ("event.data.gone in ['a']", json!(false)),
        ("event.data.gone.exists(x, x == 1)", json!(false)),
        ("event.data.gone.all(x, x == 1)", json!(false)),
        ("event.data.text + '-' + event.data.gone", json!("Hello-")),
        ("event.data.gone * 2", json!(null)),
        ("has(event.data.gone)", json!(false)),
        ("has(event.data.nil) && has(event.data['x'])", json!(true)),
    ]);
}

#[test]
fn any_value_is_an_operand_of_and_and_or() {
    check(&[
        ("event.data.gone || event.data.text", json!("Hello")),
        ("event.data.empty || event.data.no", json!(false)),
        ("event.data.text && event.data.x", json!(1)),
        (
            "event.data.text && event.data.empty && event.data.x",
            json!(""),
        ),
        ("!event.data.gone", json!(true)),
        ("!event.data.text", json!(false)),
        ("event.data.gone ? 1 : 2", json!(2)),
        ("event.data.yes ? 1 : 2", json!(1)),
        ("true ? 1 : false ? 2 : 3", json!(1)),
    ]);
}

#[test]
fn what_cannot_be_found_matters_only_when_nothing_else_decides() {
    holds(&[
        "event.data.x < 'a' || true",
        "!(event.data.x < 'a' && false)",
    ]);
    fails(
        "event.data.x < 'a' || false",
        "a number and a text have no order",
    );
    fails(
        "event.data.x < 'a' && true",
        "a number and a text have no order",
    );
    holds(&[
        "[1, 'a'].exists(x, x < 2)",
        "['a', 1].exists(x, x < 2)",
        "!['a', 1].all(x, x > 2)",
    ]);
    fails(
        "['a', 1].exists(x, x > 2)",
        "a text and a number have no order",
    );
}

#[test]
fn operators_bind_as_usual() {
    check(&[
        ("1 + 2 * 3 - 4", json!(3)),
        ("(1 + 2) * 3", json!(9)),
        ("10 - 2 - 3", json!(5)),
        ("7 / 2", json!(3.5)),
        ("6 / 2", json!(3)),
        ("7.0 / 2", json!(3.5)),
        ("7 % 4", json!(3)),
        ("-event.data.x", json!(-1)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("event.data.text + 1 + true", json!("Hello1true")),
        ("[1] + [2]", json!([1, 2])),
        ("1 + 1 == 2 && !false || false", json!(true)),
        ("'a' in ['a', 'b'] == true", json!(true)),
        ("'x' in event.data && !('q' in event.data)", json!(true)),
        ("1.0 in [2, 1]", json!(true)),
    ]);
}

#[test]
fn lists_are_searched() {
    check(&[
        ("event.data.tags.exists(t, t == 'b')", json!(true)),
        ("event.data.tags.all(t, size(t) == 1)", json!(true)),
        ("event.data.lines.exists_one(l, l.count > 2)", json!(true)),
        ("event.data.lines.map(l, l.sku)", json!(["s1", "s2"])),
        (
            "event.data.lines.filter(l, l.count > 2)[0].sku",
            json!("s2"),
        ),
        (
            "event.data.lines.map(l, {'c': l.count}).exists(m, m.c == 5)",
            json!(true),
        ),
        (
            "event.data.lines.exists(l, event.data.tags.exists(t, t == 'b' && l.sku == 's2'))",
            json!(true),
        ),
        ("['p', 'a'].exists(p, p in event.data.tags)", json!(true)),
        ("event.data.deep.all(key, key == 'er')", json!(true)),
        ("event.data.tags.exists(event, event == 'a')", json!(true)),
    ]);
}

#[test]
fn texts_are_looked_into_and_converted() {
    check(&[
        ("event.data.text.startsWith('He')", json!(true)),
        ("event.data.text.endsWith('lo')", json!(true)),
        ("event.data.text.contains('ell')", json!(true)),
        ("event.data.text.matches('^H[a-z]{4}$')", json!(true)),
        (r"'a_1 b'.matches(r'^\w+\s[\w-]$')", json!(true)),
        (r"'ä'.matches(r'\w') || '٣'.matches(r'[\d]')", json!(false)),
        (r"'ä b'.matches(r'^[\W\S]\W\bb\b$')", json!(true)),
        (r"'a.b\\'.matches('^a\\.b\\\\$')", json!(true)),
        (
            "lowercase(event.data.text) + uppercase('x')",
            json!("helloX"),
        ),
        (
            "size('äö') + size(event.data.tags) + size({'a': 1})",
            json!(5),
        ),
        (
            "int('200') == 200 && int(2.9) == 2 && int(-2.9) == -2",
            json!(true),
        ),
        ("double('1.5')", json!(1.5)),
        ("string(event.data.x) + string(true)", json!("1true")),
        ("b64decode('aGk=')", json!("hi")),
        ("json_parse('{\"a\": [1]}').a[0]", json!(1)),
        (r"'\u00e4\x41\101\n\'' + r'\n'", json!("äAA\n'\\n")),
        ("'''it's'''", json!("it's")),
    ]);
}

#[test]
fn values_that_do_not_go_together_are_named() {
    fails("event.data.tags < 1", "a list and a number have no order");
    fails(
        "event.data.tags + 1",
        "`+` does not go with a list and a number",
    );
    fails("1 / 0", "`1 / 0` is no number that JSON knows");
    fails(
        "9223372036854775807 * 3",
        "`9223372036854775807 * 3` is no number that JSON knows",
    );
    fails(
        "size(1)",
        "`size` needs a text, list or object, found a number",
    );
    fails(
        "int('x')",
        "`int` needs a number or a text of one, found a text",
    );
    fails(
        "1 in 'a'",
        "`in` needs a list or an object at its right, found a text",
    );
}

#[test]
fn without_an_incoming_event_async_is_not_there() {
    let (event, _) = events();
    let holds = |text| parse(text).holds(Scope::of(&event)).unwrap();
    assert!(holds("async.data.x == null"));
    assert!(!holds("async.data.x == event.data.x"));
}

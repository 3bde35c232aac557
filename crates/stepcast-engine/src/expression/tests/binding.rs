use proptest::prelude::*;
use serde_json::{Value, json};

use crate::store::rows::Matching;

use super::{
    super::{index_key, matches_data, same_value},
    Expression, Scope, events, parse,
};

fn matching(field: &str, value: Value) -> Matching {
    Matching {
        field: field.to_owned(),
        value,
    }
}

#[track_caller]
fn bound(text: &str, expected: &[Matching], rest: Option<&str>) {
    let (event, _) = events();
    let bound = parse(text).bind(&event);
    assert_eq!(bound.matching, expected, "{text}");
    assert_eq!(bound.rest.as_ref().map(Expression::as_str), rest, "{text}");
}

#[test]
fn equalities_become_what_an_index_can_answer() {
    bound(
        "event.data.x == async.data.x",
        &[matching("x", json!(1))],
        None,
    );
    bound(
        "async.data.deep['er'] == 'a'",
        &[matching("deep.er", json!("a"))],
        None,
    );
    bound(
        "(event.data.text == async.data.text && (true == async.data.ok)) && async.data.y > 3",
        &[
            matching("text", json!("Hello")),
            matching("ok", json!(true)),
        ],
        Some("async.data.y > 3"),
    );
    bound(
        "async.data.x == 1 && (async.data.y == 1 || async.data.z == 1) && !async.data.w",
        &[matching("x", json!(1))],
        Some("(async.data.y == 1 || async.data.z == 1) && !async.data.w"),
    );
}

#[test]
fn and_what_it_cannot_answer_is_left() {
    for text in [
        "event.data.x == async.data['a.b']",
        "event.data.gone == async.data.x",
        "event.data.nil == async.data.x",
        "event.data.deep == async.data.x",
        "async.data.x == async.data.y",
        "async.data.x == null",
        "async.data.x == event.data.x + 1",
        "async.name == 'a'",
        "async.data == 'a'",
        "event.data.x == 1",
        "async.data.x == 1 || async.data.y == 1",
        "async.data.x != 1",
        "async.data.x",
    ] {
        bound(text, &[], Some(text));
    }
}

#[test]
fn a_trigger_sees_the_incoming_event_as_event() {
    let bound =
        parse("event.data.kind == 'a' && event.data.x == event.data.y && 1 == event.data.z")
            .bind_trigger();
    assert_eq!(
        bound.matching,
        [matching("kind", json!("a")), matching("z", json!(1))]
    );
    assert_eq!(bound.rest, Some(parse("event.data.x == event.data.y")));
}

#[test]
fn the_longest_rest_can_be_read_again() {
    let text = format!("async.data.x==1&&{}", vec!["!async.data.y"; 270].join("&&"));
    let text = format!("{text}{}", "&&!async".repeat((4096 - text.len()) / 8));
    let rest = parse(&text).bind(&json!({})).rest.unwrap();
    assert_eq!(format!("async.data.x==1&&{rest}"), text);
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        prop::sample::select(vec![-1.0, 0.0, 0.5, 1.0, 2.0]).prop_map(Value::from),
        prop::sample::select(vec!["", "a", "1"]).prop_map(Value::from),
    ]
}

fn data() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        4 => scalar(),
        1 => prop::collection::vec(scalar(), 0..3).prop_map(Value::from),
        1 => scalar().prop_map(|value| json!({"z": value})),
    ];
    prop::collection::btree_map(prop::sample::select(vec!["x", "y", "a.b"]), value, 0..4)
        .prop_map(|fields| json!({"data": fields}))
}

fn term() -> impl Strategy<Value = String> {
    let operand = || {
        prop::sample::select(vec![
            "async.data.x",
            "async.data.y",
            "async.data.x.z",
            "async.data['a.b']",
            "event.data.x",
            "event.data.y.z",
            "event.data",
            "async.data",
            "null",
            "true",
            "1",
            "1.0",
            "'a'",
            "''",
            "size(async.data.y)",
            "async.data.x[0]",
            "(event.data.x < 1)",
        ])
    };
    let operator = prop::sample::select(vec!["==", "==", "==", "!=", "<", ">=", "in"]);
    prop_oneof![
        6 => (operand(), operator, operand()).prop_map(|(one, operator, other)| format!("{one} {operator} {other}")),
        1 => operand().prop_map(str::to_owned),
        1 => operand().prop_map(|one| format!("!{one}")),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    term().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 1..4).prop_map(|terms| terms.join(" && ")),
            1 => prop::collection::vec(inner.clone(), 1..3).prop_map(|terms| terms.join(" || ")),
            1 => inner.prop_map(|term| format!("({term})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn bound_it_gives_the_same_answer(text in condition(), event in data(), incoming in data()) {
        let expression = parse(&text);
        let scope = Scope::of(&event).with_incoming(&incoming);
        let bound = expression.bind(&event);
        let plain = expression.holds(scope);
        let answer = bound.holds(&incoming["data"], scope);
        prop_assert_eq!(plain.ok(), answer.ok(), "{}: {:?}", text, bound);
        if let Some(rest) = bound.rest {
            prop_assert_eq!(parse(rest.as_str()).holds(scope).ok(), rest.holds(scope).ok());
        }
    }

    #[test]
    fn and_so_does_a_trigger(text in condition(), event in data()) {
        let text = text.replace("async", "event");
        let expression = parse(&text);
        let scope = Scope::of(&event);
        let answer = expression.bind_trigger().holds(&event["data"], scope);
        prop_assert_eq!(expression.holds(scope).ok(), answer.ok(), "{}", text);
    }

    #[test]
    fn values_have_one_key_when_they_are_the_same(one in scalar(), other in scalar()) {
        prop_assert_eq!(same_value(&one, &other), index_key(&one) == index_key(&other));
        let field = [matching("x", one.clone())];
        prop_assert_eq!(matches_data(&field, &json!({"x": other})), same_value(&one, &other));
    }
}

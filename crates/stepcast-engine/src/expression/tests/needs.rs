use serde_json::{Value, json};

use super::{Scope, events, parse};

#[track_caller]
fn needs(text: &str, expected: Value) {
    let (event, incoming) = events();
    let expression = parse(text);
    let needed = expression.needed_of(&event);
    assert_eq!(needed, expected, "{text}");
    assert_eq!(expression.needs_event(), expected != json!({}), "{text}");
    let value = |event| expression.value(Scope::of(event).with_incoming(&incoming));
    assert_eq!(value(&needed), value(&event), "{text}");
}

#[test]
fn it_needs_the_fields_that_it_names_wherever_it_names_them() {
    needs("async.data.x > 1", json!({}));
    needs(
        "async.data.x > event.data.x && event.name != 'a'",
        json!({"data": {"x": 1}, "name": "shop/order"}),
    );
    needs(
        "event.data.deep.er.est",
        json!({"data": {"deep": {"er": {"est": 3}}}}),
    );
    needs("event['data']['a-b']", json!({"data": {"a-b": "dash"}}));
    needs(
        "async.data.x == 2 ? -event.data.x : size(event.data.text)",
        json!({"data": {"x": 1, "text": "Hello"}}),
    );
    needs(
        "[{'a': event.data.half}, !event.data.no, 'b' in event.data.tags]",
        json!({"data": {"half": 0.5, "no": false, "tags": ["a", "b"]}}),
    );
    needs(
        "async.data.tags.exists(x, x == event.data.text) || event.data.text.matches('^H')",
        json!({"data": {"text": "Hello"}}),
    );
    needs(
        "event.data.lines.exists(line, line.count > event.data.x)",
        json!({"data": {"lines": [{"sku": "s1", "count": 2}, {"sku": "s2", "count": 5}], "x": 1}}),
    );
    needs(
        "event.data.lines[1].sku == 's2'",
        json!({"data": {"lines": [{"sku": "s1", "count": 2}, {"sku": "s2", "count": 5}]}}),
    );
}

#[test]
fn what_is_not_there_is_not_there_in_what_it_needs() {
    needs("event.data.gone.x == event.data.gone", json!({"data": {}}));
    needs(
        "has(event.data.nil) && !has(event.data.gone)",
        json!({"data": {"nil": null}}),
    );
    // Nothing stands below a text, and that is to be seen.
    needs(
        "event.data.text.x == null && event.data.x.y != 1",
        json!({"data": {"text": "Hello", "x": 1}}),
    );
    needs(
        "event.user == null ? event.data.deep : event.data.deep.er",
        json!({"data": {"deep": {"er": {"est": 3}}}, "user": {"id": "u1"}}),
    );
}

#[test]
fn it_may_need_all() {
    let (event, _) = events();
    needs("event.data.x == 1 && size(event) > 2", event.clone());
    needs("size(event) > 2 && event.data.x == 1", event);
}

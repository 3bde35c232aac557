mod binding;
mod bounds;
mod needs;
mod reading;
mod values;

use serde_json::{Value, json};

use super::{Expression, Scope};

fn parse(text: &str) -> Expression {
    Expression::parse(text).unwrap()
}

/// An event that started a run, and one that comes in.
fn events() -> (Value, Value) {
    let event = json!({
        "id": "e1", "name": "shop/order", "ts": 1_700_000_000_000_i64, "user": {"id": "u1"},
        "data": {
            "x": 1, "half": 0.5, "whole": 1.0, "text": "Hello", "empty": "", "no": false, "yes": true, "nil": null,
            "tags": ["a", "b"], "lines": [{"sku": "s1", "count": 2}, {"sku": "s2", "count": 5}], "a-b": "dash",
            "deep": {"er": {"est": 3}}, "big": 9_007_199_254_740_993_i64,
        },
    });
    let incoming = json!({
        "name": "shop/paid", "ts": 1_700_000_000_500_i64,
        "data": {"x": 1.0, "text": "Hello", "nil": null, "other": 2},
    });
    (event, incoming)
}

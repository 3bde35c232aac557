//! When two JSON values are the same, and which is less.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Whether two values are the same to an expression: numbers by their value, so that 1 is 1.0.
///
/// ```
/// # use stepcast_engine::expression::same_value;
/// # use serde_json::json;
/// assert!(same_value(&json!({"n": 1}), &json!({"n": 1.0})));
/// assert!(!same_value(&json!("1"), &json!(1)));
/// ```
#[must_use]
pub fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare_numbers(one, other).is_eq(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| same_value(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| other.get(key).is_some_and(|other| same_value(one, other)))
        }
        (one, other) => one == other,
    }
}

/// A text that two values other than lists and objects have in common exactly when they are the [same](same_value), to index them by.
/// Nothing for lists and objects.
///
/// ```
/// # use stepcast_engine::expression::index_key;
/// # use serde_json::json;
/// assert_eq!(index_key(&json!(1)), index_key(&json!(1.0)));
/// assert_ne!(index_key(&json!(1)), index_key(&json!("1")));
/// ```
#[must_use]
pub fn index_key(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::String(text) => format!("'{text}"),
        Value::Number(number) => match (whole(number), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(fraction)) => fraction.to_string(),
            (None, None) => return None,
        },
        Value::Array(_) | Value::Object(_) => return None,
    })
}

/// The order of two numbers, whichever of them is a double.
pub(super) fn compare_numbers(one: &Number, other: &Number) -> Ordering {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(one), None) => compare_with_fraction(one, double(other)),
        (None, Some(other)) => compare_with_fraction(other, double(one)).reverse(),
        (None, None) => double(one).total_cmp(&double(other)),
    }
}

/// The double next to the number.
pub(super) fn double(number: &Number) -> f64 {
    // A number of JSON is always finite and has a double next to it.
    number.as_f64().unwrap_or_default()
}

/// The number when it is a whole one, a double among them.
pub(super) fn whole(number: &Number) -> Option<i128> {
    if let Some(whole) = number.as_i64() {
        return Some(whole.into());
    }
    if let Some(whole) = number.as_u64() {
        return Some(whole.into());
    }
    let double = double(number);
    let is_whole = double.fract() == 0.0 && double.abs() < 1e38;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole and within the range"
    )]
    is_whole.then_some(double as i128)
}

/// `fraction` is not whole, or beyond all `whole` ones that are no doubles.
fn compare_with_fraction(whole: i128, fraction: f64) -> Ordering {
    if fraction.abs() >= 1e38 {
        return if fraction > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        };
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is within the range")]
    let below = fraction.floor() as i128;
    match whole.cmp(&below) {
        Ordering::Equal => Ordering::Less,
        other => other,
    }
}

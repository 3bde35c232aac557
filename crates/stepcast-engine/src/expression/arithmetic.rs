//! `+ - * / %` and what they do with what is no number.

use serde_json::{Number, Value};

use super::{
    compare::double,
    evaluate::{Evaluation, Failure},
    found::Found,
    node::Arithmetic,
};

/// Adds numbers, joins texts and lists; what is not there adds nothing; a text takes the other side as text.
pub(super) fn add<'a>(
    evaluation: &mut Evaluation<'a>,
    one: Found<'a>,
    other: Found<'a>,
) -> Result<Found<'a>, Failure> {
    let made = match (one.value(), other.value()) {
        (None | Some(Value::Null), _) => return Ok(other),
        (_, None | Some(Value::Null)) => return Ok(one),
        (Some(Value::Number(_)), Some(Value::Number(_))) => {
            return arithmetic(Arithmetic::Add, &one, &other);
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            let mut joined = Vec::with_capacity(left.len() + right.len());
            for item in left.iter().chain(right) {
                evaluation.spend(1)?;
                evaluation.spend_value(item)?;
                joined.push(item.clone());
            }
            Value::Array(joined)
        }
        (Some(left), Some(right)) => match (text_of(left), text_of(right)) {
            (Some(left), Some(right)) => {
                evaluation.spend_text(&left)?;
                evaluation.spend_text(&right)?;
                Value::String(left.into_owned() + &right)
            }
            _ => return Err(cannot("+", &one, &other)),
        },
    };
    Ok(Found::Made(made))
}

/// A number, boolean or text as text.
pub(super) fn text_of(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(value) => Some(value.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whole numbers stay whole while they can; with a double, all is double. With nothing there is nothing.
///
/// As JSON does not tell 7 from 7.0, 7 / 2 is 3.5 either way.
pub(super) fn arithmetic<'a>(
    operator: Arithmetic,
    one: &Found<'_>,
    other: &Found<'_>,
) -> Result<Found<'a>, Failure> {
    if one.is_nothing() || other.is_nothing() {
        return Ok(Found::Absent);
    }
    let (Some(Value::Number(left)), Some(Value::Number(right))) = (one.value(), other.value())
    else {
        return Err(cannot(operator.symbol(), one, other));
    };
    let result = match (integer(left), integer(right)) {
        (Some(left), Some(right))
            if operator != Arithmetic::Divide || left.checked_rem(right) == Some(0) =>
        {
            on_integers(operator, left, right).and_then(from_integer)
        }
        _ => Number::from_f64(on_doubles(operator, double(left), double(right))),
    };
    let symbol = operator.symbol();
    let number = result.ok_or_else(|| {
        Failure::types(format!(
            "`{left} {symbol} {right}` is no number that JSON knows"
        ))
    })?;
    Ok(Found::Made(Value::Number(number)))
}

/// `-x`.
pub(super) fn negate<'a>(found: &Found<'_>) -> Result<Found<'a>, Failure> {
    arithmetic(Arithmetic::Subtract, &Found::Made(Value::from(0)), found)
}

fn on_integers(operator: Arithmetic, one: i128, other: i128) -> Option<i128> {
    match operator {
        Arithmetic::Add => one.checked_add(other),
        Arithmetic::Subtract => one.checked_sub(other),
        Arithmetic::Multiply => one.checked_mul(other),
        Arithmetic::Divide => one.checked_div(other),
        Arithmetic::Remainder => one.checked_rem(other),
    }
}

fn on_doubles(operator: Arithmetic, one: f64, other: f64) -> f64 {
    match operator {
        Arithmetic::Add => one + other,
        Arithmetic::Subtract => one - other,
        Arithmetic::Multiply => one * other,
        Arithmetic::Divide => one / other,
        Arithmetic::Remainder => one % other,
    }
}

fn integer(number: &Number) -> Option<i128> {
    number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from))
}

/// The number, when it is one of 64 bits.
pub(super) fn from_integer(integer: i128) -> Option<Number> {
    i64::try_from(integer)
        .map(Number::from)
        .or_else(|_| u64::try_from(integer).map(Number::from))
        .ok()
}

fn cannot(symbol: &str, one: &Found<'_>, other: &Found<'_>) -> Failure {
    Failure::types(format!(
        "`{symbol}` does not go with {} and {}",
        one.kind(),
        other.kind()
    ))
}

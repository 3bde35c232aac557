//! The functions of expressions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Number, Value};

use super::{
    arithmetic::{from_integer, text_of},
    compare::{double, whole},
    evaluate::{Evaluation, Failure},
    found::Found,
    node::Function,
};

/// Calls a function with as many arguments as it takes. Of nothing there is nothing: no size, no text within it.
pub(super) fn call<'a>(
    evaluation: &mut Evaluation<'a>,
    function: Function,
    arguments: &[Found<'a>],
) -> Result<Found<'a>, Failure> {
    if arguments.iter().any(Found::is_nothing) {
        return Ok(of_nothing(function));
    }
    let first = &arguments[0];
    let Some(value) = first.value() else {
        return Ok(of_nothing(function));
    };
    let wrong = |needed: &str| {
        let name = name(function);
        Failure::types(format!("`{name}` needs {needed}, found {}", first.kind()))
    };
    let made = match (function, value) {
        (Function::Size, Value::String(text)) => {
            evaluation.spend_text(text)?;
            Value::from(text.chars().count())
        }
        (Function::Size, Value::Array(items)) => Value::from(items.len()),
        (Function::Size, Value::Object(fields)) => Value::from(fields.len()),
        (Function::Size, _) => return Err(wrong("a text, list or object")),
        (Function::Contains | Function::StartsWith | Function::EndsWith, Value::String(text)) => {
            let Some(Value::String(part)) = arguments.get(1).and_then(Found::value) else {
                return Err(wrong("a text to look for"));
            };
            evaluation.spend_text(text)?;
            evaluation.spend_text(part)?;
            Value::Bool(match function {
                Function::StartsWith => text.starts_with(part.as_str()),
                Function::EndsWith => text.ends_with(part.as_str()),
                _ => text.contains(part.as_str()),
            })
        }
        (Function::Int, value) => {
            let number = to_number(value).ok_or_else(|| wrong("a number or a text of one"))?;
            Value::Number(truncated(&number).ok_or_else(|| wrong("a number of 64 bits"))?)
        }
        (Function::Double, value) => {
            let number = to_number(value).ok_or_else(|| wrong("a number or a text of one"))?;
            Value::from(double(&number))
        }
        (Function::Text, value) => {
            let text = text_of(value).ok_or_else(|| wrong("a text, number or boolean"))?;
            evaluation.spend_text(&text)?;
            Value::String(text.into_owned())
        }
        (Function::Lowercase, Value::String(text)) => {
            evaluation.spend_text(text)?;
            Value::String(text.to_lowercase())
        }
        (Function::Uppercase, Value::String(text)) => {
            evaluation.spend_text(text)?;
            Value::String(text.to_uppercase())
        }
        (Function::DecodeBase64, Value::String(text)) => {
            evaluation.spend_text(text)?;
            let bytes = STANDARD.decode(text).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            Value::String(text.ok_or_else(|| wrong("base64 of a text"))?)
        }
        (Function::ParseJson, Value::String(text)) => {
            evaluation.spend(text.len() / 4)?;
            serde_json::from_str(text).map_err(|_| wrong("a text of JSON"))?
        }
        (
            Function::Contains
            | Function::StartsWith
            | Function::EndsWith
            | Function::Lowercase
            | Function::Uppercase
            | Function::DecodeBase64
            | Function::ParseJson,
            _,
        ) => return Err(wrong("a text")),
    };
    Ok(Found::Made(made))
}

fn of_nothing<'a>(function: Function) -> Found<'a> {
    match function {
        Function::Size => Found::Made(Value::from(0)),
        Function::Contains | Function::StartsWith | Function::EndsWith => false.into(),
        Function::Int
        | Function::Double
        | Function::Text
        | Function::Lowercase
        | Function::Uppercase
        | Function::DecodeBase64
        | Function::ParseJson => Found::Absent,
    }
}

const fn name(function: Function) -> &'static str {
    match function {
        Function::Size => "size",
        Function::Contains => "contains",
        Function::StartsWith => "startsWith",
        Function::EndsWith => "endsWith",
        Function::Int => "int",
        Function::Double => "double",
        Function::Text => "string",
        Function::Lowercase => "lowercase",
        Function::Uppercase => "uppercase",
        Function::DecodeBase64 => "b64decode",
        Function::ParseJson => "json_parse",
    }
}

fn to_number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::Bool(value) => Some(u64::from(*value).into()),
        Value::String(text) => {
            let text = text.trim();
            let integer = text.parse::<i128>().ok().and_then(from_integer);
            integer.or_else(|| text.parse().ok().and_then(Number::from_f64))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Towards zero.
fn truncated(number: &Number) -> Option<Number> {
    let integer = match whole(number) {
        Some(whole) => whole,
        None => whole(&Number::from_f64(double(number).trunc())?)?,
    };
    from_integer(integer)
}

//! What a function or a step threw, as an SDK writes it.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::{error::ErrorCode, run::RunError, sdk::json::Json};

/// An error that an SDK has serialized. What it wrote is kept, so that the SDK gets back exactly that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The class of the error, e.g. `TypeError`.
    pub name: String,
    /// The sentence.
    pub message: String,
    /// Where it was thrown; empty when that is not known.
    pub stack: String,
    /// The whole error: one JSON object.
    pub json: Json,
}

/// Whether another attempt can follow a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts as one failed attempt.
    TryAgain,
    /// The SDK forbids another attempt, or this was the last.
    Final,
}

/// The name of an error that says nothing about its class.
const UNNAMED: &str = "Error";
/// How many causes of causes are followed.
const CAUSES: usize = 8;
/// How many characters of a text that is no error stand for its message.
const SHOWN: usize = 200;

impl Failure {
    /// An error with a name and a sentence.
    #[must_use]
    pub fn new(name: &str, message: &str) -> Self {
        let value = json!({"name": name, "message": message, "stack": "", "__serialized": true});
        Self::of(name, message, &value)
    }

    /// What the caller of a function gets when the function takes longer than the caller waits.
    #[must_use]
    pub fn invoke_timed_out() -> Self {
        Self::new(
            "InngestInvokeTimeoutError",
            "Timed out waiting for invoked function to complete",
        )
    }

    /// Reads what an SDK sent, whatever that is: a serialized error, that as a string, an object with `error` or `code`, a text.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let inner = serde_json::from_str::<String>(text);
        let text = inner.as_deref().unwrap_or(text);
        let error = serde_json::from_str::<Map<String, Value>>(text);
        let read = error.ok().and_then(|error| Self::object(text, &error));
        read.unwrap_or_else(|| Self::new(UNNAMED, &start(text)))
    }

    /// An object that says what went wrong. It is kept only if the SDK can read it back: it does not read an error that has
    /// something else than a text in one of these places.
    fn object(text: &str, error: &Map<String, Value>) -> Option<Self> {
        let (name, message) = (name(error), message(error)?);
        let is_readable = ["name", "message", "stack", "error"]
            .iter()
            .all(|key| error.get(*key).is_none_or(Value::is_string));
        match Json::parse(text.as_bytes()) {
            Ok(json) if is_readable => Some(Self {
                name: name.to_owned(),
                message: message.to_owned(),
                stack: part(error, "stack").unwrap_or_default().to_owned(),
                json,
            }),
            _ => Some(Self::new(name, message)),
        }
    }

    fn of(name: &str, message: &str, value: &Value) -> Self {
        Self {
            name: name.to_owned(),
            message: message.to_owned(),
            stack: String::new(),
            json: Json::of(value),
        }
    }

    /// The sentences of its causes, outermost first.
    fn causes(&self) -> Vec<String> {
        let error = serde_json::from_str(self.json.get()).unwrap_or(Value::Null);
        std::iter::successors(error.get("cause"), |cause| cause.get("cause"))
            .take(CAUSES)
            .filter_map(cause)
            .collect()
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl From<&Failure> for RunError {
    fn from(failure: &Failure) -> Self {
        Self {
            code: ErrorCode::FunctionFailed.as_str().to_owned(),
            message: sentence(&failure.name, &failure.message),
            causes: failure.causes(),
            sdk: Some(failure.json.clone()),
        }
    }
}

impl From<&RunError> for Failure {
    fn from(error: &RunError) -> Self {
        if let Some(json) = &error.sdk {
            return Self::read(json.get().as_bytes());
        }
        let name = if error.code == ErrorCode::FunctionFailed.as_str() {
            UNNAMED
        } else {
            &error.code
        };
        let mut value =
            json!({"name": name, "message": error.message, "stack": "", "__serialized": true});
        let causes = error.causes.iter().rev().take(CAUSES);
        let cause = causes.fold(None, |inner: Option<Value>, message| {
            let mut cause = json!({"name": UNNAMED, "message": message, "stack": ""});
            if let Some(inner) = inner {
                cause["cause"] = inner;
            }
            Some(cause)
        });
        if let Some(cause) = cause {
            value["cause"] = cause;
        }
        Self::of(name, &error.message, &value)
    }
}

fn part<'a>(error: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    let text = error.get(key).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
}

fn name(error: &Map<String, Value>) -> &str {
    part(error, "name").unwrap_or(UNNAMED)
}

fn message(error: &Map<String, Value>) -> Option<&str> {
    ["message", "error", "code", "name"]
        .iter()
        .find_map(|key| part(error, key))
}

/// Name and sentence, as users read them.
fn sentence(name: &str, message: &str) -> String {
    if name == UNNAMED {
        message.to_owned()
    } else {
        format!("{name}: {message}")
    }
}

fn cause(cause: &Value) -> Option<String> {
    match cause {
        Value::Object(error) => Some(sentence(name(error), message(error)?)),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

fn start(text: &str) -> String {
    if text.is_empty() {
        "failed without saying why".to_owned()
    } else {
        text.chars().take(SHOWN).collect()
    }
}

#[cfg(test)]
mod tests;

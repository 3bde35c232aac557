//! What is found while an expression is evaluated.

use serde_json::Value;

use super::compare::whole;

/// A value of an expression: one of the events', or one that was made.
#[derive(Debug, Clone)]
pub(super) enum Found<'a> {
    /// A field that is not there.
    Absent,
    Of(&'a Value),
    Made(Value),
}

impl<'a> Found<'a> {
    /// The value; nothing when it is not there.
    pub(super) fn value(&self) -> Option<&Value> {
        match self {
            Self::Absent => None,
            Self::Of(value) => Some(value),
            Self::Made(value) => Some(value),
        }
    }

    /// Whether there is nothing: no field, or null.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self.value(), None | Some(Value::Null))
    }

    /// Whether it counts as true: false, 0, the empty text and nothing do not.
    pub(super) fn is_true(&self) -> bool {
        match self.value() {
            None | Some(Value::Null) => false,
            Some(Value::Bool(value)) => *value,
            Some(Value::Number(number)) => whole(number) != Some(0),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(_) | Value::Object(_)) => true,
        }
    }

    /// What it is, for errors.
    pub(super) fn kind(&self) -> &'static str {
        match self.value() {
            None | Some(Value::Null) => "nothing",
            Some(Value::Bool(_)) => "a boolean",
            Some(Value::Number(_)) => "a number",
            Some(Value::String(_)) => "a text",
            Some(Value::Array(_)) => "a list",
            Some(Value::Object(_)) => "an object",
        }
    }

    /// A field of an object.
    pub(super) fn member(self, key: &str) -> Self {
        match self {
            Self::Of(value) => value.get(key).map_or(Self::Absent, Self::Of),
            Self::Made(Value::Object(mut fields)) => {
                fields.remove(key).map_or(Self::Absent, Self::Made)
            }
            Self::Absent | Self::Made(_) => Self::Absent,
        }
    }

    /// An element of a list.
    pub(super) fn element(self, index: usize) -> Self {
        match self {
            Self::Of(value) => value.get(index).map_or(Self::Absent, Self::Of),
            Self::Made(Value::Array(mut items)) if index < items.len() => {
                Self::Made(items.swap_remove(index))
            }
            Self::Absent | Self::Made(_) => Self::Absent,
        }
    }
}

impl From<bool> for Found<'_> {
    fn from(value: bool) -> Self {
        Self::Made(Value::Bool(value))
    }
}

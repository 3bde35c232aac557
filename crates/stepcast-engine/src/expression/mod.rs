//! Expressions over events: the `if` of a wait, a cancel or a trigger, and the keys of flow control.
//!
//! The language is [CEL](https://cel.dev) as npm `inngest` users write it: `event` is the event that started the run, `async` the one
//! that comes in. Numbers compare by value, whether they are written 1 or 1.0. A field that is not there is no error: it equals null and
//! nothing else (not even another field that is not there), has the size 0, is less than everything, and adds nothing. Of `&&` and
//! `||` any value is an operand; false, 0, the empty text and nothing count as false.
//!
//! Pure: no clock, no I/O. Text, nesting and work of an expression are bounded, so that it may be evaluated wherever an event is looked at.
//! Used by [`runs`](crate::runs), which asks an index first for what [`Expression::bind`] has split off.

mod arithmetic;
mod bind;
mod compare;
mod evaluate;
mod found;
mod function;
mod needs;
mod node;
mod parse;
mod token;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;
use stepcast_protocol::{ErrorCode, limits};

pub use bind::{Bound, matches_data};
pub use compare::{index_key, same_value};

use evaluate::{Evaluation, Failure};
use found::Found;
use node::Node;

/// An expression, read and ready. Cheap to clone; stored and shown as its text.
///
/// ```
/// use serde_json::json;
/// use stepcast_engine::expression::{Expression, Scope};
///
/// let same_user = Expression::parse("event.data.user == async.data.user")?;
/// let (event, incoming) = (json!({"data": {"user": 7}}), json!({"data": {"user": 7.0}}));
/// assert!(same_user.holds(Scope::of(&event).with_incoming(&incoming))?);
/// # Ok::<_, stepcast_engine::expression::ExpressionError>(())
/// ```
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    root: Arc<Node>,
}

/// What an expression sees.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// `event`: the event that started the run, as the JSON that functions see.
    pub event: &'a Value,
    /// `async`: the event that comes in.
    pub incoming: Option<&'a Value>,
}

impl<'a> Scope<'a> {
    /// One event alone, as a trigger sees it.
    #[must_use]
    pub const fn of(event: &'a Value) -> Self {
        Self {
            event,
            incoming: None,
        }
    }

    /// An event that comes in, as `async`.
    #[must_use]
    pub const fn with_incoming(self, incoming: &'a Value) -> Self {
        Self {
            incoming: Some(incoming),
            ..self
        }
    }
}

/// Why an expression cannot be read, or has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It has too many bytes.
    #[error(
        "expression of {bytes} bytes, at most {} are allowed; compute the value before the event is sent, and compare that",
        limits::EXPRESSION_BYTES
    )]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// It is no expression.
    #[error("expression `{text}` cannot be read at character {character}: {problem}")]
    Unreadable {
        /// The expression.
        text: String,
        /// Where, counted from 1.
        character: usize,
        /// What is wrong there, and what to do.
        problem: String,
    },
    /// Its values do not go together.
    #[error(
        "expression `{text}` has no value for this event: {problem}; convert with string() or double(), or ask has() first"
    )]
    NoValue {
        /// The expression.
        text: Expression,
        /// What does not go together.
        problem: String,
    },
    /// Its evaluation takes too long.
    #[error(
        "expression `{text}` takes more than {} steps for this event; search shorter lists, or send what it looks for in a field",
        limits::EXPRESSION_WORK
    )]
    TooMuchWork {
        /// The expression.
        text: Expression,
    },
}

impl ExpressionError {
    /// The code this error has on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLong { .. } => ErrorCode::TooLarge,
            Self::Unreadable { .. } | Self::NoValue { .. } | Self::TooMuchWork { .. } => {
                ErrorCode::BadRequest
            }
        }
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`ExpressionError::TooLong`] and [`ExpressionError::Unreadable`].
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        if text.len() > limits::EXPRESSION_BYTES {
            return Err(ExpressionError::TooLong { bytes: text.len() });
        }
        let root = parse::parse(text).map_err(|fault| ExpressionError::Unreadable {
            text: text.to_owned(),
            character: text[..fault.at].chars().count() + 1,
            problem: fault.problem,
        })?;
        Ok(Self {
            text: text.into(),
            root: Arc::new(root),
        })
    }

    /// One that never holds.
    #[must_use]
    pub(crate) fn never() -> Self {
        Self::parse("false").expect("a literal can be read")
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether its value counts as true.
    ///
    /// # Errors
    /// [`ExpressionError::NoValue`] and [`ExpressionError::TooMuchWork`].
    pub fn holds(&self, scope: Scope<'_>) -> Result<bool, ExpressionError> {
        self.evaluate(scope, |_, found| Ok(found.is_true()))
    }

    /// Its value; null for a field that is not there.
    ///
    /// # Errors
    /// As [`Self::holds`].
    pub fn value(&self, scope: Scope<'_>) -> Result<Value, ExpressionError> {
        self.evaluate(scope, |evaluation, found| evaluation.own(found))
    }

    fn evaluate<T>(
        &self,
        scope: Scope<'_>,
        take: impl FnOnce(&mut Evaluation<'_>, Found<'_>) -> Result<T, Failure>,
    ) -> Result<T, ExpressionError> {
        let mut evaluation = Evaluation::new(scope);
        let found = evaluation.find(&self.root);
        let taken = found.and_then(|found| take(&mut evaluation, found));
        taken.map_err(|failure| match failure {
            Failure::TooMuchWork => ExpressionError::TooMuchWork { text: self.clone() },
            Failure::Type(problem) => ExpressionError::NoValue {
                text: self.clone(),
                problem,
            },
        })
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

//! The part of an expression that an index can answer.
//!
//! Most expressions are one equality, or several joined by `&&`. With the values of one event filled in, such a part says which field
//! of the other event must have which value, and nothing has to be evaluated for all the events that do not have it.

use std::ops::Range;

use serde_json::Value;
use stepcast_protocol::limits;

use crate::store::rows::Matching;

use super::{
    Expression, ExpressionError, Scope,
    compare::same_value,
    node::{Comparison, Node, Path, Root},
};

/// Bytes of a text that is worth to be looked for in an index.
const MATCHING_BYTES: usize = 1024;

/// An expression, ready for many events that come in.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// Fields that the incoming event's data must have. All of them must [match](matches_data), before anything else counts.
    pub matching: Vec<Matching>,
    /// What has to be evaluated when they do; nothing when they say it all.
    pub rest: Option<Expression>,
}

impl Bound {
    /// The answer of the expression that this was made from.
    ///
    /// # Errors
    /// As [`Expression::holds`].
    pub fn holds(&self, incoming_data: &Value, scope: Scope<'_>) -> Result<bool, ExpressionError> {
        if !matches_data(&self.matching, incoming_data) {
            return Ok(false);
        }
        match &self.rest {
            None => Ok(true),
            Some(rest) => rest.holds(scope),
        }
    }
}

/// Whether an event's data has all these fields.
#[must_use]
pub fn matches_data(matching: &[Matching], data: &Value) -> bool {
    matching.iter().all(|matching| {
        let mut keys = matching.field.split('.');
        let found = keys.try_fold(data, |value, key| value.get(key));
        found.is_some_and(|found| same_value(found, &matching.value))
    })
}

/// What the field of an equality must be.
enum Operand<'a> {
    Constant(&'a Value),
    /// What stands below these keys in the event that started the run.
    Event(&'a [String]),
}

impl Expression {
    /// Fills in the event that started the run, for events that come in as `async`: of a `waitForEvent` or a `cancelOn`.
    #[must_use]
    pub fn bind<'a>(&'a self, event: &'a Value) -> Bound {
        self.split(Root::Incoming, |operand| match operand {
            Operand::Constant(value) => Some(value),
            Operand::Event(keys) => keys.iter().try_fold(event, |value, key| value.get(key)),
        })
    }

    /// For an expression of a trigger, which sees the incoming event as `event`.
    #[must_use]
    pub fn bind_trigger(&self) -> Bound {
        self.split(Root::Event, |operand| match operand {
            Operand::Constant(value) => Some(value),
            // Two fields of one event: no constant.
            Operand::Event(_) => None,
        })
    }

    fn split<'a>(
        &'a self,
        incoming: Root,
        value_of: impl Fn(Operand<'a>) -> Option<&'a Value>,
    ) -> Bound {
        let mut matching = Vec::new();
        let mut rest = Vec::new();
        for (node, span) in self.terms() {
            let found = equality(node, incoming).and_then(|(keys, operand)| {
                let value = value_of(operand).filter(|value| is_indexable(value))?;
                Some(Matching {
                    field: field(keys)?,
                    value: value.clone(),
                })
            });
            match found {
                Some(found) => matching.push(found),
                None => rest.push(span),
            }
        }
        let rest = match (matching.is_empty(), rest.is_empty()) {
            (true, _) => Some(self.clone()),
            (false, true) => None,
            (false, false) => Some(self.part(&rest)),
        };
        Bound { matching, rest }
    }

    /// What is joined by `&&`, and where it stands; all of it when nothing is.
    fn terms(&self) -> impl Iterator<Item = (&Node, Range<usize>)> {
        let (all, one) = match &*self.root {
            Node::All(terms) => (terms.as_slice(), None),
            node => (&[][..], Some((node, 0..self.text.len()))),
        };
        let all = all.iter().map(|term| (&term.node, term.span.clone()));
        all.chain(one)
    }

    /// Some of the terms. They are no longer than the whole, and are read as they were there.
    fn part(&self, spans: &[Range<usize>]) -> Self {
        let texts: Vec<&str> = spans.iter().map(|span| &self.text[span.clone()]).collect();
        let spaced = texts.join(" && ");
        let text = if spaced.len() <= limits::EXPRESSION_BYTES {
            spaced
        } else {
            texts.join("&&")
        };
        Self::parse(&text).expect("terms of an expression that could be read can be read")
    }
}

/// Values that are never the same as a field that is not there, and are small.
fn is_indexable(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => text.len() <= MATCHING_BYTES,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// The field's name in a [`Matching`], when it is one of the event's data and can be told by such a name.
fn field(keys: &[String]) -> Option<String> {
    match keys {
        [data, keys @ ..] if data == "data" && !keys.is_empty() => {
            let can_be_told = keys.iter().all(|key| !key.contains('.'));
            can_be_told.then(|| keys.join("."))
        }
        _ => None,
    }
}

fn equality(node: &Node, incoming: Root) -> Option<(&[String], Operand<'_>)> {
    let Node::Compare(Comparison::Equal, sides) = node else {
        return None;
    };
    let [one, other] = &**sides;
    side(one, other, incoming).or_else(|| side(other, one, incoming))
}

fn side<'a>(
    field: &'a Node,
    other: &'a Node,
    incoming: Root,
) -> Option<(&'a [String], Operand<'a>)> {
    match field {
        Node::Path(Path { root, keys }) if *root == incoming => Some((keys, operand(other)?)),
        _ => None,
    }
}

fn operand(node: &Node) -> Option<Operand<'_>> {
    match node {
        Node::Literal(value) => Some(Operand::Constant(value)),
        Node::Path(Path {
            root: Root::Event,
            keys,
        }) => Some(Operand::Event(keys)),
        _ => None,
    }
}

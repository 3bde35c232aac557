//! What an expression says of two events.
//!
//! Values of the events are borrowed; whatever costs more than a look is paid for, so that no expression takes long.

use std::cmp::Ordering;

use serde_json::{Map, Value};
use stepcast_protocol::limits;

use super::{
    Scope,
    arithmetic::{add, arithmetic, negate},
    compare::{compare_numbers, same_value, whole},
    found::Found,
    function::call,
    node::{Arithmetic, Comparison, Each, EachKind, Node, Path, Root},
};

/// Work for each byte that a pattern is held against: as much as a pattern of the largest size may need.
const PATTERN_WORK: usize = 8;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It takes too long.
    TooMuchWork,
    /// Something cannot be done with such values.
    Type(String),
}

impl Failure {
    pub(super) fn types(problem: impl Into<String>) -> Self {
        Self::Type(problem.into())
    }
}

/// One evaluation.
pub(super) struct Evaluation<'a> {
    scope: Scope<'a>,
    elements: Vec<Found<'a>>,
    work_left: usize,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(scope: Scope<'a>) -> Self {
        Self {
            scope,
            elements: Vec::new(),
            work_left: limits::EXPRESSION_WORK,
        }
    }

    /// Pays for work.
    pub(super) fn spend(&mut self, work: usize) -> Result<(), Failure> {
        self.work_left = self
            .work_left
            .checked_sub(work)
            .ok_or(Failure::TooMuchWork)?;
        Ok(())
    }

    /// Pays for looking at all of a text.
    pub(super) fn spend_text(&mut self, text: &str) -> Result<(), Failure> {
        self.spend(text.len() / 64)
    }

    /// Pays for looking at all of a value.
    pub(super) fn spend_value(&mut self, value: &Value) -> Result<(), Failure> {
        match value {
            Value::String(text) => self.spend_text(text),
            Value::Array(items) => items.iter().try_for_each(|item| {
                self.spend(1)?;
                self.spend_value(item)
            }),
            Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
                self.spend(1 + key.len() / 64)?;
                self.spend_value(value)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    /// The value as one's own; null when it is not there.
    pub(super) fn own(&mut self, found: Found<'_>) -> Result<Value, Failure> {
        match found {
            Found::Absent => Ok(Value::Null),
            Found::Made(value) => Ok(value),
            Found::Of(value) => {
                self.spend_value(value)?;
                Ok(value.clone())
            }
        }
    }

    pub(super) fn find(&mut self, node: &'a Node) -> Result<Found<'a>, Failure> {
        self.spend(1)?;
        match node {
            Node::Literal(value) => Ok(Found::Of(value)),
            Node::Path(path) => self.path(path),
            Node::Member(of, key) => Ok(self.find(of)?.member(key)),
            Node::Index(sides) => self.index(&sides[0], &sides[1]),
            Node::List(items) => self.list(items),
            Node::Object(entries) => self.object(entries),
            Node::Not(of) => Ok((!self.find(of)?.is_true()).into()),
            Node::Negate(of) => negate(&self.find(of)?),
            Node::All(terms) => self.decide(terms.iter().map(|term| &term.node), false),
            Node::Any(nodes) => self.decide(nodes.iter(), true),
            Node::Compare(comparison, sides) => {
                let (one, other) = (self.find(&sides[0])?, self.find(&sides[1])?);
                self.compare(*comparison, &one, &other).map(Found::from)
            }
            Node::Arithmetic(operator, sides) => {
                let (one, other) = (self.find(&sides[0])?, self.find(&sides[1])?);
                if *operator == Arithmetic::Add {
                    return add(self, one, other);
                }
                arithmetic(*operator, &one, &other)
            }
            Node::In(sides) => {
                let (item, container) = (self.find(&sides[0])?, self.find(&sides[1])?);
                self.contains(&item, &container).map(Found::from)
            }
            Node::Choice(parts) => {
                let chosen = if self.find(&parts[0])?.is_true() {
                    1
                } else {
                    2
                };
                self.find(&parts[chosen])
            }
            Node::Call(function, arguments) => {
                let mut found = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    found.push(self.find(argument)?);
                }
                call(self, *function, &found)
            }
            Node::Matches(text, pattern) => {
                let text = self.find(text)?;
                match text.value() {
                    None | Some(Value::Null) => Ok(false.into()),
                    Some(Value::String(text)) => {
                        self.spend(text.len() * PATTERN_WORK)?;
                        Ok(pattern.is_match(text).into())
                    }
                    Some(_) => Err(Failure::types(format!(
                        "`matches` needs a text, found {}",
                        text.kind()
                    ))),
                }
            }
            Node::Has(field) => Ok(self.find(field)?.value().is_some().into()),
            Node::Each(each) => self.each(each),
        }
    }

    fn path(&mut self, path: &Path) -> Result<Found<'a>, Failure> {
        self.spend(path.keys.len())?;
        let start = match path.root {
            Root::Event => Some(self.scope.event),
            Root::Incoming => self.scope.incoming,
            Root::Element(depth) => match &self.elements[depth] {
                Found::Absent => None,
                Found::Of(value) => Some(*value),
                Found::Made(value) => {
                    let Some(found) = walk(value, &path.keys) else {
                        return Ok(Found::Absent);
                    };
                    let found = found.clone();
                    self.spend_value(&found)?;
                    return Ok(Found::Made(found));
                }
            },
        };
        let found = start.and_then(|start| walk(start, &path.keys));
        Ok(found.map_or(Found::Absent, Found::Of))
    }

    fn index(&mut self, of: &'a Node, index: &'a Node) -> Result<Found<'a>, Failure> {
        let (of, index) = (self.find(of)?, self.find(index)?);
        match index.value() {
            None | Some(Value::Null) => Ok(Found::Absent),
            Some(Value::String(key)) => Ok(of.member(key)),
            Some(Value::Number(number)) => {
                let index = whole(number).and_then(|index| usize::try_from(index).ok());
                Ok(index.map_or(Found::Absent, |index| of.element(index)))
            }
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(Failure::types(
                format!("an index is a number or a text, found {}", index.kind()),
            )),
        }
    }

    fn list(&mut self, items: &'a [Node]) -> Result<Found<'a>, Failure> {
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            let found = self.find(item)?;
            list.push(self.own(found)?);
        }
        Ok(Found::Made(Value::Array(list)))
    }

    fn object(&mut self, entries: &'a [(Node, Node)]) -> Result<Found<'a>, Failure> {
        let mut fields = Map::new();
        for (key, value) in entries {
            let key = self.find(key)?;
            let Some(Value::String(key)) = key.value() else {
                let problem = format!("the key of an object is a text, found {}", key.kind());
                return Err(Failure::types(problem));
            };
            let value = self.find(value)?;
            fields.insert(key.clone(), self.own(value)?);
        }
        Ok(Found::Made(Value::Object(fields)))
    }

    /// The first value that counts as `wanted`, otherwise the last one. A value that cannot be found matters only when no other decides.
    fn decide(
        &mut self,
        nodes: impl Iterator<Item = &'a Node>,
        wanted: bool,
    ) -> Result<Found<'a>, Failure> {
        let mut last = Ok(Found::from(!wanted));
        for node in nodes {
            match self.find(node) {
                Ok(found) if found.is_true() == wanted => return Ok(found),
                Ok(found) if last.is_ok() => last = Ok(found),
                Ok(_) => {}
                Err(Failure::TooMuchWork) => return Err(Failure::TooMuchWork),
                Err(failure) => last = Err(failure),
            }
        }
        last
    }

    fn compare(
        &mut self,
        comparison: Comparison,
        one: &Found<'_>,
        other: &Found<'_>,
    ) -> Result<bool, Failure> {
        match comparison {
            Comparison::Equal => self.same(one, other),
            Comparison::NotEqual => self.same(one, other).map(|same| !same),
            Comparison::Less => self.order(one, other).map(Ordering::is_lt),
            Comparison::LessOrEqual => self.order(one, other).map(Ordering::is_le),
            Comparison::Greater => self.order(one, other).map(Ordering::is_gt),
            Comparison::GreaterOrEqual => self.order(one, other).map(Ordering::is_ge),
        }
    }

    /// What is not there is the same as null and as nothing else, not even as something else that is not there.
    fn same(&mut self, one: &Found<'_>, other: &Found<'_>) -> Result<bool, Failure> {
        match (one.value(), other.value()) {
            (None, None) => Ok(false),
            (None, Some(value)) | (Some(value), None) => Ok(value.is_null()),
            (Some(one), Some(other)) => {
                // The comparison ends with the smaller one of both.
                self.spend_value(one)?;
                Ok(same_value(one, other))
            }
        }
    }

    fn order(&mut self, one: &Found<'_>, other: &Found<'_>) -> Result<Ordering, Failure> {
        let zero = Value::from(0);
        let empty = Value::from("");
        let (one_value, other_value) = match (one.value(), other.value()) {
            (None, _) => return Ok(Ordering::Less),
            (_, None) => return Ok(Ordering::Greater),
            (Some(Value::Null), Some(other @ Value::Number(_))) => (&zero, other),
            (Some(one @ Value::Number(_)), Some(Value::Null)) => (one, &zero),
            (Some(Value::Null), Some(other @ Value::String(_))) => (&empty, other),
            (Some(one @ Value::String(_)), Some(Value::Null)) => (one, &empty),
            (Some(one), Some(other)) => (one, other),
        };
        match (one_value, other_value) {
            (Value::Number(one), Value::Number(other)) => Ok(compare_numbers(one, other)),
            (Value::String(one), Value::String(other)) => {
                self.spend_text(one)?;
                Ok(one.cmp(other))
            }
            (Value::Bool(one), Value::Bool(other)) => Ok(one.cmp(other)),
            _ => Err(Failure::types(format!(
                "{} and {} have no order",
                one.kind(),
                other.kind()
            ))),
        }
    }

    fn contains(&mut self, item: &Found<'_>, container: &Found<'_>) -> Result<bool, Failure> {
        match (item.value(), container.value()) {
            (Some(item), Some(Value::Array(items))) => {
                for candidate in items {
                    self.spend(1)?;
                    self.spend_value(item)?;
                    if same_value(item, candidate) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Some(Value::String(key)), Some(Value::Object(fields))) => Ok(fields.contains_key(key)),
            (None, _) | (_, None | Some(Value::Null | Value::Object(_))) => Ok(false),
            (Some(_), Some(_)) => Err(Failure::types(format!(
                "`in` needs a list or an object at its right, found {}",
                container.kind()
            ))),
        }
    }

    fn each(&mut self, each: &'a Each) -> Result<Found<'a>, Failure> {
        let elements: Vec<Found<'a>> = match self.find(&each.list)? {
            Found::Of(Value::Array(items)) => items.iter().map(Found::Of).collect(),
            Found::Made(Value::Array(items)) => items.into_iter().map(Found::Made).collect(),
            Found::Of(Value::Object(fields)) => fields.keys().map(|key| key_of(key)).collect(),
            Found::Made(Value::Object(fields)) => fields.keys().map(|key| key_of(key)).collect(),
            nothing if nothing.is_nothing() => return Ok(of_nothing(each.kind)),
            other => {
                return Err(Failure::types(format!(
                    "a list or an object is needed to look at each element, found {}",
                    other.kind()
                )));
            }
        };
        self.spend(elements.len())?;
        let mut kept = Vec::new();
        let mut count = 0_usize;
        let mut undecided = None;
        for element in elements {
            if let Found::Made(value) = &element {
                self.spend_value(value)?;
            }
            let copy = (each.kind == EachKind::Filter).then(|| element.clone());
            self.elements.push(element);
            let found = self.find(&each.body);
            self.elements.pop();
            let found = match (found, each.kind) {
                (Err(Failure::Type(problem)), EachKind::All | EachKind::Exists) => {
                    undecided = Some(Failure::Type(problem));
                    continue;
                }
                (found, _) => found?,
            };
            match (each.kind, found.is_true()) {
                (EachKind::All, false) => return Ok(false.into()),
                (EachKind::Exists, true) => return Ok(true.into()),
                (EachKind::ExistsOne | EachKind::Filter, true) => {
                    count += 1;
                    if let Some(copy) = copy {
                        kept.push(self.own(copy)?);
                    }
                }
                (EachKind::Map, _) => kept.push(self.own(found)?),
                (EachKind::All, true)
                | (EachKind::Exists | EachKind::ExistsOne | EachKind::Filter, false) => {}
            }
        }
        // As with `&&` and `||`, it matters only when no other element decides.
        if let Some(failure) = undecided {
            return Err(failure);
        }
        Ok(match each.kind {
            EachKind::All => true.into(),
            EachKind::Exists => false.into(),
            EachKind::ExistsOne => (count == 1).into(),
            EachKind::Filter | EachKind::Map => Found::Made(Value::Array(kept)),
        })
    }
}

fn key_of<'a>(key: &str) -> Found<'a> {
    Found::Made(Value::String(key.to_owned()))
}

/// What `exists` and its like say of a list that is not there.
fn of_nothing<'a>(kind: EachKind) -> Found<'a> {
    match kind {
        EachKind::All | EachKind::Exists | EachKind::ExistsOne => false.into(),
        EachKind::Filter | EachKind::Map => Found::Made(Value::Array(Vec::new())),
    }
}

fn walk<'v>(start: &'v Value, keys: &[String]) -> Option<&'v Value> {
    keys.iter().try_fold(start, |value, key| value.get(key))
}

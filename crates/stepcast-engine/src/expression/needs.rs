//! What an expression asks of the event that started the run. Whoever keeps an expression for later keeps that, and not the whole event.

use serde_json::{Map, Value};

use super::{
    Expression,
    node::{Each, Node, Path, Root},
};

impl Expression {
    /// Whether it looks at the event that started the run at all.
    #[must_use]
    pub fn needs_event(&self) -> bool {
        let mut needs = false;
        self.root.visit_event_paths(&mut |_| needs = true);
        needs
    }

    /// The parts of that event without which it would have another value.
    #[must_use]
    pub fn needed_of(&self, event: &Value) -> Value {
        let mut needed = Value::Object(Map::new());
        self.root
            .visit_event_paths(&mut |keys| copy(event, &mut needed, keys));
        needed
    }
}

/// Copies what stands below the keys, and what says that nothing does.
fn copy(from: &Value, into: &mut Value, keys: &[String]) {
    let (Some((key, deeper)), Value::Object(fields)) = (keys.split_first(), from) else {
        into.clone_from(from);
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    if let (Some(field), Value::Object(copied)) = (fields.get(key), into) {
        copy(field, copied.entry(key).or_insert(Value::Null), deeper);
    }
}

impl Node {
    /// Calls with the keys of every path that begins at the event.
    fn visit_event_paths(&self, visit: &mut impl FnMut(&[String])) {
        let mut all = |nodes: &[Self]| nodes.iter().for_each(|node| node.visit_event_paths(visit));
        match self {
            Self::Literal(_) => {}
            Self::Path(Path { root, keys }) => match root {
                Root::Event => visit(keys),
                Root::Incoming | Root::Element(_) => {}
            },
            Self::Member(node, _)
            | Self::Not(node)
            | Self::Negate(node)
            | Self::Matches(node, _)
            | Self::Has(node) => node.visit_event_paths(visit),
            Self::Index(nodes)
            | Self::Compare(_, nodes)
            | Self::Arithmetic(_, nodes)
            | Self::In(nodes) => all(&**nodes),
            Self::Choice(nodes) => all(&**nodes),
            Self::List(nodes) | Self::Any(nodes) | Self::Call(_, nodes) => all(nodes),
            Self::All(terms) => terms
                .iter()
                .for_each(|term| term.node.visit_event_paths(visit)),
            Self::Object(fields) => fields.iter().for_each(|(key, value)| {
                key.visit_event_paths(visit);
                value.visit_event_paths(visit);
            }),
            Self::Each(each) => {
                let Each { list, body, .. } = &**each;
                list.visit_event_paths(visit);
                body.visit_event_paths(visit);
            }
        }
    }
}

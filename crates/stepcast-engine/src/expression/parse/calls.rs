//! Calls: functions, methods, and `exists` and its like, which name an element.

use serde_json::Value;
use stepcast_protocol::limits;

use super::{
    super::{
        node::{Each, EachKind, Form, Function, Node},
        token::{Fault, TokenKind},
    },
    Parser, pattern,
};

impl Parser {
    /// A call whose `(` has been taken.
    pub(super) fn call(
        &mut self,
        name: &str,
        at: usize,
        receiver: Option<Node>,
    ) -> Result<Node, Fault> {
        let receiver = match (receiver, EachKind::named(name)) {
            (Some(list), Some(kind)) => return self.each(kind, list),
            (receiver, _) => receiver,
        };
        let form = match receiver {
            Some(_) => Form::Method,
            None => Form::Free,
        };
        let mut arguments: Vec<Node> = receiver.into_iter().collect();
        arguments.extend(self.list(")", Self::expression)?);
        match (name, form, arguments.as_slice()) {
            ("has", Form::Free, [Node::Path(_) | Node::Member(..) | Node::Index(_)]) => {
                return Ok(Node::Has(Box::new(arguments.swap_remove(0))));
            }
            ("has", ..) => {
                return Err(Fault::new(
                    at,
                    "`has` takes one field, as in has(event.data.id)",
                ));
            }
            ("matches", Form::Method, [_, Node::Literal(Value::String(pattern))]) => {
                self.patterns += 1;
                if self.patterns > limits::EXPRESSION_PATTERNS {
                    return Err(Fault::new(at, too_many_patterns()));
                }
                let pattern = pattern::read(pattern).map_err(|problem| Fault::new(at, problem))?;
                return Ok(Node::Matches(Box::new(arguments.swap_remove(0)), pattern));
            }
            ("matches", ..) => {
                let problem =
                    "`matches` takes a pattern in quotes, as in event.data.id.matches('^a')";
                return Err(Fault::new(at, problem));
            }
            _ => {}
        }
        let Some((function, forms, count)) = Function::named(name) else {
            return Err(Fault::new(at, unknown_function(name)));
        };
        if !forms.contains(&form) || arguments.len() != count {
            let example = match (forms, count) {
                ([Form::Method, ..], _) => format!("event.data.id.{name}('text')"),
                _ => format!("{name}(event.data.id)"),
            };
            let problem = format!("`{name}` is not called like that; write {example}");
            return Err(Fault::new(at, problem));
        }
        Ok(Node::Call(function, arguments))
    }

    fn each(&mut self, kind: EachKind, list: Node) -> Result<Node, Fault> {
        let TokenKind::Name(element) = self.peek().kind.clone() else {
            return Err(self.unexpected("expected a name for the element, as in exists(x, x == 1)"));
        };
        self.advance();
        self.expects(",")?;
        self.elements.push(element);
        let body = self.expression()?;
        self.elements.pop();
        self.expects(")")?;
        Ok(Node::Each(Box::new(Each { kind, list, body })))
    }
}

fn too_many_patterns() -> String {
    format!(
        "it has more than {} patterns; join them, as in matches('^(a|b)')",
        limits::EXPRESSION_PATTERNS
    )
}

fn unknown_function(name: &str) -> String {
    match name {
        "date" | "now" | "now_plus" | "now_minus" | "timestamp" | "duration" => format!(
            "`{name}` is not supported; compare `event.ts`, in milliseconds since 1970, with a number"
        ),
        _ => format!(
            "there is no function `{name}`; there are size, contains, startsWith, endsWith, matches, has, all, exists, \
             exists_one, filter, map, int, double, string, lowercase, uppercase, b64decode and json_parse"
        ),
    }
}

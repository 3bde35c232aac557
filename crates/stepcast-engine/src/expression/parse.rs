//! From words to a tree.

mod calls;
mod pattern;

use std::ops::Range;

use serde_json::{Number, Value};
use stepcast_protocol::limits;

use super::{
    node::{Arithmetic, Comparison, Node, Path, Root, Term},
    token::{Fault, Token, TokenKind, tokens},
};

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
        elements: Vec::new(),
        patterns: 0,
    };
    let node = parser.expression()?;
    match &parser.peek().kind {
        TokenKind::End => Ok(node),
        _ => Err(parser.unexpected("expected an operator such as `==` or `&&`")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    /// At least the height of the tree above what is being read.
    depth: usize,
    /// The names of the elements of the `exists` and its like around here.
    elements: Vec<String>,
    /// How many patterns of `matches` have been read.
    patterns: usize,
}

enum Operator {
    Compare(Comparison),
    Arithmetic(Arithmetic),
    In,
}

impl Operator {
    fn join(self, left: Node, right: Node) -> Node {
        let sides = Box::new([left, right]);
        match self {
            Self::Compare(comparison) => Node::Compare(comparison, sides),
            Self::Arithmetic(arithmetic) => Node::Arithmetic(arithmetic, sides),
            Self::In => Node::In(sides),
        }
    }
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next]
    }

    /// Goes on to the next word, or stays at the end.
    fn advance(&mut self) {
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
    }

    fn sees(&self, symbol: &str) -> bool {
        matches!(self.peek().kind, TokenKind::Symbol(found) if found == symbol)
    }

    fn takes(&mut self, symbol: &str) -> bool {
        let sees = self.sees(symbol);
        if sees {
            self.advance();
        }
        sees
    }

    fn expects(&mut self, symbol: &str) -> Result<(), Fault> {
        if self.takes(symbol) {
            return Ok(());
        }
        Err(self.unexpected(&format!("expected `{symbol}`")))
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let token = self.peek();
        let found = match &token.kind {
            TokenKind::End => "the end".to_owned(),
            TokenKind::Name(name) => format!("`{name}`"),
            TokenKind::Symbol(symbol) => format!("`{symbol}`"),
            TokenKind::Number(number) => format!("`{number}`"),
            TokenKind::Text(_) => "a text".to_owned(),
        };
        Fault::new(token.span.start, format!("{wanted}, found {found}"))
    }

    /// Goes one level down, at most as deep as is allowed.
    fn descend(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth <= limits::EXPRESSION_NESTING {
            return Ok(());
        }
        Err(Fault::new(
            self.peek().span.start,
            format!(
                "it nests deeper than {} levels here; split it",
                limits::EXPRESSION_NESTING
            ),
        ))
    }

    fn expression(&mut self) -> Result<Node, Fault> {
        self.descend()?;
        let condition = self.any()?;
        let node = if self.takes("?") {
            let then = self.expression()?;
            self.expects(":")?;
            Node::Choice(Box::new([condition, then, self.expression()?]))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    fn any(&mut self) -> Result<Node, Fault> {
        let first = self.all()?;
        if !self.sees("||") {
            return Ok(first);
        }
        let mut nodes = Vec::new();
        push_any(&mut nodes, first);
        while self.takes("||") {
            let next = self.all()?;
            push_any(&mut nodes, next);
        }
        Ok(Node::Any(nodes))
    }

    fn all(&mut self) -> Result<Node, Fault> {
        let (first, span) = self.term()?;
        if !self.sees("&&") {
            return Ok(first);
        }
        let mut terms = Vec::new();
        push_all(&mut terms, first, span);
        while self.takes("&&") {
            let (next, span) = self.term()?;
            push_all(&mut terms, next, span);
        }
        Ok(Node::All(terms))
    }

    fn term(&mut self) -> Result<(Node, Range<usize>), Fault> {
        let start = self.peek().span.start;
        let node = self.operation(0)?;
        let end = self.tokens[self.next.saturating_sub(1)].span.end;
        Ok((node, start..end.max(start)))
    }

    /// Operators from this power on: comparisons bind least, `*` most, all to the left.
    fn operation(&mut self, least: u8) -> Result<Node, Fault> {
        let depth = self.depth;
        let mut left = self.unary()?;
        while let Some((power, operator)) = self.operator()
            && power >= least
        {
            self.advance();
            // What stands to the left becomes one level deeper with each operator.
            self.descend()?;
            let right = self.operation(power + 1)?;
            left = operator.join(left, right);
        }
        self.depth = depth;
        Ok(left)
    }

    fn operator(&self) -> Option<(u8, Operator)> {
        let compare = |comparison| Some((0, Operator::Compare(comparison)));
        let symbol = match &self.peek().kind {
            TokenKind::Name(name) if name == "in" => return Some((0, Operator::In)),
            TokenKind::Symbol(symbol) => *symbol,
            TokenKind::Name(_) | TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::End => {
                return None;
            }
        };
        match symbol {
            "==" => compare(Comparison::Equal),
            "!=" => compare(Comparison::NotEqual),
            "<" => compare(Comparison::Less),
            "<=" => compare(Comparison::LessOrEqual),
            ">" => compare(Comparison::Greater),
            ">=" => compare(Comparison::GreaterOrEqual),
            "+" => Some((1, Operator::Arithmetic(Arithmetic::Add))),
            "-" => Some((1, Operator::Arithmetic(Arithmetic::Subtract))),
            "*" => Some((2, Operator::Arithmetic(Arithmetic::Multiply))),
            "/" => Some((2, Operator::Arithmetic(Arithmetic::Divide))),
            "%" => Some((2, Operator::Arithmetic(Arithmetic::Remainder))),
            _ => None,
        }
    }

    fn unary(&mut self) -> Result<Node, Fault> {
        if self.takes("!") {
            self.descend()?;
            let node = Node::Not(Box::new(self.unary()?));
            self.depth -= 1;
            return Ok(node);
        }
        if self.takes("-") {
            if let TokenKind::Number(number) = &self.peek().kind {
                let negated = negated(number)
                    .ok_or_else(|| Fault::new(self.peek().span.start, "the number is too small"))?;
                self.advance();
                return self.postfix(Node::Literal(Value::Number(negated)));
            }
            self.descend()?;
            let node = Node::Negate(Box::new(self.unary()?));
            self.depth -= 1;
            return Ok(node);
        }
        let node = self.primary()?;
        self.postfix(node)
    }

    fn primary(&mut self) -> Result<Node, Fault> {
        let token = self.peek().clone();
        match token.kind {
            TokenKind::Text(text) => {
                self.advance();
                Ok(Node::Literal(Value::String(text)))
            }
            TokenKind::Number(number) => {
                self.advance();
                Ok(Node::Literal(Value::Number(number)))
            }
            TokenKind::Name(name) => {
                self.advance();
                self.named(&name, token.span.start)
            }
            TokenKind::Symbol("(") => {
                self.advance();
                let node = self.expression()?;
                self.expects(")")?;
                Ok(node)
            }
            TokenKind::Symbol("[") => {
                self.advance();
                Ok(Node::List(self.list("]", Self::expression)?))
            }
            TokenKind::Symbol("{") => {
                self.advance();
                let entries = self.list("}", |parser| {
                    let key = parser.expression()?;
                    parser.expects(":")?;
                    Ok((key, parser.expression()?))
                })?;
                Ok(Node::Object(entries))
            }
            TokenKind::Symbol(_) | TokenKind::End => {
                Err(self.unexpected("expected a value such as `event.data.id` or 'text'"))
            }
        }
    }

    /// What stands between an opening symbol, which has been taken, and this closing one.
    fn list<T>(
        &mut self,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut items = Vec::new();
        while !self.takes(close) {
            items.push(item(self)?);
            if !self.takes(",") {
                self.expects(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn named(&mut self, name: &str, at: usize) -> Result<Node, Fault> {
        if self.takes("(") {
            return self.call(name, at, None);
        }
        let root = match name {
            "true" => return Ok(Node::Literal(Value::Bool(true))),
            "false" => return Ok(Node::Literal(Value::Bool(false))),
            "null" => return Ok(Node::Literal(Value::Null)),
            _ if self.elements.iter().any(|element| element == name) => {
                let inner = self.elements.iter().rposition(|element| element == name);
                Root::Element(inner.unwrap_or_default())
            }
            "event" => Root::Event,
            "async" => Root::Incoming,
            _ => {
                let problem = format!(
                    "`{name}` is not known; use `event`, or `async` for the event that comes in"
                );
                return Err(Fault::new(at, problem));
            }
        };
        Ok(Node::Path(Path {
            root,
            keys: Vec::new(),
        }))
    }

    fn postfix(&mut self, mut node: Node) -> Result<Node, Fault> {
        let depth = self.depth;
        loop {
            if self.takes(".") {
                let Token { kind, span } = self.peek().clone();
                let TokenKind::Name(name) = kind else {
                    return Err(self.unexpected("expected a field's name"));
                };
                self.advance();
                if self.takes("(") {
                    self.descend()?;
                    node = self.call(&name, span.start, Some(node))?;
                    continue;
                }
                node = self.member(node, name)?;
            } else if self.takes("[") {
                let index = self.expression()?;
                self.expects("]")?;
                node = match index {
                    Node::Literal(Value::String(key)) => self.member(node, key)?,
                    index => {
                        self.descend()?;
                        Node::Index(Box::new([node, index]))
                    }
                };
            } else {
                self.depth = depth;
                return Ok(node);
            }
        }
    }

    fn member(&mut self, node: Node, key: String) -> Result<Node, Fault> {
        if let Node::Path(mut path) = node {
            path.keys.push(key);
            return Ok(Node::Path(path));
        }
        self.descend()?;
        Ok(Node::Member(Box::new(node), key))
    }
}

fn push_any(nodes: &mut Vec<Node>, node: Node) {
    match node {
        Node::Any(inner) => nodes.extend(inner),
        other => nodes.push(other),
    }
}

fn push_all(terms: &mut Vec<Term>, node: Node, span: Range<usize>) {
    match node {
        Node::All(inner) => terms.extend(inner),
        node => terms.push(Term { node, span }),
    }
}

fn negated(number: &Number) -> Option<Number> {
    match number.as_u64() {
        Some(whole) => i64::try_from(-i128::from(whole)).ok().map(Number::from),
        None => Number::from_f64(-number.as_f64()?),
    }
}

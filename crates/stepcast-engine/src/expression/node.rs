//! The tree that an expression is read into.

use std::ops::Range;

use regex::Regex;
use serde_json::Value;

/// A part of an expression. Its height is bounded by the parser, so that walking and dropping it may recurse.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Literal(Value),
    Path(Path),
    Member(Box<Node>, String),
    Index(Box<[Node; 2]>),
    List(Vec<Node>),
    Object(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// `&&`, with nested ones taken in.
    All(Vec<Term>),
    /// `||`, with nested ones taken in.
    Any(Vec<Node>),
    Compare(Comparison, Box<[Node; 2]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    /// Condition, then, otherwise.
    Choice(Box<[Node; 3]>),
    Call(Function, Vec<Node>),
    Matches(Box<Node>, Regex),
    Has(Box<Node>),
    Each(Box<Each>),
}

/// One operand of `&&`, and where it stands in the text.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) node: Node,
    pub(super) span: Range<usize>,
}

/// A variable and the fields below it: `event.data.x`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) root: Root,
    pub(super) keys: Vec<String>,
}

/// What a path starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// The event that started the run.
    Event,
    /// The event that comes in.
    Incoming,
    /// The element of an `exists` and its like; the outermost is 0.
    Element(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// `list.exists(x, body)` and its like.
#[derive(Debug, Clone)]
pub(super) struct Each {
    pub(super) kind: EachKind,
    pub(super) list: Node,
    pub(super) body: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EachKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl EachKind {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "exists" => Self::Exists,
            "exists_one" => Self::ExistsOne,
            "filter" => Self::Filter,
            "map" => Self::Map,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Int,
    Double,
    Text,
    Lowercase,
    Uppercase,
    DecodeBase64,
    ParseJson,
}

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `size(x)`
    Free,
    /// `x.size()`
    Method,
}

impl Function {
    /// The function of this name, in the forms in which it can be called and the number of its arguments, the receiver among them.
    pub(super) fn named(name: &str) -> Option<(Self, &'static [Form], usize)> {
        const EITHER: &[Form] = &[Form::Free, Form::Method];
        const FREE: &[Form] = &[Form::Free];
        const METHOD: &[Form] = &[Form::Method];
        Some(match name {
            "size" => (Self::Size, EITHER, 1),
            "contains" => (Self::Contains, METHOD, 2),
            "startsWith" => (Self::StartsWith, METHOD, 2),
            "endsWith" => (Self::EndsWith, METHOD, 2),
            "int" => (Self::Int, FREE, 1),
            "double" => (Self::Double, FREE, 1),
            "string" => (Self::Text, FREE, 1),
            "lowercase" => (Self::Lowercase, FREE, 1),
            "uppercase" => (Self::Uppercase, FREE, 1),
            "b64decode" => (Self::DecodeBase64, FREE, 1),
            "json_parse" => (Self::ParseJson, FREE, 1),
            _ => return None,
        })
    }
}

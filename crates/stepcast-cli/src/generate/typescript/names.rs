//! What things are called in TypeScript.

/// Names that mean something else where types and values are declared: words of the language, and what generated code uses.
const RESERVED: [&str; 60] = [
    "Record",
    "any",
    "arguments",
    "as",
    "async",
    "await",
    "bigint",
    "boolean",
    "break",
    "case",
    "catch",
    "channel",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "never",
    "new",
    "null",
    "number",
    "object",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "staticSchema",
    "string",
    "super",
    "switch",
    "symbol",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "undefined",
    "unknown",
    "var",
    "void",
    "while",
];

/// Words that no list of names of things can leave out, beside [`RESERVED`].
const MORE_WORDS: [&str; 3] = ["static", "with", "yield"];

/// Names that a topic cannot have, as a channel's own properties stand beside its topics.
const TOPICS: [&str; 5] = ["name", "topics", "then", "constructor", "__proto__"];

/// What schemars calls types that are not a user's, and Rust does.
const PRIMITIVES: [(&str, &str); 19] = [
    ("string", "String"),
    ("boolean", "Bool"),
    ("int128", "I128"),
    ("int16", "I16"),
    ("int32", "I32"),
    ("int64", "I64"),
    ("int8", "I8"),
    ("int", "Isize"),
    ("uint128", "U128"),
    ("uint16", "U16"),
    ("uint32", "U32"),
    ("uint64", "U64"),
    ("uint8", "U8"),
    ("uint", "Usize"),
    ("float", "F32"),
    ("double", "F64"),
    ("char", "Char"),
    ("null", "Unit"),
    ("AnyValue", "Value"),
];

pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || MORE_WORDS.contains(&name)
}

pub(super) fn is_reserved_topic(topic: &str) -> bool {
    topic.starts_with('$') || TOPICS.contains(&topic)
}

/// Whether a name can stand for a thing, and as a property without quotes. TypeScript takes more than ASCII, and not all that Rust takes.
pub(super) fn is_identifier(name: &str) -> bool {
    let is_start = |char: char| char.is_ascii_alphabetic() || matches!(char, '_' | '$');
    name.starts_with(is_start)
        && name
            .chars()
            .all(|char| is_start(char) || char.is_ascii_digit())
}

/// `step_output` as `StepOutput`. What cannot stand in a name parts words.
pub(super) fn pascal(name: &str) -> String {
    let words = name.split(|char: char| !char.is_alphanumeric());
    words
        .map(|word| with_first(word, |char| char.to_uppercase().collect()))
        .collect()
}

/// A name from the wire without what an identifier cannot have: `m²` as `m `.
pub(super) fn plain(name: &str) -> String {
    let chars = name.chars();
    chars
        .map(|char| {
            if char.is_ascii_alphanumeric() {
                char
            } else {
                ' '
            }
        })
        .collect()
}

/// A parameter as a property: `run_id` as `runId`. One of which nothing would be left stays as it is.
pub(super) fn property(parameter: &str) -> String {
    let name = camel(&plain(parameter));
    if name.is_empty() {
        return parameter.to_owned();
    }
    name
}

/// `run_id` as `runId`; `HTTPStatus` as `httpStatus`.
pub(super) fn camel(name: &str) -> String {
    let pascal = pascal(name);
    let capitals = pascal
        .chars()
        .take_while(|char| char.is_uppercase())
        .count();
    let is_whole = capitals == pascal.chars().count();
    let lowered = if is_whole {
        capitals
    } else {
        capitals.saturating_sub(1).max(1)
    };
    let chars = pascal.chars().enumerate();
    chars
        .flat_map(|(index, char)| {
            let lower = (index < lowered).then(|| char.to_lowercase());
            let kept = (index >= lowered).then_some(char);
            lower.into_iter().flatten().chain(kept)
        })
        .collect()
}

fn with_first(word: &str, change: impl Fn(char) -> String) -> String {
    let mut chars = word.chars();
    match chars.next() {
        Some(first) => change(first) + chars.as_str(),
        None => String::new(),
    }
}

/// The last part of a path, without arguments: `app::Pipeline` is `Pipeline`.
pub(super) fn last_of_path(path: &str) -> &str {
    let base = path.split('<').next().unwrap_or(path);
    base.rsplit("::").next().unwrap_or(base)
}

/// What a Rust type is called, from its path as schemars has it: `app::Page<string>` is `PageOfString`.
pub(super) fn of_path(path: &str) -> String {
    if let Some((_, name)) = PRIMITIVES.iter().find(|(id, _)| *id == path) {
        return (*name).to_owned();
    }
    if let Some(inner) = within(path, '[', ']') {
        let inner = inner.split_once("; ").map_or(inner, |(_, element)| element);
        return format!("ListOf{}", joined(inner, ""));
    }
    if let Some(inner) = within(path, '(', ')') {
        return format!("TupleOf{}", joined(inner, ""));
    }
    let base = pascal(last_of_path(path));
    match path
        .split_once('<')
        .and_then(|(_, rest)| rest.strip_suffix('>'))
    {
        Some(arguments) if !arguments.is_empty() => {
            let root = path.split("::").next().unwrap_or_default();
            format!("{base}Of{}", joined(arguments, root))
        }
        _ => base,
    }
}

fn within(path: &str, open: char, close: char) -> Option<&str> {
    path.strip_prefix(open)?.strip_suffix(close)
}

fn joined(arguments: &str, root: &str) -> String {
    let names: Vec<_> = split(arguments, root).into_iter().map(of_path).collect();
    names.join("And")
}

/// Several paths, which schemars writes with commas or with nothing between them. Where nothing is, one ends at its closing bracket, where
/// it is a primitive, or where another one of the same crate (`root`) begins.
fn split<'a>(arguments: &'a str, root: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = arguments;
    while !rest.is_empty() {
        let end = end_of_first(rest, root);
        found.push(&rest[..end]);
        rest = rest[end..].trim_start_matches([',', ' ']);
    }
    found
}

fn end_of_first(text: &str, root: &str) -> usize {
    let bracket = text.find(['<', '[', '(']);
    let primitive = PRIMITIVES.iter().map(|(id, _)| *id);
    if let Some(id) = primitive
        .filter(|id| text.starts_with(id))
        .max_by_key(|id| id.len())
        && !text[id.len()..].starts_with("::")
    {
        return id.len();
    }
    let comma = text.find(',').unwrap_or(text.len());
    let next = (!root.is_empty())
        .then(|| text.get(1..)?.find(&format!("{root}::")))
        .flatten();
    let plain = comma.min(next.map_or(text.len(), |at| at + 1));
    match bracket {
        Some(open) if open < plain => closing(text, open),
        _ => plain,
    }
}

/// After the bracket that closes the one at `open`.
fn closing(text: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, char) in text[open..].char_indices() {
        match char {
            '<' | '[' | '(' => depth += 1,
            '>' | ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return open + at + char.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_written_together() {
        for (name, expected_pascal, expected_camel) in [
            ("run_id", "RunId", "runId"),
            ("status", "Status", "status"),
            ("Pipeline", "Pipeline", "pipeline"),
            ("HTTPStatus", "HTTPStatus", "httpStatus"),
            ("ABC", "ABC", "abc"),
            ("to-do list", "ToDoList", "toDoList"),
            ("größe", "Größe", "größe"),
            ("x", "X", "x"),
        ] {
            assert_eq!(pascal(name), expected_pascal);
            assert_eq!(camel(name), expected_camel);
        }
    }

    #[test]
    fn names_from_the_wire_keep_what_an_identifier_can_have() {
        for (name, expected_pascal, expected_property) in [
            ("run_id", "RunId", "runId"),
            ("m²", "M", "m"),
            ("größe", "GrE", "grE"),
            ("1x", "1x", "1x"),
            ("_", "", "_"),
            ("名", "", "名"),
        ] {
            assert_eq!(pascal(&plain(name)), expected_pascal);
            assert_eq!(property(name), expected_property);
        }
        for (name, expected) in [
            ("orgId", true),
            ("_", true),
            ("$a1", true),
            ("1x", false),
            ("m²", false),
            ("größe", false),
            ("", false),
        ] {
            assert_eq!(is_identifier(name), expected, "{name}");
        }
    }

    #[test]
    fn generics_are_named_from_their_arguments() {
        for (path, expected) in [
            ("app::Page<string>", "PageOfString"),
            ("app::Page<app::deep::Item>", "PageOfItem"),
            ("app::Page<[uint8]>", "PageOfListOfU8"),
            ("app::Pair<stringuint16>", "PairOfStringAndU16"),
            ("app::Pair<app::Aapp::B>", "PairOfAAndB"),
            (
                "app::Pair<app::Page<boolean>other::B>",
                "PairOfPageOfBoolAndB",
            ),
            ("Result<app::A, string>", "ResultOfAAndString"),
            ("Map<double>", "MapOfF64"),
            ("app::Triple<(string,null)>", "TripleOfTupleOfStringAndUnit"),
            ("app::Fixed<[3; string]>", "FixedOfListOfString"),
            ("std::time::SystemTime", "SystemTime"),
            ("some_name", "SomeName"),
        ] {
            assert_eq!(of_path(path), expected, "{path}");
        }
    }
}

//! The paths that a piece of Rust names, in `use` lines and elsewhere.
//!
//! The source is cut into tokens, so comments and strings count for nothing. `crate::`, `self::` and `super::` are brought
//! to one form; names that an earlier `use` has brought in are left as they stand, since that `use` is seen too.

use std::str::FromStr;

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// One path, or a lone word such as `async`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) line: usize,
    /// Begins with `crate` when the path is one of this crate's.
    pub(super) segments: Vec<String>,
}

impl Mention {
    /// Whether it leads into this top-level module of its own crate.
    pub(super) fn enters(&self, module: &str) -> bool {
        matches!(self.segments.as_slice(), [root, first, ..] if root == "crate" && first == module)
    }

    /// Whether it leads into this other crate.
    pub(super) fn is_of_crate(&self, name: &str) -> bool {
        self.segments.len() > 1 && self.segments[0] == name
    }
}

/// Every path in the source of the module `module`, which is `[]` for the crate's root.
pub(super) fn mentions(source: &str, module: &[String]) -> Result<Vec<Mention>, String> {
    let tokens = TokenStream::from_str(source)
        .map_err(|error| format!("line {}: {error}", error.span().start().line))?;
    let mut found = Vec::new();
    read(tokens, module, &mut found);
    Ok(found)
}

fn read(tokens: TokenStream, module: &[String], found: &mut Vec<Mention>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = tokens.as_slice();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (
                TokenTree::Ident(word),
                [TokenTree::Ident(name), TokenTree::Group(body), after @ ..],
            ) if word == "mod" => {
                read(
                    body.stream(),
                    &[module, &[name.to_string()]].concat(),
                    found,
                );
                after
            }
            (TokenTree::Ident(word), _) => read_path(&Vec::new(), word, after, module, found),
            (TokenTree::Group(group), _) => {
                read(group.stream(), module, found);
                after
            }
            (TokenTree::Punct(_) | TokenTree::Literal(_), _) => after,
        };
    }
}

/// Reads the path that goes on from `prefix` with `word`, and returns what follows it.
fn read_path<'a>(
    prefix: &[String],
    word: &Ident,
    after: &'a [TokenTree],
    module: &[String],
    found: &mut Vec<Mention>,
) -> &'a [TokenTree] {
    let path = [prefix, &[word.to_string()]].concat();
    match after_colons(after) {
        Some([TokenTree::Ident(next), after @ ..]) => read_path(&path, next, after, module, found),
        Some([TokenTree::Group(group), after @ ..]) if group.delimiter() == Delimiter::Brace => {
            read_branches(&path, group.stream(), module, found);
            after
        }
        _ => {
            found.push(Mention {
                line: word.span().start().line,
                segments: absolute(path, module),
            });
            after
        }
    }
}

/// Reads the `{a, b::c}` of a `use`.
fn read_branches(
    prefix: &[String],
    tokens: TokenStream,
    module: &[String],
    found: &mut Vec<Mention>,
) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for branch in
        tokens.split(|token| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ','))
    {
        if let [TokenTree::Ident(word), after @ ..] = branch {
            read_path(prefix, word, after, module, found);
        }
    }
}

fn after_colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    match tokens {
        [TokenTree::Punct(one), TokenTree::Punct(two), after @ ..]
            if one.as_char() == ':' && two.as_char() == ':' =>
        {
            Some(after)
        }
        _ => None,
    }
}

/// `super::x` in the module `a::b` is `crate::a::x`.
fn absolute(path: Vec<String>, module: &[String]) -> Vec<String> {
    let ups = path
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    let (skipped, depth) = match path.first().map(String::as_str) {
        Some("self") if path.len() > 1 => (1, module.len()),
        Some("super") => (ups, module.len().saturating_sub(ups)),
        _ => return path,
    };
    [&["crate".to_owned()], &module[..depth], &path[skipped..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(module: &[&str], source: &str, expected: &[&str]) {
        let module: Vec<String> = module.iter().map(|&name| name.to_owned()).collect();
        let found: Vec<String> = mentions(source, &module)
            .unwrap()
            .iter()
            .map(|mention| mention.segments.join("::"))
            .collect();
        assert_eq!(found, expected, "{source}");
    }

    #[test]
    fn nested_use_trees_are_spelled_out() {
        check(
            &[],
            "use crate::{hub::{Channel, log::*}, store as s};",
            &[
                "use",
                "crate::hub::Channel",
                "crate::hub::log",
                "crate::store",
            ],
        );
    }

    #[test]
    fn paths_within_expressions_and_types_are_seen() {
        check(
            &[],
            "fn f() -> a::B { c::d::<e::F>(g) }",
            &["fn", "f", "a::B", "c::d", "e::F", "g"],
        );
    }

    #[test]
    fn comments_docs_and_strings_are_not() {
        check(
            &[],
            "// crate::hub\n/* crate::hub */ \"crate::hub\" 'h' b'x'",
            &[],
        );
        check(
            &[],
            "/// Not [`crate::hub`].\nstruct A;",
            &["doc", "struct", "A"],
        );
    }

    #[test]
    fn self_and_super_are_resolved() {
        check(
            &["store", "sqlite"],
            "super::batch::Batch",
            &["crate::store::batch::Batch"],
        );
        check(
            &["store", "sqlite"],
            "super::super::hub::Tail",
            &["crate::hub::Tail"],
        );
        check(&["store"], "self::batch", &["crate::store::batch"]);
        check(&["store"], "self.batch", &["self", "batch"]);
        check(
            &[],
            "super::beyond::the::root",
            &["crate::beyond::the::root"],
        );
    }

    #[test]
    fn an_inline_module_is_one_level_deeper() {
        check(
            &["store"],
            "mod tests { use super::super::hub::Hub; }",
            &["use", "crate::hub::Hub"],
        );
        check(
            &["store"],
            "mod tests { use super::hub::Hub; }",
            &["use", "crate::store::hub::Hub"],
        );
    }

    #[test]
    fn lines_are_counted_from_one() {
        let found = mentions("\n\nuse tokio::sync;", &[]).unwrap();
        assert_eq!(
            found[1],
            Mention {
                line: 3,
                segments: vec!["tokio".to_owned(), "sync".to_owned()]
            }
        );
    }

    #[test]
    fn what_is_not_rust_is_an_error() {
        assert!(mentions("fn f( {", &[]).is_err());
    }
}

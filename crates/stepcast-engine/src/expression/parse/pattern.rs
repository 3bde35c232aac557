//! Patterns of `matches`.

use regex::{Error, Regex, RegexBuilder};
use stepcast_protocol::limits;

/// Reads a pattern, or says what is wrong with it.
pub(super) fn read(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&with_ascii_classes(pattern))
        .size_limit(limits::EXPRESSION_PATTERN_BYTES)
        // When its cache is too small, a search becomes many times slower.
        .dfa_size_limit(4 * limits::EXPRESSION_PATTERN_BYTES)
        .build()
        .map_err(|error| problem(&error))
}

fn problem(error: &Error) -> String {
    if let Error::CompiledTooBig(limit) = error {
        return format!(
            "the pattern of `matches` is too large for {limit} bytes; repeat less, or use `*`"
        );
    }
    // What stands before the last line shows the place in several lines.
    let text = error.to_string();
    let last = text.lines().last().unwrap_or(&text);
    let problem = last.trim_start_matches("error: ");
    format!(
        "the pattern of `matches` cannot be read: {problem}; write \\\\ before a character that stands for itself"
    )
}

/// The classes of RE2, which CEL names for its patterns, are those of ASCII. They are much smaller than those of Unicode, too.
fn with_ascii_classes(pattern: &str) -> String {
    let mut found = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            found.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => found.push_str("[0-9]"),
            Some('D') => found.push_str("[^0-9]"),
            Some('w') => found.push_str("[0-9A-Za-z_]"),
            Some('W') => found.push_str("[^0-9A-Za-z_]"),
            Some('s') => found.push_str(r"[\t\n\f\r ]"),
            Some('S') => found.push_str(r"[^\t\n\f\r ]"),
            Some('b') => found.push_str(r"(?-u:\b)"),
            Some(other) => found.extend(['\\', other]),
            None => found.push('\\'),
        }
    }
    found
}

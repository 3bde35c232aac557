//! Channel names with parameters, e.g. `pipeline:{job}`.

use std::{fmt, str::FromStr};

use crate::{
    error::ErrorCode,
    limits,
    names::{ChannelName, NameError},
};

/// A static channel name, or one with `{parameters}`.
///
/// A parameter's value has 1 to [`limits::PARAMETER_BYTES`] bytes, no `:` and no control characters, so that two
/// lists of values never make the same name.
///
/// ```
/// use stepcast_protocol::ChannelTemplate;
///
/// let template: ChannelTemplate = "pipeline:{job}".parse()?;
/// assert_eq!(template.render(&["j1"])?.as_str(), "pipeline:j1");
/// assert!(template.matches("pipeline:j1"));
/// assert_eq!(
///     template.render(&["a:b"]).unwrap_err().to_string(),
///     "channel parameter `job` is \"a:b\"; it may not contain `:`",
/// );
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChannelTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Parameter(String),
}

/// A template that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("channel template `{template}` {problem}")]
pub struct TemplateError {
    template: String,
    problem: &'static str,
}

/// A parameter whose value cannot stand in a channel's name, or a name that is too long with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// Nothing was given.
    #[error(
        "channel parameter `{name}` is empty; give it 1 to {} bytes",
        limits::PARAMETER_BYTES
    )]
    Empty {
        /// The parameter.
        name: String,
    },
    /// Too many bytes.
    #[error(
        "channel parameter `{name}` has {bytes} bytes, at most {} are allowed",
        limits::PARAMETER_BYTES
    )]
    TooLong {
        /// The parameter.
        name: String,
        /// The value's length.
        bytes: usize,
    },
    /// A `:` or a control character.
    #[error("channel parameter `{name}` is {value:?}; it may not contain {what}")]
    Forbidden {
        /// The parameter.
        name: String,
        /// The value.
        value: String,
        /// What it must not contain.
        what: &'static str,
    },
    /// Another number of values than of parameters.
    #[error("channel template `{template}` has {expected} parameters, {given} values were given")]
    Count {
        /// The template.
        template: String,
        /// How many it has.
        expected: usize,
        /// How many were given.
        given: usize,
    },
    /// The whole name is too long.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl ParameterError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::BadChannel
    }
}

impl ChannelTemplate {
    /// The template as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parameters' names, in the order in which [`Self::render`] takes their values.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Parameter(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The channel's name for these values.
    ///
    /// # Errors
    /// [`ParameterError`] names the parameter, its value and the rule.
    pub fn render(&self, values: &[impl AsRef<str>]) -> Result<ChannelName, ParameterError> {
        let expected = self.parameters().count();
        if expected != values.len() {
            return Err(ParameterError::Count {
                template: self.text.clone(),
                expected,
                given: values.len(),
            });
        }
        let mut values = values.iter();
        let mut name = String::with_capacity(self.text.len() + 16);
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Parameter(parameter) => {
                    let value = values
                        .next()
                        .expect("there are as many values as parameters")
                        .as_ref();
                    check_value(parameter, value)?;
                    name.push_str(value);
                }
            }
        }
        Ok(ChannelName::parse(name)?)
    }

    /// Whether some values make this name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        matches(&self.parts, name)
    }

    /// Whether both templates can make the same name, in which case messages of one could be taken for the other's.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        overlaps(&symbols(&self.parts), &symbols(&other.parts))
    }
}

fn check_value(name: &str, value: &str) -> Result<(), ParameterError> {
    let name = || name.to_owned();
    let forbidden = |what| ParameterError::Forbidden {
        name: name(),
        value: value.to_owned(),
        what,
    };
    if value.is_empty() {
        return Err(ParameterError::Empty { name: name() });
    }
    if value.len() > limits::PARAMETER_BYTES {
        return Err(ParameterError::TooLong {
            name: name(),
            bytes: value.len(),
        });
    }
    if value.contains(':') {
        return Err(forbidden("`:`"));
    }
    if value.chars().any(char::is_control) {
        return Err(forbidden("control characters"));
    }
    Ok(())
}

fn matches(parts: &[Part], name: &str) -> bool {
    match parts.split_first() {
        None => name.is_empty(),
        Some((Part::Text(text), rest)) => name
            .strip_prefix(text.as_str())
            .is_some_and(|name| matches(rest, name)),
        Some((Part::Parameter(_), rest)) => name
            .char_indices()
            .map(|(start, char)| start + char.len_utf8())
            .take_while(|end| check_value("", &name[..*end]).is_ok())
            .any(|end| matches(rest, &name[end..])),
    }
}

/// A template as a row of what may stand at each place: one character, or one or more of a parameter's.
#[derive(Clone, Copy)]
enum Symbol {
    Char(char),
    Some,
}

fn symbols(parts: &[Part]) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => symbols.extend(text.chars().map(Symbol::Char)),
            Part::Parameter(_) => symbols.push(Symbol::Some),
        }
    }
    symbols
}

/// Walks both rows at once and remembers which pairs of places were reached. A parameter's place is reached in two ways:
/// before its first character, and inside it, where it may also be left.
fn overlaps(left: &[Symbol], right: &[Symbol]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    let mut open = vec![((0, false), (0, false))];
    while let Some((a, b)) = open.pop() {
        if !seen.insert((a, b)) {
            continue;
        }
        if is_end(left, a) && is_end(right, b) {
            return true;
        }
        for (class_a, next_a) in steps(left, a) {
            for (class_b, next_b) in steps(right, b) {
                if shares_a_char(class_a, class_b) {
                    open.push((next_a, next_b));
                }
            }
        }
    }
    false
}

type Place = (usize, bool);

fn is_end(row: &[Symbol], (index, inside): Place) -> bool {
    index + usize::from(inside) == row.len()
}

fn steps(row: &[Symbol], (index, inside): Place) -> Vec<(Symbol, Place)> {
    let enter = |index: usize| {
        row.get(index).map(|symbol| match symbol {
            Symbol::Char(_) => (*symbol, (index + 1, false)),
            Symbol::Some => (*symbol, (index, true)),
        })
    };
    if inside {
        [Some((Symbol::Some, (index, true))), enter(index + 1)]
            .into_iter()
            .flatten()
            .collect()
    } else {
        enter(index).into_iter().collect()
    }
}

fn shares_a_char(a: Symbol, b: Symbol) -> bool {
    match (a, b) {
        (Symbol::Some, Symbol::Some) => true,
        (Symbol::Char(a), Symbol::Char(b)) => a == b,
        (Symbol::Char(char), Symbol::Some) | (Symbol::Some, Symbol::Char(char)) => {
            char != ':' && !char.is_control()
        }
    }
}

impl FromStr for ChannelTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let problem = |problem| TemplateError {
            template: text.to_owned(),
            problem,
        };
        if text.is_empty() {
            return Err(problem("is empty"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('{') {
                let (name, after) = inner
                    .split_once('}')
                    .ok_or_else(|| problem("has a `{` without `}`"))?;
                if name.is_empty()
                    || !name
                        .chars()
                        .all(|char| char.is_alphanumeric() || char == '_')
                {
                    return Err(problem("has a parameter that is not an identifier"));
                }
                if matches!(parts.last(), Some(Part::Parameter(_))) {
                    return Err(problem("has two parameters with nothing between them"));
                }
                if parts
                    .iter()
                    .any(|part| matches!(part, Part::Parameter(other) if other == name))
                {
                    return Err(problem("names a parameter twice"));
                }
                parts.push(Part::Parameter(name.to_owned()));
                rest = after;
            } else {
                let end = rest.find('{').unwrap_or(rest.len());
                if rest[..end].contains('}') {
                    return Err(problem("has a `}` without `{`"));
                }
                parts.push(Part::Text(rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

impl fmt::Display for ChannelTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> ChannelTemplate {
        text.parse().unwrap()
    }

    #[test]
    fn values_cannot_make_one_name_of_two() {
        let pair = template("{org}:{job}");
        assert_eq!(pair.render(&["a", "b"]).unwrap().as_str(), "a:b");
        assert!(pair.render(&["a", "b:c"]).is_err());
        assert!(pair.render(&["a"]).is_err());
        assert!(pair.render(&["", "b"]).is_err());
        assert!(pair.render(&["a".repeat(129).as_str(), "b"]).is_err());
    }

    #[test]
    fn overlap_is_found_both_ways() {
        for (left, right, expected) in [
            ("chat", "chat", true),
            ("chat", "chat:{room}", false),
            ("chat:{room}", "chat:lobby", true),
            ("chat:{room}", "{kind}:lobby", true),
            ("chat:{room}", "mail:{room}", false),
            ("a{x}", "{y}b", true),
            ("a:{x}:c", "a:{x}", false),
            ("job-{id}", "job-{a}-{b}", true),
        ] {
            assert_eq!(
                template(left).overlaps(&template(right)),
                expected,
                "{left} and {right}"
            );
            assert_eq!(
                template(right).overlaps(&template(left)),
                expected,
                "{right} and {left}"
            );
        }
    }

    #[test]
    fn matching_follows_rendering() {
        assert!(template("job-{a}-{b}").matches("job-1-2-3"));
        assert!(!template("job-{a}").matches("job-"));
        assert!(!template("pipeline:{job}").matches("pipeline:a:b"));
    }

    #[test]
    fn wrong_templates_are_refused() {
        for wrong in ["", "a{", "a}", "{}", "{a}{b}", "{a}:{a}", "{a-b}"] {
            assert!(wrong.parse::<ChannelTemplate>().is_err(), "{wrong}");
        }
    }
}

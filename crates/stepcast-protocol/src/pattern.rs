//! Which events a trigger is for, by their names.

use std::fmt;

use crate::names::{EventName, NameError};

/// Events of one name, or all whose names begin alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventPattern {
    /// Events of this name.
    Name(EventName),
    /// Events whose names begin so, e.g. with `app/` of `app/*`. The engine's own, `inngest/…`, are meant only where it says so itself.
    Prefix(String),
}

/// How the names of the engine's own events begin.
const OF_THE_ENGINE: &str = "inngest/";

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is neither a name nor one with a star at its end.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A star that stands where it means nothing.
    #[error("event pattern `{0}` has a `*` in a place of no meaning; it may stand at the end")]
    Star(String),
}

impl EventPattern {
    /// Reads a name, or the beginning of names with `*` after it.
    ///
    /// ```
    /// use stepcast_protocol::{EventName, EventPattern};
    ///
    /// let pattern = EventPattern::parse("app/user.*")?;
    /// assert!(pattern.matches(&EventName::parse("app/user.created")?));
    /// assert!(!pattern.matches(&EventName::parse("app/users")?));
    /// assert!(EventPattern::parse("app/*/done").is_err());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PatternError`] names the text.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let name = EventName::parse(text)?;
        let Some((prefix, rest)) = text.split_once('*') else {
            return Ok(Self::Name(name));
        };
        if rest.is_empty() {
            return Ok(Self::Prefix(prefix.to_owned()));
        }
        Err(PatternError::Star(text.to_owned()))
    }

    /// Whether events of this name are meant.
    #[must_use]
    pub fn matches(&self, event: &EventName) -> bool {
        match self {
            Self::Name(name) => name == event,
            Self::Prefix(prefix) => {
                let is_meant =
                    prefix.starts_with(OF_THE_ENGINE) || !event.starts_with(OF_THE_ENGINE);
                is_meant && event.starts_with(prefix.as_str())
            }
        }
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_whatever_follows() {
        for (pattern, event, is_match) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", true),
            ("a/*", "a/", true),
            ("a*", "abc", true),
            ("*", "abc", true),
            ("*", "inngest/function.finished", false),
            ("inngest/*", "inngest/function.finished", true),
            ("x.*", "x.y", true),
            ("x.*", "xy", false),
        ] {
            let read = EventPattern::parse(pattern).unwrap();
            assert_eq!(read.to_string(), pattern);
            let event = EventName::parse(event).unwrap();
            assert_eq!(read.matches(&event), is_match, "{pattern} {event}");
        }
        for wrong in ["a/*/b", "a/**", "**", ""] {
            assert!(EventPattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}

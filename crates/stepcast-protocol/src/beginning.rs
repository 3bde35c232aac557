//! Where a reader wants to begin, as it stands in `from`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cursor::Cursor;

/// Where a reader begins. Written `start`, `now`, `last:<n>`, or as a cursor.
///
/// ```
/// use stepcast_protocol::Beginning;
///
/// assert_eq!("last:5".parse(), Ok(Beginning::Last(5)));
/// assert_eq!(Beginning::Last(5).to_string(), "last:5");
/// assert!("yesterday".parse::<Beginning>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// At the beginning: snapshots of topics that fold, and every message that is kept of the others.
    Start,
    /// At what comes next.
    Now,
    /// With the newest messages, so many, from 1 to [`crate::limits::LAST_MESSAGES`].
    Last(u64),
    /// After a cursor that the reader has been given; [`Cursor::START`] is the beginning.
    After(Cursor),
}

/// A text that is no beginning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("from `{0}` is none of `start`, `now`, `last:<n>` and a cursor `<epoch>-<offset>`")]
pub struct BadBeginning(String);

impl FromStr for Beginning {
    type Err = BadBeginning;

    fn from_str(text: &str) -> Result<Self, BadBeginning> {
        let bad = || BadBeginning(text.chars().take(64).collect());
        match text {
            "start" => Ok(Self::Start),
            "now" => Ok(Self::Now),
            _ => match text.strip_prefix("last:") {
                Some(count) if !count.starts_with('+') => {
                    count.parse().map(Self::Last).map_err(|_| bad())
                }
                Some(_) => Err(bad()),
                None => text.parse().map(Self::After).map_err(|_| bad()),
            },
        }
    }
}

impl fmt::Display for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Now => f.write_str("now"),
            Self::Last(count) => write!(f, "last:{count}"),
            Self::After(cursor) => cursor.fmt(f),
        }
    }
}

impl Serialize for Beginning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Beginning {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_reads_back_and_others_are_refused() {
        for text in ["start", "now", "last:0", "last:1000", "7-9"] {
            let beginning: Beginning = text.parse().unwrap();
            assert_eq!(beginning.to_string(), text);
        }
        for text in [
            "", "Start", "last", "last:", "last:-1", "last:+1", "last(5)", "7",
        ] {
            let error = text.parse::<Beginning>().unwrap_err().to_string();
            assert!(error.contains("`last:<n>`"), "{error}");
        }
    }
}

//! Where a reader is in a channel.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One life of the store's owner. It grows with every start, so that a pair of epoch and offset never
/// has two meanings, also after a crash or a restored backup.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// A position in a channel's order: it grows, is given once per epoch and never reused. Holes are possible
/// and mean nothing.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Offset(pub u64);

/// A reader's place: everything up to and with it has been seen. Compared as a pair, written `<epoch>-<offset>`
/// and opaque to clients.
///
/// ```
/// use stepcast_protocol::Cursor;
///
/// let cursor: Cursor = "1795462441-12".parse()?;
/// assert!(cursor < "1795462441-13".parse()?);
/// assert!(cursor < "1795462442-1".parse()?);
/// # Ok::<_, stepcast_protocol::cursor::BadCursor>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cursor {
    /// The life of the store's owner in which the offset was given.
    pub epoch: Epoch,
    /// The position in the channel.
    pub offset: Offset,
}

impl Cursor {
    /// Before every message.
    pub const START: Self = Self {
        epoch: Epoch(0),
        offset: Offset(0),
    };

    /// A cursor from its parts.
    #[must_use]
    pub fn new(epoch: Epoch, offset: Offset) -> Self {
        Self { epoch, offset }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch.0, self.offset.0)
    }
}

/// A text that is not a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cursor `{0}` is not of the form <epoch>-<offset>; use one that a message or `hello` carried"
)]
pub struct BadCursor(String);

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let bad = || BadCursor(text.chars().take(64).collect());
        let number = |part: &str| {
            let canonical = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            canonical
                .then(|| part.parse::<u64>().ok())
                .flatten()
                .ok_or_else(bad)
        };
        let (epoch, offset) = text.split_once('-').ok_or_else(bad)?;
        Ok(Self {
            epoch: Epoch(number(epoch)?),
            offset: Offset(number(offset)?),
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
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
    fn round_trip_and_refusals() {
        let cursor = Cursor::new(Epoch(7), Offset(9));
        assert_eq!(cursor.to_string(), "7-9");
        assert_eq!("7-9".parse(), Ok(cursor));
        for wrong in [
            "",
            "7",
            "7-",
            "-9",
            "+7-9",
            "7-9-1",
            "a-b",
            "18446744073709551616-1",
        ] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong} must be refused");
        }
    }
}

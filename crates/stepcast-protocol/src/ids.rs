//! Ids the engine gives out. All are ULIDs: 128 bits whose text sorts by creation time.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::timestamp::Timestamp;

/// A text that is not a ULID where an id was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{value}` is not a ULID (26 characters of Crockford base 32)")]
pub struct IdError {
    what: &'static str,
    value: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Ulid);

        impl $name {
            /// An id from its parts: milliseconds since 1970 and 80 random bits.
            #[must_use]
            pub fn from_parts(millis: u64, random: u128) -> Self {
                Self(Ulid::from_parts(millis, random))
            }

            /// The time that its text begins with.
            #[must_use]
            pub fn created_at(self) -> Timestamp {
                Timestamp::from_millis(i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX))
            }

            /// The 16 bytes that stores keep; their order is the order of the text.
            #[must_use]
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }

            /// The id that [`Self::to_bytes`] gave.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Ulid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Ulid::from_string(text)
                    .map(Self)
                    .map_err(|_| IdError { what: $what, value: text.chars().take(64).collect() })
            }
        }
    };
}

id! {
    /// One execution of a function.
    ///
    /// ```
    /// use stepcast_protocol::RunId;
    ///
    /// let run: RunId = "01KASE7J6K0000000000000000".parse()?;
    /// assert_eq!(run.to_string(), "01KASE7J6K0000000000000000");
    /// # Ok::<_, stepcast_protocol::ids::IdError>(())
    /// ```
    RunId, "run id"
}

id! {
    /// One event as the engine received it (its user may have given it an id of their own as well).
    EventId, "event id"
}

id! {
    /// One request to an app, that it execute a function or a step.
    RequestId, "request id"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_the_order_of_the_text() {
        let (early, late) = (
            RunId::from_parts(1, u128::MAX >> 48),
            RunId::from_parts(2, 0),
        );
        assert!(early < late);
        assert!(early.to_bytes() < late.to_bytes());
        assert!(early.to_string() < late.to_string());
        assert_eq!(RunId::from_bytes(late.to_bytes()), late);
    }

    #[test]
    fn a_wrong_id_is_named() {
        let error = "r1".parse::<RunId>().unwrap_err().to_string();
        assert_eq!(
            error,
            "run id `r1` is not a ULID (26 characters of Crockford base 32)"
        );
    }
}

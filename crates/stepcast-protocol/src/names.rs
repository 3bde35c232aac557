//! Names that users choose. Each is checked where it enters and cannot be wrong afterwards.

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{error::ErrorCode, limits};

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{what} is empty; give it 1 to {} bytes", limits::NAME_BYTES)]
    Empty {
        /// Which name: `channel`, `topic`, …
        what: &'static str,
    },
    /// More bytes than a name may have.
    #[error(
        "{what} `{start}…` has {bytes} bytes, at most {} are allowed",
        limits::NAME_BYTES
    )]
    TooLong {
        /// Which name.
        what: &'static str,
        /// Its first characters.
        start: String,
        /// Its length.
        bytes: usize,
    },
    /// A control character.
    #[error("{what} {value:?} contains a control character")]
    Control {
        /// Which name.
        what: &'static str,
        /// The whole text.
        value: String,
    },
}

impl NameError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        let (Self::Empty { what } | Self::TooLong { what, .. } | Self::Control { what, .. }) = self;
        match *what {
            "channel" => ErrorCode::BadChannel,
            "topic" => ErrorCode::BadTopic,
            "event name" => ErrorCode::BadEvent,
            _ => ErrorCode::BadRequest,
        }
    }
}

fn check(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > limits::NAME_BYTES {
        let start = text.chars().take(32).collect();
        return Err(NameError::TooLong {
            what,
            start,
            bytes: text.len(),
        });
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control {
            what,
            value: text.to_owned(),
        });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text: 1 to [`limits::NAME_BYTES`] bytes, no control characters.
            ///
            /// # Errors
            /// [`NameError`] names the text and the limit.
            pub fn parse(text: impl AsRef<str>) -> Result<Self, NameError> {
                let text = text.as_ref();
                check($what, text)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// A named scope of messages, e.g. `pipeline:r1`.
    ///
    /// ```
    /// use stepcast_protocol::ChannelName;
    ///
    /// assert!(ChannelName::parse("pipeline:r1").is_ok());
    /// assert_eq!(ChannelName::parse("").unwrap_err().to_string(), "channel is empty; give it 1 to 256 bytes");
    /// ```
    ChannelName, "channel"
}

name! {
    /// One typed stream inside a channel, e.g. `tokens`.
    TopicName, "topic"
}

name! {
    /// What an event is called, e.g. `app/generate`.
    EventName, "event name"
}

name! {
    /// An app's id: what serves functions at one address.
    AppId, "app id"
}

name! {
    /// A function's id, e.g. `generate`; unique within an app.
    FunctionId, "function id"
}

name! {
    /// A step's id; unique within one execution of a function.
    StepId, "step id"
}

impl StepId {
    /// Whether the id belongs to the engine, as those that begin with `$` do. Steps may not use such ids.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl TopicName {
    const STREAM: &str = "$stream";

    /// Whether the name belongs to the engine (`$run`, `$step`, …). Publishers may not use such names.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }

    /// The topic of what is passed on to a channel's readers as it comes, which no publisher names.
    #[must_use]
    pub fn stream() -> Self {
        Self(Self::STREAM.into())
    }

    /// Whether it is [`Self::stream`].
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.as_str() == Self::STREAM
    }

    /// Whether the engine makes it from what it knows of a run, rather than keeping messages.
    #[must_use]
    pub fn is_derived(&self) -> bool {
        matches!(
            self.as_str(),
            crate::run::RUN_TOPIC | crate::run::STEP_TOPIC
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_with_value_and_limit() {
        assert!(TopicName::parse("a".repeat(256)).is_ok());
        let long = TopicName::parse("a".repeat(257)).unwrap_err();
        assert!(
            long.to_string().contains("has 257 bytes, at most 256"),
            "{long}"
        );
        assert_eq!(long.code(), ErrorCode::BadTopic);
        let control = ChannelName::parse("a\nb").unwrap_err();
        assert_eq!(
            control.to_string(),
            "channel \"a\\nb\" contains a control character"
        );
        assert!(TopicName::parse("$run").unwrap().is_reserved());
    }
}

//! Named JSON input that triggers functions.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    error::ErrorCode,
    ids::EventId,
    limits,
    names::{EventName, NameError},
    timestamp::Timestamp,
};

/// An event as the engine keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The engine's id.
    pub id: EventId,
    /// Its name.
    pub name: EventName,
    /// Its data: one JSON object, kept byte for byte.
    pub data: Bytes,
    /// The sender's own id, which starts each function at most once within [`limits::IDEMPOTENCY_WINDOW`].
    pub key: Option<String>,
    /// When it happened; later than now means that its runs wait until then.
    pub at: Timestamp,
    /// What else its sender has said of it.
    pub extras: Extras,
}

/// What senders of npm `inngest` may say of an event beside its data. Functions get it as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras {
    /// For whom it is: one JSON object, kept byte for byte.
    pub user: Option<Bytes>,
    /// The version of what its data looks like.
    pub v: Option<String>,
}

/// An event as a sender writes it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EventInput {
    /// Its name; checked by [`Self::check`].
    #[serde(default)]
    pub name: String,
    /// Its data; `{}` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    /// The sender's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Milliseconds since 1970; now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<i64>,
    /// For whom it is: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<RawValue>>,
    /// The version of what its data looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v: Option<String>,
}

/// An [`EventInput`] that keeps the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedEvent {
    /// Its name.
    pub name: EventName,
    /// Its data.
    pub data: Bytes,
    /// The sender's own id.
    pub key: Option<String>,
    /// When it happened, if the sender said so.
    pub at: Option<Timestamp>,
    /// What else the sender has said of it.
    pub extras: Extras,
}

/// Why an event is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A name of the engine's own.
    #[error("event name `{0}` starts with `inngest/`, which is kept for the engine's own events")]
    Reserved(EventName),
    /// Data that is not an object.
    #[error("data of event `{0}` is not a JSON object")]
    NotAnObject(EventName),
    /// A user that is not an object.
    #[error("user of event `{0}` is not a JSON object")]
    UserNotAnObject(EventName),
    /// A version that is too long.
    #[error(
        "v of event `{name}` has {bytes} bytes, at most {} are allowed",
        limits::NAME_BYTES
    )]
    Version {
        /// The event.
        name: EventName,
        /// Its length.
        bytes: usize,
    },
    /// Too many bytes.
    #[error(
        "event `{name}` has {bytes} bytes of data, at most {} are allowed",
        limits::EVENT_BYTES
    )]
    TooLarge {
        /// The event.
        name: EventName,
        /// Its size.
        bytes: usize,
    },
    /// An id of the sender that is too long or empty.
    #[error(
        "id of event `{name}` has {bytes} bytes, 1 to {} are allowed",
        limits::NAME_BYTES
    )]
    Key {
        /// The event.
        name: EventName,
        /// Its length.
        bytes: usize,
    },
    /// A time that cannot be meant.
    #[error(
        "ts of event `{name}` is {ts}; give milliseconds since 1970, between the years 1980 and 2100"
    )]
    Time {
        /// The event.
        name: EventName,
        /// The value.
        ts: i64,
    },
}

impl EventError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::Name(_)
            | Self::Reserved(_)
            | Self::NotAnObject(_)
            | Self::UserNotAnObject(_)
            | Self::Version { .. }
            | Self::Key { .. }
            | Self::Time { .. } => ErrorCode::BadEvent,
        }
    }
}

const YEAR_1980: i64 = 315_532_800_000;
const YEAR_2100: i64 = 4_102_444_800_000;

impl EventInput {
    /// Checks every rule of an event.
    ///
    /// # Errors
    /// [`EventError`] names the event, the value and the limit.
    pub fn check(self) -> Result<CheckedEvent, EventError> {
        let name = EventName::parse(&self.name)?;
        if name.starts_with("inngest/") {
            return Err(EventError::Reserved(name));
        }
        let data = self.data.map_or_else(
            || Bytes::from_static(b"{}"),
            |data| Bytes::from(data.get().to_owned()),
        );
        let user = self.user.map(|user| Bytes::from(user.get().to_owned()));
        let user = user.filter(|user| &**user != b"null");
        let bytes = data.len() + user.as_ref().map_or(0, Bytes::len);
        if bytes > limits::EVENT_BYTES {
            return Err(EventError::TooLarge { name, bytes });
        }
        if user
            .as_ref()
            .is_some_and(|user| user.first() != Some(&b'{'))
        {
            return Err(EventError::UserNotAnObject(name));
        }
        if let Some(bytes) = self.v.as_ref().map(String::len)
            && bytes > limits::NAME_BYTES
        {
            return Err(EventError::Version { name, bytes });
        }
        let data = if &*data == b"null" {
            Bytes::from_static(b"{}")
        } else {
            data
        };
        if data.first() != Some(&b'{') {
            return Err(EventError::NotAnObject(name));
        }
        if let Some(bytes) = self.id.as_ref().map(String::len)
            && !(1..=limits::NAME_BYTES).contains(&bytes)
        {
            return Err(EventError::Key { name, bytes });
        }
        if let Some(ts) = self.ts
            && !(YEAR_1980..YEAR_2100).contains(&ts)
        {
            return Err(EventError::Time { name, ts });
        }
        Ok(CheckedEvent {
            name,
            data,
            key: self.id,
            at: self.ts.map(Timestamp::from_millis),
            extras: Extras { user, v: self.v },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<CheckedEvent, EventError> {
        serde_json::from_str::<EventInput>(json).unwrap().check()
    }

    #[test]
    fn defaults() {
        let event = check(r#"{"name":"app/generate"}"#).unwrap();
        assert_eq!(
            (event.data, event.key, event.at),
            (Bytes::from_static(b"{}"), None, None)
        );
    }

    #[test]
    fn what_else_is_said_is_kept_byte_for_byte() {
        let event = check(r#"{"name":"a","user":{"id":1.50},"v":"2"}"#).unwrap();
        let expected = Extras {
            user: Some(Bytes::from_static(br#"{"id":1.50}"#)),
            v: Some("2".to_owned()),
        };
        assert_eq!(event.extras, expected);
        let event = check(r#"{"name":"a","user":null,"v":null}"#).unwrap();
        assert_eq!(event.extras, Extras::default());
    }

    #[test]
    fn each_refusal_names_value_and_limit() {
        for (json, part) in [
            ("{}", "event name is empty; give it 1 to 256 bytes"),
            (
                r#"{"name":"inngest/x"}"#,
                "`inngest/x` starts with `inngest/`",
            ),
            (
                r#"{"name":"a","data":[1]}"#,
                "data of event `a` is not a JSON object",
            ),
            (
                r#"{"name":"a","id":""}"#,
                "id of event `a` has 0 bytes, 1 to 256 are allowed",
            ),
            (
                r#"{"name":"a","user":"u"}"#,
                "user of event `a` is not a JSON object",
            ),
            (r#"{"name":"a","ts":5}"#, "ts of event `a` is 5"),
        ] {
            let error = check(json).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
        let long = format!(r#"{{"name":"{}"}}"#, "a".repeat(257));
        assert!(
            check(&long)
                .unwrap_err()
                .to_string()
                .contains("257 bytes, at most 256")
        );
    }
}

//! Values of users, which are passed on and never looked into.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One JSON text, kept byte for byte.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

/// A text that is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("{bytes} bytes that should be JSON are not: {source}")]
pub struct JsonError {
    bytes: usize,
    source: serde_json::Error,
}

impl Json {
    /// Checks a text.
    ///
    /// # Errors
    /// [`JsonError`] says where it is not JSON.
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|source| JsonError {
                bytes: text.len(),
                source,
            })
    }

    /// What serde makes of a value of ours, whose keys are strings and which has no code of a user.
    pub(super) fn of(value: &impl Serialize) -> Self {
        serde_json::value::to_raw_value(value)
            .map(Self)
            .expect("strings, numbers and JSON can always be written as JSON")
    }

    /// An object with nothing in it.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(&serde_json::Map::new())
    }

    /// The text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl Default for Json {
    /// `null`.
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Json {}

impl From<&RawValue> for Json {
    fn from(raw: &RawValue) -> Self {
        Self(raw.to_owned())
    }
}

impl From<Json> for Bytes {
    fn from(json: Json) -> Self {
        Self::from(String::from(Box::<str>::from(json.0)))
    }
}

impl TryFrom<&Bytes> for Json {
    type Error = JsonError;

    fn try_from(bytes: &Bytes) -> Result<Self, JsonError> {
        Self::parse(bytes)
    }
}

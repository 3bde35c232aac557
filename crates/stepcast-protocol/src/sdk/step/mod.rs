//! How an SDK names a step: the SHA-1 of its id.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::{Digest, Sha1};

use crate::{names::StepId, sdk::hex};

/// The SHA-1 of a step's id; the second use of an id hashes `id:1`, the third `id:2`.
///
/// ```
/// use stepcast_protocol::sdk::StepHash;
///
/// assert_eq!(StepHash::of("a").to_string(), "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepHash([u8; 20]);

/// A text that is not the hash of a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step `{0}` is not a SHA-1 in 40 hex digits")]
pub struct StepHashError(String);

impl StepHash {
    /// The hash of an id as the SDK's user wrote it.
    #[must_use]
    pub fn of(id: &str) -> Self {
        Self(Sha1::digest(id).into())
    }

    /// The hash that a step of ours stands for: the reverse of [`Self::step_id`].
    #[must_use]
    pub fn of_step(step: &StepId) -> Self {
        step.parse().unwrap_or_else(|_| Self::of(step))
    }

    /// The step's id as its user wrote it, if one of the candidates is that; else the hash itself.
    ///
    /// A candidate counts only if it hashes to this, is a name, and could not be taken for a hash, so that
    /// [`Self::of_step`] always leads back.
    #[must_use]
    pub fn step_id<'a>(self, candidates: impl IntoIterator<Item = &'a str>) -> StepId {
        candidates
            .into_iter()
            .filter(|text| Self::of(text) == self && text.parse::<Self>().is_err())
            .find_map(|text| StepId::parse(text).ok())
            .unwrap_or_else(|| StepId::parse(self.to_string()).expect("40 hex digits are a name"))
    }
}

impl fmt::Display for StepHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for StepHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StepHash({self})")
    }
}

impl FromStr for StepHash {
    type Err = StepHashError;

    /// Takes lower-case digits only, as there must be one text for each hash.
    fn from_str(text: &str) -> Result<Self, StepHashError> {
        hex::decode_array(text)
            .map(Self)
            .filter(|_| !text.bytes().any(|byte| byte.is_ascii_uppercase()))
            .ok_or_else(|| StepHashError(text.chars().take(64).collect()))
    }
}

impl Serialize for StepHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StepHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;

//! The signature of a request or an answer, in the form in which its header holds it.
//!
//! What is signed is the body followed by [`tail`], with [`SigningKey::hmac_key`](super::SigningKey::hmac_key) and
//! HMAC-SHA256. An SDK signs its answers as it sends them. What it is sent it writes in [`canonical`](super::canonical())
//! JSON before it checks, so that has to be sent. The MAC itself is computed and compared by those who serve HTTP.

use std::fmt;

use crate::{limits, sdk::hex, timestamp::Timestamp};

/// When something was signed, and its MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    seconds: i64,
    mac: [u8; 32],
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not the form of a signature.
    #[error("signature `{0}` does not have the form `t=<seconds since 1970>&s=<64 hex digits>`")]
    Malformed(String),
    /// Signed too long ago, or by a clock that is ahead.
    #[error(
        "the signature is {seconds} s from now, at most {} s are allowed; compare the clocks of app and server",
        limits::SIGNATURE_AGE.as_secs()
    )]
    Age {
        /// How far away, before or after.
        seconds: u64,
    },
}

impl Signature {
    /// A signature that was made now.
    #[must_use]
    pub fn new(now: Timestamp, mac: [u8; 32]) -> Self {
        Self {
            seconds: now.as_seconds(),
            mac,
        }
    }

    /// Reads the value of the header.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] shows how it begins.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let part = |key: &str| {
            let mut parts = text.trim().split('&');
            parts.find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
        };
        let signature = || {
            Some(Self {
                seconds: part("t")?.parse().ok()?,
                mac: hex::decode_array(part("s")?)?,
            })
        };
        signature().ok_or_else(|| SignatureError::Malformed(text.chars().take(32).collect()))
    }

    /// What the body is followed by in the message that was signed.
    #[must_use]
    pub fn tail(&self) -> String {
        self.seconds.to_string()
    }

    /// Its MAC, which is to be compared in constant time.
    #[must_use]
    pub fn mac(&self) -> &[u8; 32] {
        &self.mac
    }

    /// Checks that it was made at most [`limits::SIGNATURE_AGE`] before or after now.
    ///
    /// # Errors
    /// [`SignatureError::Age`] says how far away it is.
    pub fn check_age(&self, now: Timestamp) -> Result<(), SignatureError> {
        let seconds = self.seconds.abs_diff(now.as_seconds());
        if seconds > limits::SIGNATURE_AGE.as_secs() {
            return Err(SignatureError::Age { seconds });
        }
        Ok(())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t={}&s={}", self.seconds, hex::encode(&self.mac))
    }
}

/// What a body is followed by in the message that is signed now.
#[must_use]
pub fn tail(now: Timestamp) -> String {
    now.as_seconds().to_string()
}

#[cfg(test)]
mod tests;

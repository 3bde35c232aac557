//! The key that an app and its server share, in the forms in which it is written and shown.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{limits, sdk::hex};

/// A signing key, `signkey-<environment>-<hex>` or the digits alone.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    prefix: String,
    secret: String,
    hashed: String,
}

/// Why a text cannot be a signing key. The text itself is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Something else than pairs of hex digits.
    #[error(
        "the signing key is not an even number of hex digits after `signkey-<environment>-`; make one with `openssl rand -hex 32`"
    )]
    NotHex,
    /// Too few digits.
    #[error(
        "the signing key has {digits} hex digits, at least {} are needed; make one with `openssl rand -hex 32`",
        2 * limits::SIGNING_KEY_BYTES
    )]
    TooShort {
        /// How many.
        digits: usize,
    },
}

const PREFIX: &str = "signkey-";

impl SigningKey {
    /// Reads a key in either form.
    ///
    /// # Errors
    /// [`SigningKeyError`] says what is wrong, and how to make a key.
    pub fn parse(text: &str) -> Result<Self, SigningKeyError> {
        let text = text.trim();
        let secret = Self::without_prefix(text);
        let bytes = hex::decode(secret).ok_or(SigningKeyError::NotHex)?;
        if bytes.len() < limits::SIGNING_KEY_BYTES {
            let digits = secret.len();
            return Err(SigningKeyError::TooShort { digits });
        }
        Ok(Self {
            prefix: text[..text.len() - secret.len()].to_owned(),
            secret: secret.to_owned(),
            hashed: hex::encode(&Sha256::digest(bytes)),
        })
    }

    /// What messages are signed with: the digits, as text.
    #[must_use]
    pub fn hmac_key(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// What an SDK shows to a server: the key's prefix and the hash of its bytes.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("{}{}", self.prefix, self.hashed)
    }

    /// The two texts that a caller may show, without prefix. They are to be compared in constant time with what
    /// [`Self::without_prefix`] leaves of what was shown.
    #[must_use]
    pub fn accepted(&self) -> [&str; 2] {
        [&self.hashed, &self.secret]
    }

    /// A key or its hash without `signkey-<environment>-`.
    #[must_use]
    pub fn without_prefix(text: &str) -> &str {
        let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
        text.strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'))
            .filter(|(environment, _)| !environment.is_empty() && environment.chars().all(is_word))
            .map_or(text, |(_, secret)| secret)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

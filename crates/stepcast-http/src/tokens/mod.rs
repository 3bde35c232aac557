//! Tokens: what a browser is allowed, signed by this installation.
//!
//! Owns the secrets and the form of a token (`jwt`). Mints and verifies; never decides what somebody may have, which is the
//! application's or an operator route's business. Claims are read once, when a connection opens.

mod jwt;

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::RwLock;
use stepcast_engine::clock::{Clock, Entropy};
use stepcast_protocol::{
    ChannelGrant, ChannelName, Claims, Cursor, ErrorCode, Timestamp, TopicName,
};

use self::jwt::Secret;
use crate::origins::Origin;

/// Whether a token allows to read what was published before it was minted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum History {
    /// It does.
    #[default]
    Allowed,
    /// It does not.
    Refused,
}

/// Mints and verifies. A cheap handle.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    clock: Clock,
    entropy: Entropy,
    /// What tokens say of where the server is.
    public_url: Option<Origin>,
    secrets: RwLock<Secrets>,
}

/// The secret that signs, and the one that signed before it.
struct Secrets {
    current: Secret,
    previous: Option<Secret>,
}

/// Bytes of a secret that was made here.
pub(crate) const SECRET_BYTES: usize = 32;

/// Why a token does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// None was given.
    #[error("token is missing; give one as `?token=` or as `Authorization: Bearer`")]
    Missing,
    /// It cannot be read.
    #[error("token is malformed")]
    Malformed,
    /// Another algorithm than the one that is accepted.
    #[error("token is signed with `{found}`, only `HS256` is accepted")]
    WrongAlgorithm {
        /// What its header says.
        found: String,
    },
    /// Signed by somebody else, or by a secret that was rotated out.
    #[error("token was signed with a key that is not known here; mint a new one")]
    UnknownKey,
    /// Its content was changed.
    #[error("signature of the token is wrong")]
    WrongSignature,
    /// Too late.
    #[error("token expired at {at}; mint a new one")]
    Expired {
        /// When it did.
        at: Timestamp,
    },
}

impl TokenError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Missing
            | Self::Malformed
            | Self::WrongAlgorithm { .. }
            | Self::UnknownKey
            | Self::WrongSignature
            | Self::Expired { .. } => ErrorCode::BadToken,
        }
    }
}

impl Tokens {
    /// Tokens signed with `current`, which say that the server is at `public_url`. Those that `previous` signed are still good.
    #[must_use]
    pub fn new(
        clock: Clock,
        entropy: Entropy,
        current: Vec<u8>,
        previous: Option<Vec<u8>>,
        public_url: Option<Origin>,
    ) -> Self {
        let secrets = Secrets {
            current: Secret::new(current),
            previous: previous.map(Secret::new),
        };
        Self(Arc::new(Inner {
            clock,
            entropy,
            public_url,
            secrets: RwLock::new(secrets),
        }))
    }

    /// A token to read topics of a channel from `cursor` on, good for connecting within `lifetime`.
    #[must_use]
    pub fn mint_read(
        &self,
        channel: ChannelName,
        topics: Vec<TopicName>,
        cursor: Cursor,
        history: History,
        lifetime: Duration,
    ) -> String {
        let grant = ChannelGrant {
            channel,
            topics,
            cursor,
            history: history == History::Allowed,
            session: None,
        };
        self.mint_grant(grant, lifetime)
    }

    /// A token for everything that can be granted to a reader, good for connecting within `lifetime`.
    #[must_use]
    pub fn mint_grant(&self, grant: ChannelGrant, lifetime: Duration) -> String {
        self.mint(Some(grant), false, lifetime)
    }

    /// A token to publish to any channel.
    #[must_use]
    pub fn mint_publish(&self, lifetime: Duration) -> String {
        self.mint(None, true, lifetime)
    }

    /// What a token permits at `now`.
    ///
    /// # Errors
    /// [`TokenError`] says why it does not count.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let claims = {
            let secrets = self.0.secrets.read();
            jwt::verify(
                token,
                std::iter::once(&secrets.current).chain(&secrets.previous),
            )?
        };
        if claims.exp < now.as_seconds() {
            let at = Timestamp::from_millis(claims.exp.saturating_mul(1000));
            return Err(TokenError::Expired { at });
        }
        Ok(claims)
    }

    /// [`Self::verify`] at the time it is.
    pub(crate) fn verify_now(&self, token: &str) -> Result<Claims, TokenError> {
        self.verify(token, self.0.clock.now())
    }

    /// Signs with `next` from now on; what was signed before stays good until the next rotation.
    pub(crate) fn rotate(&self, next: Vec<u8>) {
        let mut secrets = self.0.secrets.write();
        let last = std::mem::replace(&mut secrets.current, Secret::new(next));
        secrets.previous = Some(last);
    }

    /// The current secret.
    pub(crate) fn current_secret(&self) -> Vec<u8> {
        self.0.secrets.read().current.bytes().to_vec()
    }

    fn mint(&self, read: Option<ChannelGrant>, publish: bool, lifetime: Duration) -> String {
        let now = self.0.clock.now();
        let claims = Claims {
            exp: (now + lifetime).as_seconds(),
            iat: now.as_seconds(),
            jti: self.0.entropy.event_id(now).to_string(),
            url: self.0.public_url.as_ref().map(ToString::to_string),
            read,
            publish,
        };
        self.0.secrets.read().current.sign(&claims)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

#[cfg(test)]
mod tests;

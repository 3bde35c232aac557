//! JSON Web Tokens signed with HMAC-SHA-256 (RFC 7515, RFC 7519), and nothing else of that family.
//!
//! Built on `hmac` and `sha2` rather than on `jsonwebtoken`: without its bundled back ends, which bring RSA, elliptic curves or C,
//! version 11 takes its algorithms from a provider that is installed once for the whole process. Stepcast is embedded in other
//! people's programs, and one that knows HS256 alone would break every other user of that crate there.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stepcast_protocol::Claims;

use super::TokenError;

/// A key to sign with, and the name under which tokens refer to it.
#[derive(Clone)]
pub(super) struct Secret {
    id: String,
    bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: String,
    #[serde(default)]
    kid: String,
}

const ALGORITHM: &str = "HS256";
/// Bytes of the longest token that is looked at.
const TOKEN_BYTES: usize = 64 * 1024;

impl Secret {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let digest = Sha256::digest(&bytes);
        let id = URL_SAFE_NO_PAD.encode(&digest[..6]);
        Self { id, bytes }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The token that says these claims.
    pub(super) fn sign(&self, claims: &Claims) -> String {
        let header = Header {
            alg: ALGORITHM.to_owned(),
            typ: "JWT".to_owned(),
            kid: self.id.clone(),
        };
        let mut token = encode(&header);
        token.push('.');
        token.push_str(&encode(claims));
        let signature = self.mac_text(&token);
        token.push('.');
        token.push_str(&signature);
        token
    }

    pub(super) fn mac_text(&self, signed: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(signed).finalize().into_bytes())
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.bytes).expect("HMAC takes keys of any length");
        mac.update(signed.as_bytes());
        mac
    }
}

/// The claims of a token that one of the secrets signed. Says nothing about its time.
pub(super) fn verify<'a>(
    token: &str,
    mut secrets: impl Iterator<Item = &'a Secret>,
) -> Result<Claims, TokenError> {
    if token.is_empty() {
        return Err(TokenError::Missing);
    }
    if token.len() > TOKEN_BYTES {
        return Err(TokenError::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let header: Header = decode(header)?;
    if header.alg != ALGORITHM {
        let found = header.alg.chars().take(32).collect();
        return Err(TokenError::WrongAlgorithm { found });
    }
    let secret = secrets
        .find(|secret| secret.id == header.kid)
        .ok_or(TokenError::UnknownKey)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenError::Malformed)?;
    secret
        .mac(signed)
        .verify_slice(&signature)
        .map_err(|_| TokenError::WrongSignature)?;
    decode(claims)
}

fn encode(part: &impl Serialize) -> String {
    let json = serde_json::to_vec(part).expect("strings and numbers can always be written as JSON");
    URL_SAFE_NO_PAD.encode(json)
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)
}

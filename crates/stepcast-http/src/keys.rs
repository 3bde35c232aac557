//! Who may use the operator routes: this machine in dev mode, holders of keys in production.

use std::{fmt, net::SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, Method, header, request::Parts},
};
use sha2::{Digest, Sha256};
use stepcast_protocol::{ErrorCode, limits};

/// Who may use the operator routes.
#[derive(Clone)]
pub enum Keys {
    /// No keys: only programs on this machine, and pages that this server itself delivered.
    Dev,
    /// Those who know a key.
    Production {
        /// Keys that may send events (`/e/{key}`).
        event_keys: Vec<String>,
        /// Keys for everything else, with or without their prefix `signkey-<env>-`.
        signing_keys: Vec<String>,
    },
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dev => "Dev",
            Self::Production { .. } => "Production { .. }",
        })
    }
}

/// Hexadecimal digits of a signing key at least, without its prefix.
const SIGNING_KEY_DIGITS: usize = 32;

/// A key that would not protect anything, or that clients cannot send. Says nothing of the key itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// There is none that may send events.
    #[error("there is no event key; make one with `openssl rand -hex 32`")]
    NoEventKey,
    /// There is none for the rest.
    #[error("there is no signing key; make one with `openssl rand -hex 32`")]
    NoSigningKey,
    /// An event key stands in a path.
    #[error(
        "an event key has {bytes} bytes or characters other than letters, digits, `-` and `_`; 1 to 256 of these are allowed; \
         make one with `openssl rand -hex 32`"
    )]
    EventKey {
        /// Its length.
        bytes: usize,
    },
    /// Clients hash the bytes that the digits stand for; of an odd number, or of other characters, they drop some without a word.
    #[error(
        "a signing key has {characters} characters after its prefix, and has to be an even number of hexadecimal digits, at least \
         {SIGNING_KEY_DIGITS}; make one with `openssl rand -hex 32`"
    )]
    SigningKey {
        /// How many there are.
        characters: usize,
    },
}

impl Keys {
    /// Keys for production, checked: event keys that can stand in a path, and signing keys of an even number of hexadecimal digits, 32
    /// at least, with or without their prefix `signkey-<env>-`. At least one of each.
    ///
    /// ```
    /// use stepcast_http::Keys;
    ///
    /// let signing = "signkey-prod-00112233445566778899aabbccddeeff".to_owned();
    /// assert!(Keys::production(vec!["events".to_owned()], vec![signing]).is_ok());
    /// let error = Keys::production(vec!["events".to_owned()], vec!["secret".to_owned()]);
    /// assert!(error.unwrap_err().to_string().contains("openssl rand -hex 32"));
    /// ```
    ///
    /// # Errors
    /// [`BadKey`] names the rule and how to make a key that keeps it.
    pub fn production(event_keys: Vec<String>, signing_keys: Vec<String>) -> Result<Self, BadKey> {
        if signing_keys.is_empty() {
            return Err(BadKey::NoSigningKey);
        }
        if event_keys.is_empty() {
            return Err(BadKey::NoEventKey);
        }
        signing_keys.iter().try_for_each(|key| check_signing(key))?;
        event_keys.iter().try_for_each(|key| check_event(key))?;
        Ok(Self::Production {
            event_keys,
            signing_keys,
        })
    }
}

/// Why an operator route does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("in dev mode operator routes answer this machine only; the caller is {0}")]
    ForeignPeer(SocketAddr),
    #[error("in dev mode operator routes answer under a loopback host only; the host is `{0}`")]
    ForeignHost(String),
    #[error("in dev mode pages of other origins may not write; the origin is `{0}`")]
    ForeignOrigin(String),
    #[error("event key is not known")]
    UnknownEventKey,
    #[error("signing key is missing or not known; give it as `Authorization: Bearer`")]
    UnknownSigningKey,
}

impl KeyError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::ForeignPeer(_) | Self::ForeignHost(_) | Self::ForeignOrigin(_) => {
                ErrorCode::ForeignOrigin
            }
            Self::UnknownEventKey | Self::UnknownSigningKey => ErrorCode::BadToken,
        }
    }
}

/// [`Keys`] in the form in which they are compared: digests, so that a comparison takes the same time whatever is given.
#[derive(Clone)]
pub(crate) enum Keyring {
    Dev,
    Production {
        event: Vec<[u8; 32]>,
        signing: Vec<[u8; 32]>,
    },
}

impl From<Keys> for Keyring {
    fn from(keys: Keys) -> Self {
        match keys {
            Keys::Dev => Self::Dev,
            Keys::Production {
                event_keys,
                signing_keys,
            } => Self::Production {
                event: event_keys.iter().map(|key| digest(key)).collect(),
                signing: signing_keys
                    .iter()
                    .flat_map(|key| accepted_forms(key))
                    .map(|form| digest(&form))
                    .collect(),
            },
        }
    }
}

impl Keyring {
    /// Whether the request may send events with this key.
    pub(crate) fn admit_event(&self, parts: &Parts, key: &str) -> Result<(), KeyError> {
        match self {
            Self::Dev => check_local(parts),
            Self::Production { event, .. } if contains(event, key) => Ok(()),
            Self::Production { .. } => Err(KeyError::UnknownEventKey),
        }
    }

    /// Whether the request may use the other operator routes.
    pub(crate) fn admit(&self, parts: &Parts) -> Result<(), KeyError> {
        match self {
            Self::Dev => check_local(parts),
            Self::Production { signing, .. } => {
                let key = bearer(&parts.headers).unwrap_or_default();
                if contains(signing, key) {
                    Ok(())
                } else {
                    Err(KeyError::UnknownSigningKey)
                }
            }
        }
    }
}

/// What the `Authorization` header carries. The word before it is not looked at, as some clients leave it out.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let is_scheme = |word: &&str| word.eq_ignore_ascii_case("bearer");
    match value.split_once(' ') {
        Some((word, rest)) if is_scheme(&word) => Some(rest.trim()),
        _ if is_scheme(&value) => None,
        _ => Some(value),
    }
}

fn check_local(parts: &Parts) -> Result<(), KeyError> {
    if let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>()
        && !peer.ip().to_canonical().is_loopback()
    {
        return Err(KeyError::ForeignPeer(*peer));
    }
    let host = host(parts);
    if !is_loopback(host) {
        return Err(KeyError::ForeignHost(shown(host)));
    }
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    match parts.headers.get(header::ORIGIN) {
        Some(origin) if !is_read => {
            let origin = String::from_utf8_lossy(origin.as_bytes());
            let same = origin
                .split_once("://")
                .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
            if same {
                Ok(())
            } else {
                Err(KeyError::ForeignOrigin(shown(&origin)))
            }
        }
        _ => Ok(()),
    }
}

fn host(parts: &Parts) -> &str {
    let header = parts.headers.get(header::HOST);
    match header.and_then(|host| host.to_str().ok()) {
        Some(host) => host,
        None => parts
            .uri
            .authority()
            .map_or("", |authority| authority.as_str()),
    }
}

/// Another site can make its own name point here, but not one of these.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn shown(text: &str) -> String {
    text.chars().take(128).collect()
}

/// A signing key plain and hashed, each with and without its prefix. The hash is over the decoded hexadecimal digits.
fn accepted_forms(key: &str) -> Vec<String> {
    let (prefix, rest) = split_prefix(key);
    let mut forms = vec![key.to_owned(), rest.to_owned()];
    if let Some(bytes) = decode_hex(rest) {
        let hash = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        forms.push(format!("{prefix}{hash}"));
        forms.push(hash);
    }
    forms
}

/// Splits `signkey-<env>-` off.
fn split_prefix(key: &str) -> (&str, &str) {
    let rest = key
        .strip_prefix("signkey-")
        .and_then(|rest| rest.split_once('-'))
        .map_or(key, |(_, rest)| rest);
    key.split_at(key.len() - rest.len())
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|start| u8::from_str_radix(&text[start..start + 2], 16).ok())
        .collect()
}

fn check_signing(key: &str) -> Result<(), BadKey> {
    let (_, rest) = split_prefix(key);
    match decode_hex(rest) {
        Some(_) if rest.len() >= SIGNING_KEY_DIGITS => Ok(()),
        Some(_) | None => Err(BadKey::SigningKey {
            characters: rest.chars().count(),
        }),
    }
}

fn check_event(key: &str) -> Result<(), BadKey> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=limits::NAME_BYTES).contains(&key.len()) && key.bytes().all(is_plain) {
        Ok(())
    } else {
        Err(BadKey::EventKey { bytes: key.len() })
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Compares with every digest to its end, so that the time says nothing.
fn contains(digests: &[[u8; 32]], key: &str) -> bool {
    if key.is_empty() {
        return false;
    }
    let given = digest(key);
    digests.iter().fold(false, |found, known| {
        let difference = known
            .iter()
            .zip(given)
            .fold(0, |sum, (left, right)| sum | (left ^ right));
        found | (difference == 0)
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(method: Method, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/v1/runs");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn dev_mode_answers_this_machine_only() {
        for (host, local) in [
            ("localhost:8288", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8288", true),
            ("127.1.2.3", true),
            ("[::1]:8288", true),
            ("[::1]", true),
            ("", false),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:80", false),
            ("10.0.0.1:8288", false),
        ] {
            assert_eq!(is_loopback(host), local, "{host}");
        }
    }

    #[test]
    fn dev_mode_lets_only_its_own_pages_write() {
        let host = ("host", "localhost:8288");
        for (origin, allowed) in [
            ("http://localhost:8288", true),
            ("http://localhost:3000", false),
            ("https://evil.example", false),
            ("null", false),
        ] {
            let post = parts(Method::POST, &[host, ("origin", origin)]);
            assert_eq!(Keyring::Dev.admit(&post).is_ok(), allowed, "{origin}");
            let get = parts(Method::GET, &[host, ("origin", origin)]);
            assert!(Keyring::Dev.admit(&get).is_ok());
        }
        assert!(Keyring::Dev.admit(&parts(Method::POST, &[host])).is_ok());
    }

    #[test]
    fn dev_mode_refuses_other_machines() {
        let mut parts = parts(Method::GET, &[("host", "localhost")]);
        let peer: SocketAddr = "10.0.0.9:5000".parse().unwrap();
        parts.extensions.insert(ConnectInfo(peer));
        assert_eq!(Keyring::Dev.admit(&parts), Err(KeyError::ForeignPeer(peer)));
    }

    #[test]
    fn production_takes_good_keys_only() {
        let digits = "00112233445566778899aabbccddeeff";
        for (event, signing, refusal) in [
            ("e", digits, None),
            ("e", "signkey-prod-00112233445566778899aabbccddeeff", None),
            ("e", "", Some("0 characters")),
            ("e", "signkey-prod-", Some("0 characters")),
            ("e", &digits[..30], Some("30 characters")),
            (
                "e",
                "00112233445566778899aabbccddeeff0",
                Some("33 characters"),
            ),
            (
                "e",
                "x0112233445566778899aabbccddeeff",
                Some("32 characters"),
            ),
            ("", digits, Some("0 bytes")),
            ("a/b", digits, Some("3 bytes")),
        ] {
            let keys = Keys::production(vec![event.to_owned()], vec![signing.to_owned()]);
            let said = keys.err().map(|error| error.to_string());
            assert_eq!(
                said.is_some(),
                refusal.is_some(),
                "{event} {signing} {said:?}"
            );
            let (said, part) = (said.unwrap_or_default(), refusal.unwrap_or_default());
            assert!(said.contains(part) && (part.is_empty() || said.contains("openssl")));
        }
        let none = Keys::production(vec!["e".to_owned()], Vec::new());
        assert_eq!(none.unwrap_err(), BadKey::NoSigningKey);
        let none = Keys::production(Vec::new(), vec![digits.to_owned()]);
        assert_eq!(none.unwrap_err(), BadKey::NoEventKey);
    }

    #[test]
    fn a_signing_key_is_accepted_in_every_form() {
        let hash = "6f8d0aa2cd3dd0a15a2bb9c3d3a1b2a8";
        let keyring = Keyring::from(Keys::Production {
            event_keys: vec!["event".to_owned()],
            signing_keys: vec![format!("signkey-prod-{hash}")],
        });
        let hashed = Sha256::digest(decode_hex(hash).unwrap())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        for (key, accepted) in [
            (format!("signkey-prod-{hash}"), true),
            (hash.to_owned(), true),
            (format!("signkey-prod-{hashed}"), true),
            (hashed.clone(), true),
            (format!("signkey-test-{hashed}"), false),
            ("event".to_owned(), false),
            (String::new(), false),
        ] {
            let request = parts(Method::GET, &[("authorization", &format!("Bearer {key}"))]);
            assert_eq!(keyring.admit(&request).is_ok(), accepted, "{key}");
        }
        let request = parts(Method::POST, &[]);
        assert!(keyring.admit_event(&request, "event").is_ok());
        assert!(keyring.admit_event(&request, "other").is_err());
    }
}

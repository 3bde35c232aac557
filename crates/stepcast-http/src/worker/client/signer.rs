//! Signatures of requests to apps and of what they answer.
//!
//! A request is signed with the first key. An SDK signs its answer with the key under which it has accepted the request, which while
//! keys are exchanged may be another one.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use stepcast_protocol::{
    Timestamp,
    sdk::{Signature, SignatureError, SigningKey, headers, signature},
};

use super::header;
use crate::{gateway::ServerKind, worker::served::Answered};

/// Why an answer's signature does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untrusted {
    #[error(
        "it is not signed; give the app the server's signing key, and let nothing in between change its headers"
    )]
    Unsigned,
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("its signature is not of a key of this server; give both the same signing key")]
    OtherKey,
}

/// Signs and checks.
pub(super) struct Signer {
    macs: Vec<Hmac<Sha256>>,
    kind: ServerKind,
}

/// The status under which an SDK's answer is inside its body, as it is written while it works.
const STREAMED: u16 = 201;

/// An answer inside a stream.
#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    headers: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    body: String,
}

impl Signer {
    pub(super) fn new(keys: &[SigningKey], kind: ServerKind) -> Self {
        let mac = |key: &SigningKey| {
            Hmac::new_from_slice(key.hmac_key()).expect("HMAC takes keys of any length")
        };
        Self {
            macs: keys.iter().map(mac).collect(),
            kind,
        }
    }

    /// The signature of a request; nothing without a key. An empty body is signed as well.
    pub(super) fn sign(&self, body: &[u8], now: Timestamp) -> Option<Signature> {
        let mut mac = self.macs.first()?.clone();
        mac.update(body);
        mac.update(signature::tail(now).as_bytes());
        Some(Signature::new(now, mac.finalize().into_bytes().into()))
    }

    /// Checks that the app has signed its answer. What no SDK has answered is nobody's, and left to those who read it.
    pub(super) fn check(&self, answered: &Answered, now: Timestamp) -> Result<(), Untrusted> {
        if self.macs.is_empty() || header(&answered.headers, headers::SDK).is_none() {
            return Ok(());
        }
        if let Some(text) = header(&answered.headers, headers::SIGNATURE) {
            return self.verify(text, &answered.body, now);
        }
        if answered.status == STREAMED {
            return self.check_stream(&answered.body, now);
        }
        self.unsigned()
    }

    fn check_stream(&self, body: &[u8], now: Timestamp) -> Result<(), Untrusted> {
        let Ok(Inner { headers, body }) = serde_json::from_slice(body) else {
            return Ok(());
        };
        let mut headers = headers.iter();
        let signature = headers.find(|(name, _)| name.eq_ignore_ascii_case(headers::SIGNATURE));
        match signature.and_then(|(_, value)| value.as_str()) {
            Some(text) => self.verify(text, body.as_bytes(), now),
            None => self.unsigned(),
        }
    }

    /// In dev mode SDKs sign nothing.
    fn unsigned(&self) -> Result<(), Untrusted> {
        match self.kind {
            ServerKind::Dev => Ok(()),
            ServerKind::Cloud => Err(Untrusted::Unsigned),
        }
    }

    fn verify(&self, text: &str, body: &[u8], now: Timestamp) -> Result<(), Untrusted> {
        let signature = Signature::parse(text)?;
        signature.check_age(now)?;
        let is_of = |mac: &Hmac<Sha256>| {
            let mut mac = mac.clone();
            mac.update(body);
            mac.update(signature.tail().as_bytes());
            mac.verify_slice(signature.mac()).is_ok()
        };
        if self.macs.iter().any(is_of) {
            Ok(())
        } else {
            Err(Untrusted::OtherKey)
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_462_441_203);

    fn signer(digits: &[&str], kind: ServerKind) -> Signer {
        let key = |digit: &&str| SigningKey::parse(&digit.repeat(32)).unwrap();
        Signer::new(&digits.iter().map(key).collect::<Vec<_>>(), kind)
    }

    fn answer(status: u16, signature: Option<&Signature>, body: &str) -> Answered {
        let mut headers = HeaderMap::new();
        headers.insert(headers::SDK, HeaderValue::from_static("inngest-js:v4.24.0"));
        if let Some(signature) = signature {
            let text = signature.to_string();
            headers.insert(headers::SIGNATURE, text.parse().unwrap());
        }
        let body = Bytes::from(body.to_owned());
        Answered {
            status,
            headers,
            body,
        }
    }

    #[test]
    fn an_answer_counts_when_one_of_the_keys_has_signed_it_lately() {
        let ours = signer(&["a", "b"], ServerKind::Cloud);
        let old = signer(&["b"], ServerKind::Cloud).sign(b"{}", NOW);
        let alien = signer(&["c"], ServerKind::Cloud).sign(b"{}", NOW);
        let check = |signature: Option<Signature>, body: &str, later: i64| {
            let now = Timestamp::from_millis(NOW.as_millis() + later);
            let checked = ours.check(&answer(200, signature.as_ref(), body), now);
            checked.map_err(|error| error.to_string())
        };
        let own = ours.sign(b"{}", NOW);
        assert_eq!(check(own, "{}", 0), Ok(()));
        assert_eq!(check(old, "{}", 299_000), Ok(()));
        for (error, part) in [
            (check(own, "{ }", 0), "not of a key of this server"),
            (check(alien, "{}", 0), "not of a key of this server"),
            (check(own, "{}", 302_000), "at most 300 s"),
            (check(own, "{}", -302_000), "at most 300 s"),
            (check(None, "{}", 0), "it is not signed"),
        ] {
            let error = error.unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_answer_inside_a_stream_is_the_one_that_is_signed() {
        let ours = signer(&["a"], ServerKind::Cloud);
        let signature = ours.sign(b"[1]", NOW).unwrap().to_string();
        let stream = |body: &str, signature: &str| {
            let inner =
                json!({"status": 206, "headers": {"X-Inngest-Signature": signature}, "body": body});
            answer(201, None, &format!("   {inner}"))
        };
        assert!(ours.check(&stream("[1]", &signature), NOW).is_ok());
        assert!(ours.check(&stream("[2]", &signature), NOW).is_err());
        let unsigned = answer(201, None, r#"{"status":206,"headers":{},"body":"[]"}"#);
        assert!(ours.check(&unsigned, NOW).is_err());
    }

    #[test]
    fn without_keys_or_in_dev_mode_nothing_has_to_be_signed() {
        let unsigned = answer(200, None, "{}");
        assert!(signer(&[], ServerKind::Cloud).sign(b"", NOW).is_none());
        assert!(signer(&[], ServerKind::Cloud).check(&unsigned, NOW).is_ok());
        assert!(
            signer(&["a"], ServerKind::Dev)
                .check(&unsigned, NOW)
                .is_ok()
        );
    }
}

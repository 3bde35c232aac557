use super::*;
use crate::sdk::{SigningKey, SigningKeyError};

const HEX: &str = "0123456789abcdef0123456789ABCDEF";
/// SHA-256 of the 16 bytes that [`HEX`] means.
const HASHED: &str = "223e0a160af9da0a03e6dd2c4719c56f5d66a633cbe84e78aaa9f3735865522a";

#[test]
fn a_signature_is_read_as_it_is_written() {
    let now = Timestamp::from_millis(1_795_462_847_999);
    let signature = Signature::new(now, [0xab; 32]);
    let text = format!("t=1795462847&s={}", "ab".repeat(32));
    assert_eq!(signature.to_string(), text);
    assert_eq!(Signature::parse(&text), Ok(signature));
    let reversed = format!("s={}&t=1795462847&v=2", "AB".repeat(32));
    assert_eq!(Signature::parse(&reversed), Ok(signature));
    assert_eq!(signature.tail(), "1795462847");
    assert_eq!(tail(now), "1795462847");
}

#[test]
fn other_texts_are_named() {
    let mac = "ab".repeat(32);
    for text in [
        "",
        "t=1",
        &format!("s={mac}"),
        &format!("t=x&s={mac}"),
        &format!("t=1&s={}", &mac[2..]),
        &format!("t=1&s={mac}0"),
        &format!("t=1 s={mac}"),
        "t=1&s=xx",
    ] {
        let start: String = text.chars().take(32).collect();
        let error = Signature::parse(text).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("signature `{start}` does not have")),
            "{error}"
        );
    }
}

#[test]
fn a_signature_counts_for_five_minutes() {
    let signature = Signature::new(Timestamp::from_millis(1_000_000), [0; 32]);
    for (now, expected) in [
        (1000, Ok(())),
        (700, Ok(())),
        (1300, Ok(())),
        (699, Err(SignatureError::Age { seconds: 301 })),
        (1301, Err(SignatureError::Age { seconds: 301 })),
    ] {
        let now = Timestamp::from_millis(now * 1000);
        assert_eq!(signature.check_age(now), expected);
    }
    assert_eq!(
        SignatureError::Age { seconds: 301 }.to_string(),
        "the signature is 301 s from now, at most 300 s are allowed; compare the clocks of app and server"
    );
}

#[test]
fn forms_of_a_key() {
    for (prefix, shown) in [
        ("signkey-prod-", "signkey-prod-"),
        ("signkey-my_branch2-", "signkey-my_branch2-"),
        ("", ""),
    ] {
        let key = SigningKey::parse(&format!(" {prefix}{HEX}\n")).unwrap();
        assert_eq!(key.hmac_key(), HEX.as_bytes());
        let hashed = key.accepted()[0].to_owned();
        assert_eq!(key.bearer(), format!("{shown}{hashed}"));
        assert_eq!(hashed, HASHED);
        assert_eq!(SigningKey::without_prefix(&key.bearer()), hashed);
        assert_eq!(key.accepted(), [&*hashed, HEX]);
        let debug = format!("{key:?}");
        assert!(!debug.contains(HEX) && !debug.contains(&hashed), "{debug}");
    }
}

#[test]
fn keys_that_cannot_be() {
    for (text, expected) in [
        ("", SigningKeyError::TooShort { digits: 0 }),
        ("abcd", SigningKeyError::TooShort { digits: 4 }),
        ("signkey-prod-abcd", SigningKeyError::TooShort { digits: 4 }),
        ("signkey-prod-xyz", SigningKeyError::NotHex),
        ("signkey--abcd", SigningKeyError::NotHex),
        ("signkey-a-b-c", SigningKeyError::NotHex),
        (&HEX[1..], SigningKeyError::NotHex),
        ("undefined", SigningKeyError::NotHex),
    ] {
        assert_eq!(SigningKey::parse(text), Err(expected), "{text}");
        assert!(expected.to_string().contains("`openssl rand -hex 32`"));
    }
}

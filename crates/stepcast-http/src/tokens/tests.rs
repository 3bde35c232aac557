use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_462_441_203);

fn tokens(secret: &[u8]) -> Tokens {
    Tokens::new(
        Clock::manual(NOW),
        Entropy::seeded(1),
        secret.to_vec(),
        None,
        None,
    )
}

fn read_token(tokens: &Tokens) -> String {
    let topics = vec![TopicName::parse("status").unwrap()];
    let channel = ChannelName::parse("pipeline:r1").unwrap();
    let cursor = "7-9".parse().unwrap();
    tokens.mint_read(
        channel,
        topics,
        cursor,
        History::Allowed,
        Duration::from_secs(60),
    )
}

#[test]
fn a_token_says_what_it_was_minted_for() {
    let tokens = tokens(&[7; 32]);
    let claims = tokens.verify(&read_token(&tokens), NOW).unwrap();
    let grant = claims.read.unwrap();
    assert_eq!(grant.channel, "pipeline:r1");
    assert_eq!(grant.topics, [TopicName::parse("status").unwrap()]);
    assert_eq!(grant.cursor.to_string(), "7-9");
    assert!(grant.history && !claims.publish);
    let publish = tokens
        .verify(&tokens.mint_publish(Duration::from_secs(60)), NOW)
        .unwrap();
    assert!(publish.publish && publish.read.is_none());
}

#[test]
fn each_refusal_is_named() {
    let ours = tokens(&[7; 32]);
    let token = read_token(&ours);
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let more = URL_SAFE_NO_PAD.encode(r#"{"exp":9999999999,"iat":0,"jti":"","publish":true}"#);
    for (token, expected) in [
        (String::new(), TokenError::Missing),
        ("abc".to_owned(), TokenError::Malformed),
        (format!("{head}.{claims}"), TokenError::Malformed),
        (
            format!("{head}.{claims}.{signature}!"),
            TokenError::Malformed,
        ),
        (
            format!("{none}.{claims}."),
            TokenError::WrongAlgorithm {
                found: "none".to_owned(),
            },
        ),
        (
            format!("{head}.{more}.{signature}"),
            TokenError::WrongSignature,
        ),
        (read_token(&tokens(&[8; 32])), TokenError::UnknownKey),
    ] {
        assert_eq!(ours.verify(&token, NOW), Err(expected), "{token}");
    }
}

#[test]
fn it_ends_after_its_lifetime_and_is_good_before_its_iat() {
    let tokens = tokens(&[7; 32]);
    let token = read_token(&tokens);
    assert!(tokens.verify(&token, NOW + Duration::from_secs(60)).is_ok());
    let error = tokens
        .verify(&token, NOW + Duration::from_secs(61))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "token expired at 2026-11-23T19:35:01.000Z; mint a new one"
    );
    assert!(tokens.verify(&token, Timestamp::from_millis(0)).is_ok());
}

#[test]
fn a_rotation_overlaps_with_the_one_before() {
    let tokens = tokens(&[7; 32]);
    let first = read_token(&tokens);
    tokens.rotate(vec![8; 32]);
    let second = read_token(&tokens);
    assert!(tokens.verify(&first, NOW).is_ok() && tokens.verify(&second, NOW).is_ok());
    tokens.rotate(vec![9; 32]);
    assert_eq!(tokens.verify(&first, NOW), Err(TokenError::UnknownKey));
    assert!(tokens.verify(&second, NOW).is_ok());
}

/// The example of RFC 7515, appendix A.1, signed by somebody else.
#[test]
fn the_signature_is_that_of_the_standard() {
    let key =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                  eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let secret = Secret::new(URL_SAFE_NO_PAD.decode(key).unwrap());
    assert_eq!(
        secret.mac_text(signed),
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
}

proptest! {
    #[test]
    fn one_changed_character_is_noticed(index in any::<prop::sample::Index>()) {
        let tokens = tokens(&[7; 32]);
        let token = read_token(&tokens);
        let index = index.index(token.len());
        let mut changed = token.into_bytes();
        changed[index] = if changed[index] == b'A' { b'Z' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        prop_assert!(tokens.verify(&changed, NOW).is_err());
    }
}

#[test]
fn a_token_says_where_the_server_is_if_that_is_known() {
    let (clock, entropy) = (Clock::manual(NOW), Entropy::seeded(1));
    let url: Origin = "https://rt.example.com".parse().unwrap();
    let tokens = Tokens::new(clock, entropy, vec![7; 32], None, Some(url));
    let claims = tokens.verify(&read_token(&tokens), NOW).unwrap();
    assert_eq!(claims.url.as_deref(), Some("https://rt.example.com"));
    let silent = self::tokens(&[7; 32]);
    let claims = silent.verify(&read_token(&silent), NOW).unwrap();
    assert_eq!(claims.url, None);
}

//! Bytes as lower-case hex digits, and back.

use std::fmt::Write as _;

/// Two digits for each byte.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

/// The bytes of an even number of digits of either case; nothing for any other text.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| {
        let (high, low) = (digit(*pair.first()?)?, digit(*pair.get(1)?)?);
        u8::try_from(high * 16 + low).ok()
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// The bytes of exactly `2 * N` digits.
pub(super) fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

//! Strings as ECMAScript writes them.

use std::fmt::Write as _;

/// What stands before the closing quote of a string whose opening quote was read; nothing when it is not a string.
pub(super) fn inner(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => return text.get(..at),
            b'\\' => at += escape(&bytes[at + 1..])? + 1,
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// How many bytes an escape has after its backslash.
fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(1),
        b'u' => {
            let digits = bytes.get(1..5)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(5)
        }
        _ => None,
    }
}

/// The UTF-16 units that the inside of a string means.
pub(super) fn units(inner: &str) -> Vec<u16> {
    let mut units = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        units.extend(plain.encode_utf16());
        let (unit, after) = unescape(escaped);
        units.push(unit);
        rest = after;
    }
    units.extend(rest.encode_utf16());
    units
}

fn unescape(text: &str) -> (u16, &str) {
    let (letter, rest) = text.split_at(1);
    let unit = match letter {
        "b" => 0x08,
        "t" => 0x09,
        "n" => 0x0a,
        "f" => 0x0c,
        "r" => 0x0d,
        "u" => {
            let (digits, rest) = rest.split_at(4);
            let unit = u16::from_str_radix(digits, 16).expect("an escape has four hex digits");
            return (unit, rest);
        }
        other => u16::from(other.as_bytes()[0]),
    };
    (unit, rest)
}

/// Writes a string with the fewest escapes.
pub(super) fn write(inner: &str, out: &mut String) {
    out.push('"');
    if inner.contains('\\') {
        for decoded in char::decode_utf16(units(inner)) {
            match decoded {
                Ok(char) => write_char(char, out),
                Err(half) => push_escape(half.unpaired_surrogate(), out),
            }
        }
    } else {
        out.push_str(inner);
    }
    out.push('"');
}

fn write_char(char: char, out: &mut String) {
    match char {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        control @ '\0'..' ' => push_escape(control as u16, out),
        other => out.push(other),
    }
}

fn push_escape(unit: u16, out: &mut String) {
    write!(out, "\\u{unit:04x}").expect("writing to a string cannot fail");
}

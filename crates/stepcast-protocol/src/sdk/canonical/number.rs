//! Numbers as ECMAScript writes them.

use std::fmt::Write as _;

/// Integers of so many characters are the same in both notations.
const PLAIN_DIGITS: usize = 15;

/// The number at the start of a text; nothing when there is none.
pub(super) fn token(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let count = bytes[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        Some(from + count.count()).filter(|end| *end > from)
    };
    let start = usize::from(bytes.first() == Some(&b'-'));
    let mut end = if bytes.get(start) == Some(&b'0') {
        start + 1
    } else {
        digits(start)?
    };
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        end = digits(end + 1 + usize::from(sign))?;
    }
    text.get(..end)
}

/// Writes a number of JSON; gives `false` when it is too large.
pub(super) fn write(number: &str, out: &mut String) -> bool {
    if number.len() <= PLAIN_DIGITS && number.bytes().all(|byte| byte.is_ascii_digit()) {
        out.push_str(number);
        return true;
    }
    let value: f64 = number.parse().unwrap_or(f64::INFINITY);
    if value.is_finite() {
        write_finite(value, out);
    }
    value.is_finite()
}

fn write_finite(value: f64, out: &mut String) {
    if value == 0.0 {
        out.push('0');
        return;
    }
    if value < 0.0 {
        out.push('-');
    }
    let (digits, exponent) = shortest(value.abs());
    let count = length(&digits);
    let point = exponent + 1;
    if (1..=21).contains(&point) && count <= point {
        out.push_str(&digits);
        zeros(point - count, out);
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        push(out, format_args!("{whole}.{fraction}"));
    } else if (-5..=0).contains(&point) {
        out.push_str("0.");
        zeros(-point, out);
        out.push_str(&digits);
    } else {
        let (first, others) = digits.split_at(1);
        let dot = if others.is_empty() { "" } else { "." };
        push(out, format_args!("{first}{dot}{others}e{exponent:+}"));
    }
}

/// The fewest digits that mean this value, and the power of ten of the first. Of two that are equally near the even one is
/// right, which is what serde_json writes and the standard library does not.
fn shortest(value: f64) -> (String, i32) {
    let text = serde_json::to_string(&value).expect("a finite number can be written as JSON");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let skipped = length(&digits) - length(significant);
    let exponent: i32 = exponent.parse().expect("the exponent is a small integer");
    let first = exponent + length(whole) - 1 - skipped;
    (significant.trim_end_matches('0').to_owned(), first)
}

fn length(digits: &str) -> i32 {
    i32::try_from(digits.len()).expect("a number has few digits")
}

fn zeros(count: i32, out: &mut String) {
    out.extend((0..count).map(|_| '0'));
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a string cannot fail");
}

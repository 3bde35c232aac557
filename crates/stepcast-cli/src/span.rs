//! Lengths of time as people write them: `500ms`, `10s`, `5m`, `12h`, `7d`.

use std::{fmt, str::FromStr, time::Duration};

use serde::Deserialize;

/// A length of time with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span(pub(crate) Duration);

/// Units and how many milliseconds they have, the largest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 24 * 60 * 60 * 1_000),
    ("h", 60 * 60 * 1_000),
    ("m", 60 * 1_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no length of time; write a whole number and a unit: ms, s, m, h or d, e.g. `10s`"
)]
pub(crate) struct BadSpan(String);

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let bad = || BadSpan(text.chars().take(64).collect());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let count: u64 = count.parse().map_err(|_| bad())?;
        let found = UNITS.iter().find(|(name, _)| *name == unit);
        let millis = found.and_then(|(_, millis)| count.checked_mul(*millis));
        millis
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(bad)
    }
}

impl TryFrom<String> for Span {
    type Error = BadSpan;

    fn try_from(text: String) -> Result<Self, BadSpan> {
        text.parse()
    }
}

impl fmt::Display for Span {
    /// In the largest unit that leaves nothing over.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.as_millis();
        let fitting = |(_, millis): &&(&str, u64)| all >= u128::from(*millis);
        let whole = |(_, millis): &&(&str, u64)| all.is_multiple_of(u128::from(*millis));
        let (unit, millis) = UNITS
            .iter()
            .filter(fitting)
            .find(whole)
            .unwrap_or(&("s", 1_000));
        write!(f, "{}{unit}", all / u128::from(*millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        for (text, millis, shown) in [
            ("500ms", 500, "500ms"),
            ("10s", 10_000, "10s"),
            ("90s", 90_000, "90s"),
            ("120s", 120_000, "2m"),
            ("24h", 86_400_000, "1d"),
            ("0s", 0, "0s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(millis), "{text}");
            assert_eq!(span.to_string(), shown);
        }
        for bad in [
            "",
            "10",
            "s",
            "1.5s",
            "-1s",
            "10 s",
            "10w",
            "99999999999999999d",
        ] {
            let error = bad.parse::<Span>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")), "{error}");
        }
    }
}

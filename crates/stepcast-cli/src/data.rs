//! JSON that a command is given: on its line, or on the standard input.

use std::io::Read;

use serde_json::value::RawValue;

use crate::exit::Failure;

/// JSON as it was written. `-` reads the standard input, nothing gives what stands for nothing.
pub(crate) fn read(
    given: Option<&str>,
    nothing: &str,
    limit: usize,
) -> Result<Box<RawValue>, Failure> {
    match given {
        None => parse(nothing),
        Some("-") => parse(&read_all(std::io::stdin().lock(), limit)?),
        Some(text) => parse(text),
    }
}

fn parse(text: &str) -> Result<Box<RawValue>, Failure> {
    serde_json::from_str(text.trim()).map_err(|error| {
        let shown: String = text.trim().chars().take(64).collect();
        Failure::usage(format!(
            "data `{shown}` is not JSON: {error}; a text is written with its quotes, '\"hello\"'"
        ))
    })
}

/// Everything, unless it is more than the server would take.
fn read_all(input: impl Read, limit: usize) -> Result<String, Failure> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut text = String::new();
    let read = input
        .take(most.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("the standard input cannot be read: {error}")))?;
    if read > limit {
        let why = format!(
            "the standard input has more than {limit} bytes, which is the most that is allowed"
        );
        return Err(Failure::usage(why));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_as_it_was_written() {
        assert_eq!(read(None, "{}", 9).unwrap().get(), "{}");
        assert_eq!(read(Some(" [1.50] "), "{}", 9).unwrap().get(), "[1.50]");
        let error = read(Some("hello"), "{}", 9).unwrap_err().to_string();
        assert!(
            error.contains("`hello`") && error.contains("quotes"),
            "{error}"
        );
    }

    #[test]
    fn input_is_bounded() {
        assert_eq!(read_all(&b"12345"[..], 5).unwrap(), "12345");
        let error = read_all(&b"123456"[..], 5).unwrap_err().to_string();
        assert!(error.contains("more than 5 bytes"), "{error}");
        assert!(read_all(&b"\xff"[..], 5).is_err());
    }
}

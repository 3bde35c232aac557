//! A body of many messages, one JSON text per line.

use axum::body::Bytes;
use stepcast_protocol::{ErrorCode, limits};

use super::problem::Problem;

/// A line that is a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its place in the body, from 1.
    pub(super) number: usize,
    pub(super) payload: Bytes,
}

/// The lines of a body that are not blank.
pub(super) fn of(body: &Bytes) -> Result<Vec<Line>, Problem> {
    let mut lines = Vec::new();
    for (index, text) in body.split(|byte| *byte == b'\n').enumerate() {
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        if lines.len() == limits::LINES {
            let sentence = format!(
                "the body has more than {} lines, which is the limit; send the rest in a request of its own",
                limits::LINES
            );
            return Err(Problem::new(ErrorCode::TooLarge, sentence));
        }
        let (number, payload) = (index + 1, body.slice_ref(text));
        lines.push(Line { number, payload });
    }
    if lines.is_empty() {
        let sentence = "the body has no lines; each line of `application/x-ndjson` is a message";
        return Err(Problem::new(ErrorCode::BadRequest, sentence));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Vec<(usize, String)> {
        let lines = of(&Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let text = |line: Line| {
            let payload = String::from_utf8(line.payload.to_vec()).unwrap();
            (line.number, payload)
        };
        lines.into_iter().map(text).collect()
    }

    #[test]
    fn blank_lines_and_carriage_returns_are_no_messages() {
        let expected = [(1, "{\"a\": 1}".to_owned()), (4, "2".to_owned())];
        for body in ["{\"a\": 1}\n\n \n2", "{\"a\": 1}\r\n\r\n\t\n 2 \r\n"] {
            assert_eq!(read(body), expected);
        }
    }

    #[test]
    fn there_is_one_and_there_are_not_too_many() {
        assert!(of(&Bytes::from_static(b" \n\n")).is_err());
        let body = |lines: usize| Bytes::from("1\n".repeat(lines));
        assert_eq!(of(&body(limits::LINES)).unwrap().len(), limits::LINES);
        assert!(of(&body(limits::LINES + 1)).is_err());
    }
}

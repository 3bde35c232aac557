//! What the answer to an errand comes to, as the result of the step.

use std::{collections::BTreeMap, io};

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::Serialize;
use stepcast_engine::runs::Failure;
use stepcast_protocol::{
    ErrorCode, RunError, Timestamp, limits,
    sdk::{Json, RetryAfter},
};

use super::{Errand, ErrandError, shown};

/// What an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The function looks at it, whatever its status is.
    Fetch,
    /// A model's answer, which is JSON when all is well.
    Model,
}

/// The answer to an errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Who answered at last.
    pub url: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A response, as `step.fetch` makes one of it.
#[derive(Serialize)]
struct Fetched<'a> {
    url: &'a str,
    status_code: u16,
    headers: BTreeMap<&'a str, String>,
    body: Option<&'a str>,
}

/// Takes what the result of a step may have: what is short on the wire may be long as JSON.
#[derive(Default)]
struct Bounded {
    written: Vec<u8>,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written.len() + bytes.len() > limits::MEMO_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Statuses of responses without a body. Those in JavaScript refuse even an empty one.
const WITHOUT_BODY: [u16; 3] = [204, 205, 304];
/// How much of a refusal is shown.
const REFUSAL: usize = 500;

impl Errand {
    /// What it comes to: the result of the step, one JSON text, or a failed attempt.
    pub(in crate::worker) fn outcome(
        &self,
        result: Result<Brought, ErrandError>,
        now: Timestamp,
    ) -> Result<Bytes, Failure> {
        let brought = result.map_err(|error| Failure {
            terminal: !error.is_retryable(),
            ..Failure::of(RunError::new(error.code(), error))
        })?;
        match self.purpose {
            Purpose::Fetch => brought.fetched(),
            Purpose::Model => brought.inferred(now),
        }
    }
}

impl Brought {
    fn fetched(&self) -> Result<Bytes, Failure> {
        if !(200..=599).contains(&self.status) {
            return Err(self.unusable("status 200 to 599"));
        }
        let text = std::str::from_utf8(&self.body).map_err(|_| {
            self.unusable("a body of UTF-8 text; fetch other bodies inside `step.run`")
        })?;
        let mut headers = BTreeMap::<_, String>::new();
        for (name, value) in &self.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let known = headers.entry(name.as_str()).or_default();
            if !known.is_empty() {
                known.push_str(", ");
            }
            known.push_str(&value);
        }
        let fetched = Fetched {
            url: &self.url,
            status_code: self.status,
            headers,
            body: (!WITHOUT_BODY.contains(&self.status)).then_some(text),
        };
        let mut json = Bounded::default();
        match serde_json::to_writer(&mut json, &fetched) {
            Ok(()) => Ok(json.written.into()),
            Err(_) => Err(self.too_large()),
        }
    }

    fn inferred(&self, now: Timestamp) -> Result<Bytes, Failure> {
        if !(200..300).contains(&self.status) {
            return Err(self.refused(now));
        }
        match Json::try_from(&self.body) {
            Ok(json) if json.get().len() > limits::MEMO_BYTES => Err(self.too_large()),
            Ok(json) => Ok(json.into()),
            Err(_) => Err(self.unusable("JSON")),
        }
    }

    /// Another attempt helps when the other side is busy or broken.
    fn refused(&self, now: Timestamp) -> Failure {
        let may_pass = matches!(self.status, 408 | 409 | 425 | 429 | 500..);
        let retry_after = self.headers.get(header::RETRY_AFTER);
        let pause = retry_after
            .and_then(|value| value.to_str().ok())
            .and_then(RetryAfter::parse);
        let said = String::from_utf8_lossy(&self.body);
        let printed = said
            .chars()
            .map(|char| if char.is_control() { ' ' } else { char });
        let said: String = printed.take(REFUSAL).collect();
        let text = format!(
            "{} answered with status {}: {said}",
            shown(&self.url),
            self.status
        );
        Failure {
            terminal: !may_pass,
            pause: pause.map(|after| after.wait(now)),
            ..Failure::of(RunError::new(ErrorCode::BadResult, text))
        }
    }

    fn too_large(&self) -> Failure {
        let url = shown(&self.url);
        let error = ErrandError::TooLarge { url };
        Failure::terminal(error.code(), error)
    }

    fn unusable(&self, expected: &str) -> Failure {
        let text = format!(
            "{} answered with status {} and {} bytes, where the step needs {expected}",
            shown(&self.url),
            self.status,
            self.body.len()
        );
        Failure::terminal(ErrorCode::BadResult, text)
    }
}

//! Answers inside a stream: an app whose host ends silent connections answers at once, sends spaces while it works, and
//! writes its real answer at the end.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Answer, ResponseError};

/// The answer at the end of a stream.
#[derive(Deserialize)]
pub(super) struct Inner {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, Box<RawValue>>,
    #[serde(default)]
    body: Option<String>,
}

/// Finds the answer.
pub(super) fn unwrap(answer: &Answer<'_>) -> Result<Inner, ResponseError> {
    serde_json::from_slice(answer.body).map_err(|_| ResponseError::Stream {
        bytes: answer.body.len(),
    })
}

impl Inner {
    pub(super) fn as_answer<'a>(
        &'a self,
        header: &'a dyn Fn(&str) -> Option<String>,
    ) -> Answer<'a> {
        Answer {
            status: self.status,
            header,
            body: self.body.as_deref().unwrap_or_default().as_bytes(),
        }
    }

    /// A header of the answer, else of the stream around it.
    pub(super) fn header(&self, name: &str, outer: &Answer<'_>) -> Option<String> {
        let own = self
            .headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| serde_json::from_str(value.get()).ok());
        own.or_else(|| (outer.header)(name))
    }
}

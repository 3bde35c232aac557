//! What was recorded between the published SDK and the server that it was made for, as input of tests.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Answer;

/// One line of a recording.
#[derive(Deserialize)]
pub(super) struct Exchange {
    pub(super) kind: Kind,
    pub(super) url: String,
    #[serde(default)]
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Call,
    Answer,
    Checkpoint,
}

macro_rules! recordings {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../tests/fixtures/sdk/", $name, ".jsonl"))),)*]
    };
}

const RECORDINGS: [(&str, &str); 14] = recordings! {
    "03_quickstart_adapted"
    "04_quickstart_clientSubscriptionToken"
    "05_retry_memoized_publish"
    "06_fn_level_retry"
    "07_parallel"
    "08_sleep"
    "09_wait_for_event"
    "10_invoke_and_sendEvent"
    "11_text_stream_publish"
    "12_fail_onFailure"
    "13_step_error_caught"
    "14_signal"
    "15_sse_subscription"
    "16_run_topic_messages"
};

/// The configuration of an app with 15 functions.
pub(super) const REGISTRATION: &str = include_str!("../../tests/fixtures/sdk/register.json");

/// Everything of one kind, in the order of the recordings, with the recording's number.
pub(super) fn all(kind: Kind) -> Vec<(&'static str, Exchange)> {
    RECORDINGS
        .iter()
        .flat_map(|(name, text)| text.lines().map(|line| (&name[..2], line)))
        .map(|(name, line)| (name, serde_json::from_str::<Exchange>(line).unwrap()))
        .filter(|(_, exchange)| exchange.kind == kind)
        .collect()
}

impl Exchange {
    /// Does something with this answer.
    pub(super) fn with_answer<T>(&self, use_it: impl FnOnce(&Answer<'_>) -> T) -> T {
        use_it(&Answer {
            status: self.status,
            header: &|name| self.headers.get(name).cloned(),
            body: self.body.as_bytes(),
        })
    }
}

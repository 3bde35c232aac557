//! What ends a run from outside, beside those who cancel it, and whether that is announced.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stepcast_protocol::{EventName, StepId};

/// What ends a run from outside, as its function asked when the run was created. Each of these is a wait or a timer of the run, under an id that no
/// step has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Guards {
    /// Events that cancel it. Each has an [`EventWait`](super::EventWait) under an id of [`Self::cancel_id`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancel_on: Vec<EventName>,
    /// How long after its creation it has to have begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_within: Option<Duration>,
    /// How long after its beginning it has to have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_within: Option<Duration>,
    /// Whether its end is an event of its own. It stands here as a run may end while nobody has its function. Absent of runs that were
    /// created before it stood here: their function says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announces_end: Option<bool>,
}

impl Guards {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Where the n-th event that cancels is waited for. No step has such an id: those of the engine begin with `$`.
    #[must_use]
    pub fn cancel_id(n: usize) -> StepId {
        Self::id(&format!("{GUARD}cancel:{n}"))
    }

    /// Whose timer says that the run has to have begun.
    #[must_use]
    pub fn start_id() -> StepId {
        Self::id(&format!("{GUARD}start"))
    }

    /// Whose timer says that the run has to have ended.
    #[must_use]
    pub fn end_id() -> StepId {
        Self::id(&format!("{GUARD}end"))
    }

    fn id(text: &str) -> StepId {
        StepId::parse(text).expect("the engine's ids keep the rules")
    }
}

/// How the ids begin that no step has.
const GUARD: &str = "$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_bytes_do_not_say_whether_the_end_is_announced() {
        for (text, expected) in [
            ("{}", None),
            (r#"{"ends_within":{"secs":60,"nanos":0}}"#, None),
            (r#"{"announces_end":true}"#, Some(true)),
            (r#"{"announces_end":false}"#, Some(false)),
        ] {
            let guards: Guards = serde_json::from_str(text).unwrap();
            assert_eq!(guards.announces_end, expected, "{text}");
            assert_eq!(serde_json::to_string(&guards).unwrap(), text);
        }
    }
}

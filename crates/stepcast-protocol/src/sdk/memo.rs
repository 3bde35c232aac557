//! What is remembered of a step, as the function gets it back.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::sdk::{event::SdkEvent, failure::Failure, json::Json};

/// The outcome of a step.
///
/// ```
/// use stepcast_protocol::sdk::{Json, Memo};
///
/// let memo = Memo::Data(Json::parse(b"[1]")?);
/// assert_eq!(serde_json::to_string(&memo)?, r#"{"data":[1]}"#);
/// assert_eq!(serde_json::to_string(&Memo::Over)?, "null");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memo {
    /// What a step, an invoked function or a gateway returned.
    Data(Json),
    /// What it threw; the function's code can catch it.
    Failed(Failure),
    /// A sleep that is over, or a wait for an event or a signal that was in vain.
    Over,
    /// The event that a step waited for.
    Event(SdkEvent),
    /// The signal that a step waited for.
    Signal {
        /// Its name.
        signal: String,
        /// What was sent with it.
        data: Json,
    },
    /// Arguments that replace the step's own: the step has not run yet.
    Input(Json),
}

impl Serialize for Memo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Data(data) => entry(serializer, "data", data),
            Self::Failed(failure) => entry(serializer, "error", failure),
            Self::Over => serializer.serialize_unit(),
            Self::Event(event) => event.serialize(serializer),
            Self::Signal { signal, data } => entry(serializer, "data", &Received { signal, data }),
            Self::Input(input) => entry(serializer, "input", input),
        }
    }
}

#[derive(Serialize)]
struct Received<'a> {
    signal: &'a str,
    data: &'a Json,
}

fn entry<S: Serializer>(
    serializer: S,
    key: &'static str,
    value: &impl Serialize,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

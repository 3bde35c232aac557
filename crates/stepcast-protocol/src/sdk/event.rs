//! Events as functions of an SDK get them.

use serde::Serialize;

use crate::{
    event::Event,
    names::EventName,
    sdk::json::{Json, JsonError},
    timestamp::Timestamp,
};

/// An event as it stands in a call, in a memo and in the events of the engine's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SdkEvent {
    /// Its name.
    pub name: EventName,
    /// Its data: one JSON object.
    pub data: Json,
    /// The sender's id, else the engine's.
    pub id: String,
    /// When it happened.
    #[serde(rename = "ts")]
    pub at: Timestamp,
    user: Nobody,
}

/// The empty object that functions expect in `user`, which older senders filled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
struct Nobody {}

impl SdkEvent {
    /// An event with these parts.
    #[must_use]
    pub fn new(name: EventName, data: Json, id: String, at: Timestamp) -> Self {
        let user = Nobody {};
        Self {
            name,
            data,
            id,
            at,
            user,
        }
    }
}

impl TryFrom<&Event> for SdkEvent {
    type Error = JsonError;

    fn try_from(event: &Event) -> Result<Self, JsonError> {
        let id = event.key.clone().unwrap_or_else(|| event.id.to_string());
        let data = Json::try_from(&event.data)?;
        Ok(Self::new(event.name.clone(), data, id, event.at))
    }
}

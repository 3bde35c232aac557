//! Events as functions of an SDK get them.

use serde::Serialize;

use crate::{
    event::{Event, Extras},
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
    /// For whom it is; an empty object, as functions expect one, where its sender has not said it.
    pub user: Json,
    /// The version of what its data looks like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v: Option<String>,
}

impl SdkEvent {
    /// An event with these parts.
    #[must_use]
    pub fn new(name: EventName, data: Json, id: String, at: Timestamp) -> Self {
        Self {
            name,
            data,
            id,
            at,
            user: Json::empty(),
            v: None,
        }
    }
}

impl TryFrom<&Event> for SdkEvent {
    type Error = JsonError;

    fn try_from(event: &Event) -> Result<Self, JsonError> {
        let id = event.key.clone().unwrap_or_else(|| event.id.to_string());
        let data = Json::try_from(&event.data)?;
        let Extras { user, v } = &event.extras;
        let user = user.as_ref().map(Json::try_from).transpose()?;
        Ok(Self {
            user: user.unwrap_or_else(Json::empty),
            v: v.clone(),
            ..Self::new(event.name.clone(), data, id, event.at)
        })
    }
}
